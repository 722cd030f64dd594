from pathlib import Path

import numpy as np
import pytest

from sweep.study.checkpoint import TrialState, load
from sweep.study.keeper import SECONDS, Keeper
from sweep.tracking.run import Run
from sweep_model.results import SlotState


@pytest.fixture
def loop(tiny_study):
    return tiny_study()


@pytest.fixture
def said():
    return []


@pytest.fixture
def keeper(loop, said):
    return Keeper(loop.study, loop.tracker, said.append)


@pytest.fixture
def run(loop):
    return Run.create(loop.tracker, "trial", tags={})


def state(value=1.0):
    slot = SlotState(
        first_pass=0, weights=np.full((3, 4), value, np.float32), bias=np.zeros(3, np.float32)
    )
    return TrialState(slot=slot, curves={"val/loss": [value]}, images={})


@pytest.fixture
def keep(keeper, run):
    """Return a function that keeps the states of trials, and a point of a run with them."""

    def keep(states):
        run.metrics({"val/cost": 1.0}, len(states))
        keeper.keep(states, [run])

    keep.run = run
    return keep


@pytest.fixture
def again(loop, said):
    """Return a function that opens what is kept as the next process does."""
    return lambda: Keeper(loop.study, loop.tracker, said.append)


def test_a_study_that_nobody_left_has_nothing_to_go_on_from(keeper, said):
    assert keeper.found is None
    assert keeper.found_states() == {}
    assert said == []
    assert sorted(Path("mlruns").glob("*/")) == []


def test_what_is_kept_is_found_by_the_next_process(keep, said, again):
    keep({4: state(2.0)})
    found = again()
    assert found.found.released == 1
    assert found.found_states().keys() == {4}
    assert found.found_states()[4].curves == {"val/loss": [2.0]}
    assert said == []


def test_what_is_kept_is_sent_after_the_checkpoint_that_names_it(keeper, run, monkeypatch):
    seen = []

    def save(checkpoint, path):
        (prepared,) = keeper.courier.outbox.folder.iterdir()
        assert keeper.courier.outbox.waiting() == []
        (news,) = keeper.courier.outbox.read(prepared)
        seen.append((checkpoint.released, path, [point.step for point in news.points]))

    monkeypatch.setattr("sweep.study.keeper.save", save)
    run.metrics({"val/loss": 1.0}, 1)
    keeper.keep({}, [run])
    assert seen == [(1, keeper.path, [1])]
    assert len(keeper.courier.outbox.waiting()) == 1


@pytest.mark.parametrize(
    "death",
    [
        ("sweep.tracking.outbox.Outbox.prepare", False),
        ("sweep.study.keeper.save", False),
        ("sweep.tracking.outbox.Outbox.release", True),
        ("sweep.tracking.courier.Courier._raise_broken", False),
    ],
)
def test_points_and_the_state_that_they_lead_to_count_both_or_neither(
    keeper, keep, again, monkeypatch, death
):
    (place, counts), run = death, keep.run
    keep({0: state(1.0)})

    def dies(*_):
        raise KeyboardInterrupt

    run.metrics({"val/loss": 0.5}, 2)
    with monkeypatch.context() as patch:
        patch.setattr(place, dies)
        with pytest.raises(KeyboardInterrupt):
            keeper.keep({0: state(0.5)}, [run])
    later = again()
    later.courier.send_left()
    assert run.steps("val/loss") == ({2} if counts else set())
    assert later.found_states()[0].curves == {"val/loss": [0.5 if counts else 1.0]}


def test_runs_of_which_nothing_is_new_are_not_in_the_letter(keeper, run, loop):
    quiet = Run.create(loop.tracker, "quiet", tags={})
    run.metrics({"val/loss": 1.0}, 1)
    keeper.keep({}, [quiet, run])
    (path,) = keeper.courier.outbox.waiting()
    assert [news.run for news in keeper.courier.outbox.read(path)] == [run.key]


def test_where_nothing_is_new_nothing_is_written(keeper, run):
    keeper.keep({0: state()}, [run])
    assert not keeper.path.exists()
    assert not keeper.courier.outbox.folder.exists()


def test_it_is_due_some_seconds_after_the_last_one(loop, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("sweep.study.keeper.time.monotonic", lambda: clock[0])
    keeper = Keeper(loop.study, loop.tracker)
    assert not keeper.is_due()
    clock[0] += SECONDS
    assert keeper.is_due()
    keeper.keep({}, [])
    assert not keeper.is_due()


def test_what_is_forgotten_is_gone_and_may_be_forgotten_twice(keeper, keep, said, again):
    keep({0: state()})
    keeper.forget()
    keeper.forget()
    assert again().found is None
    assert said == []


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_checkpoint_that_cannot_be_read_is_said_and_not_used(keeper, keep, said, content, again):
    keep({0: state()})
    keeper.path.write_bytes(keeper.path.read_bytes()[:-50] if content is None else content)
    later = again()
    assert later.found is None
    (line,) = said
    assert line.startswith(f"{keeper.path} cannot be read: ")
    assert line.endswith("; the trials that were in training begin anew")
    assert "\n" not in line


def test_a_checkpoint_that_may_not_be_read_is_said_and_not_used(
    keeper, keep, said, monkeypatch, again
):
    keep({0: state()})

    def refused(*_):
        raise PermissionError(13, "Permission denied", str(keeper.path))

    monkeypatch.setattr("sweep.study.keeper.load", refused)
    assert again().found is None
    assert "Permission denied" in said[0]


def test_a_checkpoint_of_another_environment_is_said_and_not_used(keep, again, said, monkeypatch):
    keep({0: state()})
    monkeypatch.setattr("sweep.study.keeper.environment", lambda: {"numpy": "0.1"})
    assert again().found is None
    (line,) = said
    assert line == (
        "the trials that were in training begin anew: they would not come out the same with other "
        "versions"
    )


def test_the_checkpoint_of_a_namesake_is_not_used(keeper, keep, loop, said):
    keep({0: state()})
    other = type(loop.study)(
        loop.study.optuna, loop.study.settings, "another identity", loop.study.storage
    )
    assert Keeper(other, loop.tracker, said.append).found is None
    assert load(keeper.path).study_id == loop.study.identity


def test_each_study_has_a_checkpoint_and_an_outbox_of_its_own(keeper, tiny_study):
    loop = tiny_study(study_name="other")
    other = Keeper(loop.study, loop.tracker)
    assert other.path != keeper.path
    assert other.courier.outbox.folder != keeper.courier.outbox.folder
