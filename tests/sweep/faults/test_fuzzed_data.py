"""Whatever bytes data are made of, a loader gives the data or one line, and takes little room."""

import io
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sweep.config import DataFiles
from sweep.data import LAYOUTS, open_source
from sweep.data.cifar10 import DEVELOPMENT, PIXELS, TEST
from sweep.errors import SweepError
from sweep_model.classifier import LinearClassifier
from sweep_model.losses import LOSSES
from sweep_model.preprocessing import Standardiser

pytestmark = pytest.mark.slow

BOUNDED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
ROOM = 32 << 20
"""Bytes that reading a file of some kilobytes may take."""
RECORDS = 2


def saved(write, *arguments, **arrays):
    file = io.BytesIO()
    write(file, *arguments, **arrays)
    return file.getvalue()


DRAWS = np.random.default_rng(1)
NPZ = saved(np.savez, X=DRAWS.normal(size=(8, 3)), y=np.arange(8) % 2, class_names=["a", "b"])
COMPRESSED = saved(np.savez_compressed, X=DRAWS.normal(size=(8, 3)), y=np.arange(8) % 2)


@pytest.fixture(scope="module")
def classifier_bytes(tmp_path_factory):
    """Return the file of a classifier."""
    path = tmp_path_factory.mktemp("classifier") / "a.npz"
    LinearClassifier(
        weights=DRAWS.normal(size=(2, 3)).astype(np.float32),
        bias=np.zeros(2, np.float32),
        standardiser=Standardiser(np.zeros(3, np.float32), np.ones(3, np.float32)),
        loss=LOSSES["softmax"],
        image_shape=None,
        class_names=("a", "b"),
    ).save(path)
    return path.read_bytes()


