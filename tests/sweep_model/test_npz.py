import io
import os
import zipfile

import numpy as np
import pytest

from sweep_model.npz import read_arrays, write_arrays

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array("text")}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "arrays.npz"
    write_arrays(path, ARRAYS)
    return path


def as_npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def with_header(header):
    """A .npy file of format 1.0 with the given header and 24 bytes of data."""
    padded = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + bytes(24)


def refused(path, members, names=("a",), **options):
    """What is said of a .zip file with these members."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"arrays.npz cannot be read: ") as refusal:
        print(members[0][1][:200], read_arrays(path, names))  # noqa: T201 - what was let through
    return str(refusal.value)


def test_arrays_come_back_bit_for_bit_and_as_the_same_bytes(path, tmp_path):
    for names in (["a", "b"], None):
        again = read_arrays(path, names)
        for name, array in ARRAYS.items():
            assert (again[name].dtype, again[name].shape) == (array.dtype, array.shape)
            assert again[name].tobytes() == array.tobytes()
    write_arrays(tmp_path / "again", ARRAYS)
    assert path.read_bytes() == (tmp_path / "again").read_bytes()
    with np.load(path, allow_pickle=False) as archive:
        assert sorted(archive) == ["a", "b"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, tmp_path):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_arrays(path, {"a": np.zeros(100_000), "b": np.array([object()])})
    assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError):
        write_arrays(tmp_path / "absent" / "arrays.npz", ARRAYS)
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == [path]


def test_every_truncation_is_refused(path):
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cannot be read"):
            read_arrays(path, ["a", "b"])


def test_a_damaged_byte_is_refused_or_harmless(path):
    whole = path.read_bytes()
    for position in range(len(whole)):
        for damage in (0x01, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= damage
            path.write_bytes(damaged)
            try:
                arrays = read_arrays(path, ["a", "b"])
            except ValueError:
                continue
            # What is let through, such as another date, is not part of any array.
            assert all(arrays[name].tobytes() == ARRAYS[name].tobytes() for name in ARRAYS)


def test_a_hostile_array_is_refused(path, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "opened"),)

    usual = "{{'descr': '{}', 'fortran_order': False, 'shape': {}}}"
    for header in (
        usual.format("<f4", "(2**50,)"),
        usual.format("<f4", "(1000000000,)"),
        usual.format("<f4", "(4294967296, 4294967296)"),
        usual.format("<f4", "(0, 10**30)"),
        usual.format("<f4", "(-1, 3)"),
        usual.format("<f4", "(2,)"),
        usual.format("|O", "(3,)"),
        usual.format("nonsense", "(3,)"),
        "{'descr': '<f4', 'fortran_order': (((",
        "__import__('os').abort()",
        "(" * 110,
        "'" * 3,
        "  {}\n }",
    ):
        refused(path, [("a.npy", with_header(header))])
    pickled = as_npy(np.array([Bomb()]), allow_pickle=True)
    assert "Object arrays cannot be loaded" in refused(path, [("a.npy", pickled)])
    assert not (tmp_path / "opened").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # zipfile, writing the test file
def test_a_file_of_other_arrays_or_of_another_kind_is_refused(path):
    for names in (["a"], ["a", "b", "c"], ["a", "B"]):
        with pytest.raises(ValueError, match=r"it holds \['a.npy', 'b.npy'\], not"):
            read_arrays(path, names)
    zeros = as_npy(np.zeros(1_000_000))
    assert "it holds" in refused(path, [("a.npy", zeros), ("a.npy", zeros)])
    swelling = refused(path, [("a.npy", zeros)], compression=zipfile.ZIP_DEFLATED)
    assert "its arrays are compressed" in swelling
    for content in (b"", b"text", as_npy(np.zeros(3)), b"PK\x05\x06" + bytes(18)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read"):
            read_arrays(path, ["a"])
