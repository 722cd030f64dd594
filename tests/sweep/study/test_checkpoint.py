import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sweep.errors import StoreUnreachableError
from sweep.study.checkpoint import ABOUT, Checkpoint, TrialState, load, save
from sweep_model.npz import read_arrays, write_arrays
from sweep_model.results import SlotState

WEIGHTS = st.floats(width=32)
STATES = st.builds(
    TrialState,
    slot=st.builds(
        SlotState,
        first_pass=st.integers(0, 2**31),
        weights=hnp.arrays(np.float32, (3, 4), elements=WEIGHTS),
        bias=hnp.arrays(np.float32, 3, elements=WEIGHTS),
    ),
    curves=st.dictionaries(
        st.sampled_from(["val/loss", "val/accuracy"]), st.lists(st.floats(allow_nan=False))
    ),
    images=st.sampled_from(
        [{}, {"codes": np.zeros((2, 3, 1, 2, 2), np.int8), "steps": np.array([0, 1])}]
    ),
)
CHECKPOINTS = st.builds(
    Checkpoint,
    study_id=st.text(max_size=9),
    environment=st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3),
    released=st.integers(0, 2**40),
    trials=st.dictionaries(st.integers(0, 10**6), STATES, max_size=3),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoints" / "digits.npz"


@pytest.fixture
def written(path):
    slot = SlotState(
        first_pass=3, weights=np.ones((3, 4), np.float32), bias=np.zeros(3, np.float32)
    )
    trial = TrialState(slot=slot, curves={"val/loss": [1.0]}, images={"steps": np.array([0])})
    save(Checkpoint(study_id="s", environment={}, released=5, trials={7: trial}), path)
    return path


def assert_same(array, again):
    assert array.dtype == again.dtype
    np.testing.assert_array_equal(array, again)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHECKPOINTS)
def test_a_checkpoint_is_read_back_to_the_bit(path, checkpoint):
    save(checkpoint, path)
    again = load(path)
    for name in ("study_id", "environment", "released"):
        assert getattr(again, name) == getattr(checkpoint, name)
    assert again.trials.keys() == checkpoint.trials.keys()
    for number, state in checkpoint.trials.items():
        found = again.trials[number]
        assert found.curves == state.curves
        assert found.slot.first_pass == state.slot.first_pass
        assert_same(state.slot.weights, found.slot.weights)
        assert_same(state.slot.bias, found.slot.bias)
        assert found.images.keys() == state.images.keys()
        for name, array in state.images.items():
            assert_same(array, found.images[name])


def test_where_there_is_no_file_there_is_no_checkpoint(path):
    assert load(path) is None


def test_a_later_checkpoint_takes_the_place_of_the_earlier_and_nothing_else_is_left(written):
    save(Checkpoint(study_id="s", environment={}, released=6), written)
    assert load(written).released == 6
    assert load(written).trials == {}
    assert [path.name for path in written.parent.iterdir()] == ["digits.npz"]


def test_where_it_cannot_be_written_the_earlier_one_stays(written, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(StoreUnreachableError) as failed:
        save(Checkpoint(study_id="s", environment={}, released=6), written)
    said = str(failed.value)
    assert said.startswith(
        f"{written}: where the trials stand cannot be kept: No space left on device ("
    )
    assert said.endswith("; make room or mend the permissions, then run the same command again")
    assert failed.value.exit_code == 75
    assert load(written).released == 5
    assert [path.name for path in written.parent.iterdir()] == ["digits.npz"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_part_of_a_checkpoint_is_refused(written, share):
    content = written.read_bytes()
    written.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"digits\.npz cannot be read"):
        load(written)


def test_a_flipped_bit_anywhere_in_the_arrays_is_refused_or_changes_nothing(written):
    content = bytearray(written.read_bytes())
    for place in range(0, len(content), 7):
        content[place] ^= 4
        written.write_bytes(content)
        try:
            found = load(written)
        except ValueError:
            pass
        else:  # e.g. of a date
            assert found.released == 5
            np.testing.assert_array_equal(found.trials[7].slot.weights, np.ones((3, 4)))
        content[place] ^= 4


@pytest.mark.parametrize("content", [b"", b"no zip file", bytes(1000), b"PK\x05\x06" + bytes(18)])
def test_what_is_no_checkpoint_is_refused(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"digits\.npz"):
        load(path)


@pytest.mark.parametrize(
    "about",
    [
        {},
        [],
        None,
        {"study_id": "s", "environment": {}, "released": 1},
        {"study_id": "s", "environment": {}, "released": 1, "trials": {"7": {}}},
        {"study_id": "s", "environment": {}, "released": 1, "trials": {"seven": {}}},
        {"study_id": "s", "environment": {}, "released": 1, "trials": ["7"]},
    ],
)
def test_a_checkpoint_that_says_something_else_about_itself_is_refused(written, about):
    arrays = read_arrays(written)
    write_arrays(written, arrays | {ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8)})
    with pytest.raises(ValueError, match=r"lacks|int\(\)"):
        load(written)


@pytest.mark.parametrize("lost", [ABOUT, "7/weights", "7/bias", "7/images/steps"])
def test_a_checkpoint_without_one_of_its_arrays_is_refused(written, lost):
    arrays = read_arrays(written)
    del arrays[lost]
    write_arrays(written, arrays)
    with pytest.raises(ValueError, match=lost):
        load(written)


def test_no_pickle_is_ever_opened(written):
    content = read_arrays(written)
    np.savez(written, **content, evil=np.array([{}], dtype=object))
    with zipfile.ZipFile(written) as file:
        assert "evil.npy" in file.namelist()
    with pytest.raises(ValueError, match="allow_pickle"):
        load(written)
