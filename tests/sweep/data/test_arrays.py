from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.data import arrays
from sweep.data.arrays import read_array, read_headers
from sweep.errors import SweepError

KNOWN = ("X", "y")


def saved(save=np.savez, **named):
    file = io.BytesIO()
    save(file, **named)
    return file.getvalue()


def zipped(compression=zipfile.ZIP_STORED, **members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(header, payload=b"", version=(1, 0)):
    """A .npy file with any text for a header."""
    text = header.encode("latin-1")
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text)) + text + payload


GOOD = saved(X=np.eye(3), y=np.arange(3))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.npz"


@pytest.fixture
def read(path):
    def read(content):
        path.write_bytes(content)
        return {name: read_array(path, name) for name in read_headers(path, KNOWN)}

    return read


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "array", [np.eye(3), np.eye(3, dtype=">f4"), np.asfortranarray(np.ones((2, 3)))]
)
def test_arrays_come_back_as_they_were_saved(read, save, array):
    assert np.array_equal(read(saved(save, X=array, y=[0, 1]))["X"], array)


def test_a_header_says_shape_and_type_before_the_array_is_read(path):
    path.write_bytes(saved(X=np.zeros((2, 5), np.float32)))
    assert read_headers(path, KNOWN) == {"X": arrays.Header((2, 5), np.dtype(np.float32))}


def test_objects_are_refused_and_not_unpickled(read):
    content = saved(X=np.array([{}, None], dtype=object))
    with pytest.raises(SweepError, match=r"X.npy holds Python objects, which are never unpickled"):
        read(content)


@pytest.mark.parametrize(
    "shape", ["(1000000, 1000000)", "(10000000000000000000000,)", "(-1,)", "(3, -1, -1)", "(4,)"]
)
def test_a_header_that_promises_more_or_less_than_there_is_is_refused(read, shape):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n"
    with pytest.raises(SweepError, match=r"X.npy is not as long as its header says"):
        read(zipped(X=npy(header, bytes(24))))


@pytest.mark.parametrize(
    "content",
    [
        npy(""),
        npy("{'descr': '<f8'}"),
        npy("{'descr': '<f8', 'fortran_order': 1, 'shape': ()}"),
        npy("{'descr': 'nonsense', 'fortran_order': False, 'shape': ()}"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': 'x'}"),
        npy("__import__('os').getcwd()"),
        npy("[" * 5_000),
        npy("{" + " " * 20_000),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': ()", version=(2, 0)),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",  # a header of four gigabytes
        b"\x93NUMPY\x09\x00",
        b"\x93NUM",
        b"no array",
        b"",
    ],
)
def test_a_damaged_array_is_refused(read, content):
    with pytest.raises(SweepError, match=r"mine.npz: is no whole .npz file: ") as caught:
        read(zipped(X=content))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_read(read, monkeypatch):
    monkeypatch.setattr(arrays, "MAX_BYTES", 1_000_000)
    bomb = saved(np.savez_compressed, X=np.zeros(125_000), y=np.zeros(1))
    assert len(bomb) < 10_000
    with pytest.raises(SweepError, match=r"unpacks to 1,000,264 bytes: at most 1,000,000 are read"):
        read(bomb)


def test_an_unknown_array_is_refused_so_that_no_slip_goes_unseen(read):
    with pytest.raises(SweepError, match=r"may hold X, y: got 'x_val' too"):
        read(saved(X=np.eye(3), x_val=np.eye(3)))


def test_an_array_that_is_there_twice_is_refused(read):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("X.npy", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("X.npy", b"2")
    with pytest.raises(SweepError, match="holds an array twice: got X, X"):
        read(file.getvalue())


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_what_numpy_writes_is_unpacked(read, compression):
    with pytest.raises(SweepError, match=r"X.npy is packed in a way that NumPy does not write"):
        read(zipped(compression, X=b"x"))


def test_an_encrypted_file_is_refused(read):
    content = bytearray(zipped(X=b"x"))
    content[content.index(b"PK\1\2") + 8] |= 1  # the flag in the directory
    content[6] |= 1  # and in the member
    with pytest.raises(SweepError, match="is encrypted"):
        read(bytes(content))


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x93NUMPY", b"<html></html>", bytes(100)])
def test_a_file_that_is_no_npz_is_refused(read, content):
    with pytest.raises(SweepError, match=r"mine.npz: is no whole .npz file: "):
        read(content)


@pytest.mark.parametrize("name", ["none.npz", ""])
def test_a_file_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(SweepError, match="there is no such file"):
        read_headers(tmp_path / name, KNOWN)


def test_a_file_cut_off_anywhere_is_refused(read):
    for length in range(0, len(GOOD), 5):
        with pytest.raises(SweepError, match=r"is no whole .npz file"):
            read(GOOD[:length])


@given(positions=st.lists(st.integers(0, len(GOOD) - 1), min_size=1, max_size=4), data=st.data())
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the file is written anew
)
def test_any_wrong_bytes_give_arrays_or_one_clear_error(read, positions, data):
    content = bytearray(GOOD)
    for position in positions:
        content[position] = data.draw(st.integers(0, 255))
    said = ""
    try:
        named = read(bytes(content))
    except SweepError as error:
        said = str(error)
    assert "mine.npz: " in said if said else set(named) <= set(KNOWN)
    assert "\n" not in said


@given(content=st.binary(max_size=200))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the file is written anew
)
def test_any_bytes_in_place_of_an_array_give_one_clear_error(read, content):
    with pytest.raises(SweepError, match=r"mine.npz: "):
        read(zipped(X=b"\x93NUMPY\x01\x00" + content))
