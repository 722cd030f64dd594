"""Whatever stands in a checkpoint's file, it is the checkpoint or of no use."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sweep.environment import environment
from sweep.errors import StoreUnreachableError
from sweep.search.checkpoint import ABOUT, Checkpoints, Progress, bits
from sweep_model.npz import read_arrays, write_arrays
from sweep_model.panels import LaneState

FLOATS = st.floats(allow_nan=False)
ARRAYS = hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 4)))
PROGRESS = st.builds(
    Progress,
    state=st.builds(LaneState, ARRAYS, hnp.arrays(np.float32, st.integers(1, 3))),
    curves=st.dictionaries(st.sampled_from(["val/loss", "x"]), st.lists(FLOATS, max_size=3)),
    times=st.lists(st.integers(0, 2**42), max_size=3),
    images=st.dictionaries(st.sampled_from(["codes", "steps"]), ARRAYS, max_size=2),
)
ONE = Progress(
    state=LaneState(np.ones((3, 4), np.float32), np.zeros(3, np.float32)),
    curves={"val/loss": [0.5]},
    times=[1],
    images={"steps": np.arange(2)},
)


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def checkpoints(tmp_path, warnings):
    return Checkpoints(tmp_path / "below" / "digits.npz", "mine", warnings.append)


@pytest.fixture
def written(checkpoints):
    checkpoints.save({7: ONE})
    return checkpoints


def is_of_no_use(checkpoints, warnings):
    """Whether nothing is read, and a line says why."""
    warnings.clear()
    found = checkpoints.load()
    assert len(warnings) == (found == {})
    assert all("begin anew" in line and "\n" not in line for line in warnings)
    return found == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trials=st.dictionaries(st.integers(0, 2**40), PROGRESS, max_size=3))
def test_a_checkpoint_is_read_back_to_the_bit(checkpoints, trials):
    checkpoints.save(trials)
    again = checkpoints.load()
    assert again.keys() == trials.keys()
    for number, one in trials.items():
        found = again[number]
        assert (found.curves, found.times) == (one.curves, one.times)
        assert found.state.weights.tobytes() == one.state.weights.tobytes()
        assert found.state.bias.tobytes() == one.state.bias.tobytes()
        assert found.images.keys() == one.images.keys()
        for name, array in one.images.items():
            assert found.images[name].tobytes() == array.tobytes()
            assert found.images[name].shape == array.shape


def test_where_it_cannot_be_written_the_earlier_one_stays(written, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(StoreUnreachableError, match=r"No space left on device .*; make room or"):
        written.save({})
    assert written.load().keys() == {7}
    assert [path.name for path in written.path.parent.iterdir()] == ["digits.npz"]


def test_a_part_of_a_checkpoint_or_anything_else_is_of_no_use(written, warnings):
    content = written.path.read_bytes()
    parts = [content[: int(share * len(content))] for share in (0.0, 0.1, 0.5, 0.9, 0.999)]
    for other in (*parts, b"no zip file", bytes(1000), b"PK\x05\x06" + bytes(18)):
        written.path.write_bytes(other)
        assert is_of_no_use(written, warnings)


def test_a_flipped_bit_anywhere_is_of_no_use_or_changes_nothing(written, warnings):
    content = bytearray(written.path.read_bytes())
    for place in range(0, len(content), 7):
        content[place] ^= 4
        written.path.write_bytes(content)
        if not is_of_no_use(written, warnings):  # e.g. of a date
            np.testing.assert_array_equal(written.load()[7].state.weights, ONE.state.weights)
        content[place] ^= 4


def test_what_says_something_else_about_itself_is_of_no_use(written, warnings):
    arrays, head = read_arrays(written.path), {"study_id": "mine", "bits": bits(environment())}
    for about in (
        {},
        [],
        None,
        head,
        {**head, "trials": {"7": {}}},
        {**head, "trials": {"seven": {}}},
        {**head, "trials": ["7"]},
    ):
        other = {ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8)}
        write_arrays(written.path, arrays | other)
        assert is_of_no_use(written, warnings), about
    for lost in (ABOUT, "7/weights", "7/bias", "7/images/steps"):
        write_arrays(written.path, {name: a for name, a in arrays.items() if name != lost})
        assert is_of_no_use(written, warnings), lost
    write_arrays(written.path, arrays)
    assert not is_of_no_use(written, warnings)


def test_the_checkpoint_of_another_study_or_of_other_bits_is_of_no_use(written, warnings):
    other = Checkpoints(written.path, "theirs", warnings.append)
    assert (other.load(), warnings) == ({}, [])
    arrays = read_arrays(written.path)
    about = json.loads(arrays[ABOUT].tobytes())
    for name in about["bits"]:
        changed = {**about, "bits": {**about["bits"], name: "another"}}
        write_arrays(
            written.path, arrays | {ABOUT: np.frombuffer(json.dumps(changed).encode(), np.uint8)}
        )
        assert is_of_no_use(written, warnings)
        assert "NumPy or BLAS" in warnings[0]


def test_no_pickle_is_ever_opened(written, warnings):
    np.savez(written.path, **read_arrays(written.path), evil=np.array([{}], dtype=object))
    with zipfile.ZipFile(written.path) as file:
        assert "evil.npy" in file.namelist()
    assert is_of_no_use(written, warnings)
    assert "allow_pickle" in warnings[0]
