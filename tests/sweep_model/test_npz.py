import io
import os
import zipfile

import numpy as np
import pytest

from sweep_model.npz import read_arrays, write_arrays

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array("text")}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "arrays.npz"


def as_npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def write_zip(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def with_header(header):
    """A .npy file of format 1.0 with the given header and 24 bytes of data."""
    padded = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + bytes(24)


def test_arrays_come_back_bit_for_bit(path):
    write_arrays(path, ARRAYS)
    again = read_arrays(path, ["a", "b"])
    for name, array in ARRAYS.items():
        assert (again[name].dtype, again[name].shape) == (array.dtype, array.shape)
        assert again[name].tobytes() == array.tobytes()


def test_the_same_arrays_are_the_same_bytes(path, tmp_path):
    write_arrays(path, ARRAYS)
    write_arrays(tmp_path / "again", ARRAYS)
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


def test_numpy_itself_reads_the_file(path):
    write_arrays(path, ARRAYS)
    with np.load(path, allow_pickle=False) as archive:
        assert sorted(archive) == ["a", "b"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path):
    write_arrays(path, ARRAYS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_arrays(path, {"a": np.zeros(100_000), "b": np.array([object()])})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_cannot_start_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_arrays(tmp_path / "absent" / "arrays.npz", ARRAYS)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_an_operating_system_error(path):
    with pytest.raises(FileNotFoundError):
        read_arrays(path, ["a"])


def test_every_truncation_is_refused(path):
    write_arrays(path, ARRAYS)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cannot be read"):
            read_arrays(path, ["a", "b"])


def test_a_damaged_byte_is_refused_or_harmless(path):
    write_arrays(path, ARRAYS)
    whole = path.read_bytes()
    for position in range(len(whole)):
        for damage in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= damage
            path.write_bytes(damaged)
            try:
                arrays = read_arrays(path, ["a", "b"])
            except ValueError:
                continue
            # What is let through, such as another date, is not part of any array.
            assert all(arrays[name].tobytes() == ARRAYS[name].tobytes() for name in ARRAYS)


HOSTILE_HEADERS = {
    "too large for any memory": "{'descr': '<f4', 'fortran_order': False, 'shape': (2**50,)}",
    "larger than its data": "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,)}",
    "overflowing": "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
    "not a number of bytes": "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 10**30)}",
    "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3)}",
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
    "smaller than its data": "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
    "unfinished": "{'descr': '<f4', 'fortran_order': (((",
    "unknown type": "{'descr': 'nonsense', 'fortran_order': False, 'shape': (3,)}",
    "program": "__import__('os').abort()",
    "deep": "(" * 110,
    "text": "'" * 3,
    "indented": "  {}\n }",
}


def test_a_hostile_array_is_refused(path):
    for name, header in HOSTILE_HEADERS.items():
        write_zip(path, {"a.npy": with_header(header)})
        with pytest.raises(ValueError, match="cannot be read"):
            print(name, read_arrays(path, ["a"]))  # noqa: T201 - which header was let through


def test_a_pickle_is_never_opened(path, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "opened"),)

    write_zip(path, {"a.npy": as_npy(np.array([Bomb()]), allow_pickle=True)})
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        read_arrays(path, ["a"])
    assert not (tmp_path / "opened").exists()


def test_other_arrays_than_expected_are_refused(path):
    write_arrays(path, ARRAYS)
    for names in (["a"], ["a", "b", "c"], ["a", "B"]):
        with pytest.raises(ValueError, match=r"it holds \['a.npy', 'b.npy'\], not"):
            read_arrays(path, names)


def test_without_names_every_array_is_read(path):
    write_arrays(path, ARRAYS)
    assert set(read_arrays(path)) == set(ARRAYS)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # zipfile, writing the test file
def test_an_array_that_is_there_twice_is_refused(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", as_npy(np.zeros(1)))
        archive.writestr("a.npy", as_npy(np.ones(1)))
    with pytest.raises(ValueError, match="it holds"):
        read_arrays(path, ["a"])


def test_a_compressed_array_is_refused_before_it_can_swell(path):
    members = {"a.npy": as_npy(np.zeros(1_000_000))}
    write_zip(path, members, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="its arrays are compressed"):
        read_arrays(path, ["a"])


def test_a_file_of_another_kind_is_refused(path):
    for content in (b"", b"text", as_npy(np.zeros(3)), b"PK\x05\x06" + bytes(18)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read"):
            read_arrays(path, ["a"])