@st.composite
def damaged(draw, content):
    """Return the bytes with some changed, cut out, put in or doubled."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(changed) - 1, 0)))
        match draw(st.sampled_from(["change", "number", "cut", "insert", "end"])):
            case "change":
                changed[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case "number":  # a length or an offset that boasts
                huge = draw(st.sampled_from([0, 1, 2**31 - 1, 2**32 - 1]))
                changed[place : place + 4] = struct.pack("<I", huge)
            case "cut":
                del changed[place : place + draw(st.integers(1, 40))]
            case "insert":
                changed[place:place] = draw(st.binary(min_size=1, max_size=20))
            case "end":
                del changed[place:]
    return bytes(changed)


def within_bounds(read, allowed):
    """Call `read`; what it raises must be allowed and short, what it takes little."""
    tracemalloc.start()
    try:
        read()
    except allowed as error:
        assert len(str(error)) < 600  # noqa: PT017 - not every input is refused
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < ROOM


def load_npz(path, content):
    path.write_bytes(content)
    source = open_source(str(path))
    source.development()
    if source.has_test:
        source.test()


@BOUNDED
@given(content=st.binary(max_size=400) | damaged(NPZ) | damaged(COMPRESSED))
@example(content=b"")
def test_any_bytes_are_data_or_refused(tmp_path, content):
    within_bounds(lambda: load_npz(tmp_path / "a.npz", content), SweepError)


SAFETENSORS = (
    b'{"X":{"dtype":"F32","shape":[8,3],"data_offsets":[0,96]},'
    b'"y":{"dtype":"U8","shape":[8],"data_offsets":[96,104]}}'
)
SAFETENSORS = len(SAFETENSORS).to_bytes(8, "little") + SAFETENSORS + bytes(96) + b"\0\1" * 4
NPY = saved(np.save, DRAWS.normal(size=(8, 3)))


@BOUNDED
@given(data=st.data())
def test_any_bytes_are_mapped_arrays_or_refused(tmp_path, data):
    content = data.draw(st.binary(max_size=400) | damaged(SAFETENSORS))
    (tmp_path / "a.safetensors").write_bytes(content)
    within_bounds(lambda: open_source(str(tmp_path / "a.safetensors")).development(), SweepError)
    np.save(tmp_path / "y.npy", np.arange(8) % 2)
    (tmp_path / "a.npy").write_bytes(data.draw(st.binary(max_size=400) | damaged(NPY)))
    files = DataFiles(str(tmp_path / "a.npy"), labels=str(tmp_path / "y.npy"))
    within_bounds(lambda: open_source(files).development(), SweepError)


@st.composite
def headers(draw):
    """Return an array file whose header says whatever it likes."""
    descr = draw(st.sampled_from(["<f8", "|O", "<U1", "|S0", "|V8", "<M8[s]", "i4,f4", "<f9", ""]))
    side = st.sampled_from([-1, 0, 1, 2, 8, 2**31, 2**63, 10**30])
    shape = tuple(draw(st.lists(side, max_size=5)))
    order = draw(st.sampled_from([True, False, None, "x"]))
    said = {"descr": descr, "fortran_order": order, "shape": shape}
    if draw(st.booleans()):
        said[draw(st.sampled_from(["descr", "shape", "more"]))] = draw(
            st.none() | st.text(max_size=5) | st.lists(st.integers(), max_size=3)
        )
    text = repr(said).encode("utf-8", "replace")
    version = draw(st.sampled_from([b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x09"]))
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + draw(st.binary(max_size=64))


@BOUNDED
@given(features=headers(), labels=headers())
def test_arrays_that_boast_are_refused(tmp_path, features, labels):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("X.npy", features)
        archive.writestr("y.npy", labels)
    within_bounds(lambda: load_npz(tmp_path / "a.npz", packed.getvalue()), SweepError)


@BOUNDED
@given(data=st.data())
def test_any_bytes_are_a_classifier_or_refused(tmp_path, classifier_bytes, data):
    (tmp_path / "a.npz").write_bytes(data.draw(st.binary(max_size=400) | damaged(classifier_bytes)))
    within_bounds(lambda: LinearClassifier.load(tmp_path / "a.npz"), ValueError)


def load_cifar10(folder, layout, content):
    """Load CIFAR-10 of which each file has that content."""
    for batch in DEVELOPMENT + TEST:
        (folder / f"{batch}{LAYOUTS[layout].suffix}").write_bytes(content)
    return open_source("cifar10", folder).development()


@BOUNDED
@given(data=st.data())
def test_any_bytes_are_a_batch_or_refused(tmp_path, monkeypatch, data):
    monkeypatch.setattr("sweep.data.cifar10.RECORDS", RECORDS)
    head = data.draw(damaged(BATCH) | damaged(BATCH[:200]) | st.binary(max_size=200))
    content = head.ljust(RECORDS * (1 + PIXELS), b"\xff")
    for layout in LAYOUTS:
        (tmp_path / layout).mkdir(exist_ok=True)
        within_bounds(lambda: load_cifar10(tmp_path / layout, layout, content), SweepError)  # noqa: B023


BATCH = pickle.dumps({"data": np.zeros((RECORDS, PIXELS), np.uint8), "labels": [1, 2]}, protocol=4)


def test_the_files_that_are_damaged_here_are_good(tmp_path, classifier_bytes, monkeypatch):
    load_npz(tmp_path / "a.npz", NPZ)
    load_npz(tmp_path / "a.npz", COMPRESSED)
    (tmp_path / "a.safetensors").write_bytes(SAFETENSORS)
    assert open_source(str(tmp_path / "a.safetensors")).development().rows.shape == (8, 3)
    (tmp_path / "a.npz").write_bytes(classifier_bytes)
    assert LinearClassifier.load(tmp_path / "a.npz").class_names == ("a", "b")
    monkeypatch.setattr("sweep.data.cifar10.RECORDS", RECORDS)
    assert load_cifar10(tmp_path, "python", BATCH).labels.tolist() == [1, 2] * 5
    load_cifar10(tmp_path, "binary", bytes(RECORDS * (1 + PIXELS)))
