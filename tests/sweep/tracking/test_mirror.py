"""MLflow is brought up to date by state: in a real store, and on a thread before a double."""

import threading
import time
from dataclasses import replace

import pytest
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from sweep.errors import StoreUnreachableError
from sweep.tracking.client import Tracker
from sweep.tracking.mirror import COMPLETE, BackgroundMirror, Mirror, RunState

BEGAN = 1_700_000_000_000


def make_files(folder):
    """Put the files of a run into a folder."""
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "curves.png").write_bytes(b"png")
    (folder / "classifier.npz").write_bytes(b"npz")
    return folder


@pytest.fixture
def files(tmp_path):
    """Return a folder with the files of a run."""
    return make_files(tmp_path / "pending" / "trial-000")


@pytest.fixture
def mirror(tracker):
    return Mirror(tracker)


def state(epochs=2, **changes):
    """Return the state of a run that trains."""
    usual = {
        "key": "s/trial-000",
        "name": "trial-000",
        "parameters": {"l2": 0.1, "epochs": 3},
        "curves": {"val/loss": [0.9, 0.8, 0.7][:epochs], "val/accuracy": [0.1, None, 0.3][:epochs]},
        "times": [BEGAN + 10, BEGAN + 20, BEGAN + 30][:epochs],
        "tags": {"role": "trial", "status": "running"},
        "note": "**trains**",
        "inputs": [
            {"name": "tiny", "digest": "d", "source": "{}", "profile": "{}", "context": "train"}
        ],
        "began": BEGAN,
    }
    return RunState(**{**usual, **changes})


def ended(files=None, **changes):
    """Return the state of a run that is over."""
    return state(
        3,
        **{
            "metrics": {"final/train_loss": 0.5},
            "tags": {"role": "trial", "status": "complete"},
            "note": "**over**",
            "status": "FINISHED",
            "ended": BEGAN + 40,
            "final": True,
            "files": files,
        }
        | changes,
    )


def told(tracker, name=None):
    """Return all that the store has of its one active run."""
    (run,) = [run for run in tracker.runs() if name in (None, run.info.run_name)]
    client, run_id = tracker.client, run.info.run_id
    points = {
        metric: [(p.step, p.value, p.timestamp) for p in client.get_metric_history(run_id, metric)]
        for metric in run.data.metrics
    }
    return {
        "id": run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        "times": (run.info.start_time, run.info.end_time),
        "parameters": run.data.params,
        "points": points,
        "tags": run.data.tags,
        "inputs": len(run.inputs.dataset_inputs),
        "files": sorted(each.path for each in client.list_artifacts(run_id)),
    }


def test_a_run_has_all_of_its_state(tracker, mirror, files):
    run_id = mirror.update(ended(files))
    found = told(tracker)
    assert (found["id"], found["name"], found["status"]) == (run_id, "trial-000", "FINISHED")
    assert found["times"] == (BEGAN, BEGAN + 40)
    assert found["parameters"] == {"l2": "0.1", "epochs": "3"}
    assert found["points"] == {
        "val/loss": [(1, 0.9, BEGAN + 10), (2, 0.8, BEGAN + 20), (3, 0.7, BEGAN + 30)],
        "val/accuracy": [(1, 0.1, BEGAN + 10), (3, 0.3, BEGAN + 30)],
        "final/train_loss": [(0, 0.5, BEGAN + 40)],
    }
    tags = found["tags"]
    assert (tags["sweep.role"], tags["sweep.status"]) == ("trial", "complete")
    assert tags["mlflow.note.content"] == "**over**"
    assert tags[COMPLETE] == "True"
    assert found["inputs"] == 1
    assert found["files"] == ["classifier.npz", "figures"]


def test_files_are_removed_once_they_have_arrived_and_not_before(tracker, mirror, files):
    mirror.update(state(files=files))
    assert files.is_dir()
    assert told(tracker)["files"] == []
    mirror.update(ended(files))
    assert not files.exists()
    mirror.update(ended(files))
    assert len(told(tracker)["files"]) == 2


def test_sending_twice_changes_nothing(tracker, files):
    once = Mirror(tracker)
    for shown in (state(0), state(1), state(2), ended(files)):
        once.update(shown)
    before = told(tracker)
    for mirror in (once, Mirror(tracker)):
        for shown in (ended(), ended()):
            mirror.update(shown)
        assert told(tracker) == before


class FailingClient:
    """A client whose writing call number `last` fails, after it has done what it was asked."""

    def __init__(self, client, last):
        self._client, self._last, self.calls = client, last, 0

    def __getattr__(self, name):
        call = getattr(self._client, name)
        if not name.startswith(("log_", "set_", "create_", "update_")):
            return call

        def fails(*given, **more):
            result = call(*given, **more)
            self.calls += 1
            if self.calls == self._last:
                raise MlflowException("the answer was lost")
            return result

        return fails


def test_what_was_sent_in_part_is_completed_by_sending_it_again(tracker, tmp_path):
    def tell(name):
        return {k: v for k, v in told(tracker, name).items() if k not in ("id", "name", "tags")}

    client = tracker.client
    counting = FailingClient(client, None)
    tracker.client = counting
    Mirror(tracker).update(ended(make_files(tmp_path / "whole"), key="whole", name="whole"))
    tracker.client = client
    assert counting.calls >= 6
    for last in range(1, counting.calls + 1):
        name = f"run-{last}"
        shown = ended(make_files(tmp_path / name), key=name, name=name)
        mirror = Mirror(tracker)
        tracker.client = FailingClient(client, last)
        with pytest.raises(StoreUnreachableError, match="the answer was lost"):
            mirror.update(shown)
        tracker.client = client
        assert shown.files.exists()
        (mirror if last % 2 else Mirror(tracker)).update(shown)
        assert tell(name) == tell("whole")
        assert not shown.files.exists()


def test_metrics_beyond_what_a_call_takes_are_sent_in_several(tracker, mirror):
    epochs = 1200
    mirror.update(
        state(
            curves={"val/loss": [float(i) for i in range(epochs)]},
            times=[BEGAN + i for i in range(epochs)],
            parameters={f"p{i}": i for i in range(150)},
            tags={f"t{i}": i for i in range(150)},
        )
    )
    found = told(tracker)
    assert [value for _, value, _ in found["points"]["val/loss"]] == list(range(epochs))
    assert len(found["parameters"]) == 150
    assert found["tags"]["sweep.t149"] == "149"


def test_the_status_follows_the_state_in_one_run_whichever_process_sends_it(tracker):
    runs = set()
    for shown, status in (
        (state(1), "RUNNING"),
        (state(1, status="KILLED", ended=BEGAN + 15), "KILLED"),
        (state(2), "RUNNING"),
        (ended(status="FAILED"), "FAILED"),
    ):
        Mirror(tracker).update(shown)
        found = told(tracker)
        assert found["status"] == status
        assert [value for _, value, _ in found["points"]["val/loss"]] == shown.curves["val/loss"]
        assert Mirror(tracker).run_id(shown.key) == found["id"]
        runs.add(found["id"])
    assert len(runs) == 1
    assert told(tracker)["times"] == (BEGAN, BEGAN + 40)


def test_trials_stand_under_their_study(tracker, mirror):
    study = mirror.update(state(0, key="s", name="study"))
    trial = mirror.update(state(1, parent="s"))
    other = Mirror(tracker).update(state(1, key="s/trial-001", parent="s"))
    for run_id in (trial, other):
        assert tracker.client.get_run(run_id).data.tags["mlflow.parentRunId"] == study


def test_only_runs_that_lack_something_are_sent_at_a_start(tracker, mirror):
    tags = {"study": "digits", "study_id": "s1"}
    mirror.update(ended(key="one", tags=tags))
    unfinished = mirror.update(state(key="two", tags=tags))
    mirror.update(ended(key="three", tags=tags | {"study_id": "s2"}))
    again = Mirror(tracker)
    assert again.finished_keys(**tags) == {"one"}
    assert again.update(state(2, key="two", tags=tags)) == unfinished
    assert len(tracker.runs(run_key="two")) == 1


def test_a_deleted_run_is_made_anew(tracker, mirror, files):
    first = mirror.update(state(2))
    tracker.client.delete_run(first)
    second = mirror.update(ended(files))
    found = told(tracker)
    assert found["id"] == second != first
    assert [step for step, *_ in found["points"]["val/loss"]] == [1, 2, 3]
    assert found["tags"][COMPLETE] == "True"
    deleted = tracker.client.search_runs(
        [tracker.experiment_id], run_view_type=ViewType.DELETED_ONLY
    )
    assert [run.info.run_id for run in deleted] == [first]


def test_points_that_will_be_measured_again_are_discarded_with_their_run(tracker, mirror):
    first = mirror.update(state(2))
    mirror.discard("s/trial-000")
    later = [BEGAN + 1010, BEGAN + 1020, BEGAN + 1030]
    second = mirror.update(ended(times=later))
    assert first != second
    found = told(tracker)
    assert [(step, at) for step, _, at in found["points"]["val/loss"]] == [
        (i + 1, at) for i, at in enumerate(later)
    ]
    assert found["parameters"] == {"l2": "0.1", "epochs": "3"}


def test_a_run_without_points_stays_when_its_trial_begins_anew(mirror):
    run_id = mirror.update(state(0))
    mirror.discard("s/trial-000")
    mirror.discard("s/trial-001")  # MLflow has never heard of it
    assert mirror.update(ended()) == run_id


def test_a_run_of_the_same_key_in_another_experiment_is_another_run(tracker, workspace):
    Mirror(tracker).update(state(1))
    other = Tracker("other", workspace)
    Mirror(other).update(state(2))
    assert told(tracker)["id"] != told(other)["id"]
    assert len(told(tracker)["points"]["val/loss"]) == 1


def test_a_parent_that_comes_later_is_found_by_its_trials(tracker, mirror):
    trial = mirror.update(state(1, parent="s"))
    study = mirror.update(state(0, key="s", name="study"))
    mirror.update(replace(ended(), parent="s"))
    assert tracker.client.get_run(trial).data.tags["mlflow.parentRunId"] == study


# On a thread of its own, before a store that may be away


class FakeMirror:
    """Keeps what arrives; while `away` is set, and for the keys in `refused`, it fails."""

    def __init__(self):
        self.arrived, self.attempts = [], 0
        self.away, self.refused = threading.Event(), set()
        self.open, self.attempted = threading.Event(), threading.Event()
        self.open.set()

    def update(self, state):
        self.attempts += 1
        self.attempted.set()
        assert self.open.wait(30)
        if self.away.is_set():
            raise StoreUnreachableError("the store is away")
        if state.key in self.refused:
            raise StoreUnreachableError(f"{state.key} is refused")
        self.arrived.append((state.key, len(state.times)))
        self.attempted.set()

    def wait_for(self, attempts=0, arrived=0):
        """Wait until so many attempts were made, and so many of them succeeded."""
        while self.attempts < attempts or len(self.arrived) < arrived:
            self.attempted.clear()
            if self.attempts < attempts or len(self.arrived) < arrived:
                assert self.attempted.wait(30)


@pytest.fixture
def fake():
    return FakeMirror()


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def background(fake, warnings):
    with BackgroundMirror(fake, warnings.append, pause=0.001) as background:
        yield background


def waiting(key, epochs=0, **changes):
    return RunState(key=key, name=key, times=list(range(epochs)), began=0, **changes)


def test_states_arrive_in_order_and_before_the_end(fake, background, warnings):
    for epochs in range(3):
        background.update([waiting("a", epochs), waiting("b", epochs)])
    assert background.close() == []
    assert fake.arrived[-2:] == [("a", 2), ("b", 2)]
    assert sorted(fake.arrived) == sorted(set(fake.arrived))
    assert warnings == []


def test_the_latest_state_of_a_run_wins(fake, background):
    fake.open.clear()
    background.update([waiting("first")])
    fake.wait_for(1)
    for epochs in range(5):
        background.update([waiting("a", epochs), waiting("b", epochs)])
    background.update([waiting("a", 9)])
    fake.open.set()
    assert background.close() == []
    assert fake.arrived == [("first", 0), ("b", 4), ("a", 9)]


def test_while_the_store_is_away_states_wait_and_one_warning_is_given(fake, background, warnings):
    fake.away.set()
    background.update([waiting("a", 1), waiting("b", 1), waiting("a", 2)])
    fake.wait_for(6)
    assert len(warnings) == 1
    assert "the store is away" in warnings[0]
    fake.away.clear()
    assert background.close() == []
    assert sorted(fake.arrived) == [("a", 2), ("b", 1)]
    assert len(warnings) == 2
    assert "again" in warnings[1]


def test_a_state_that_comes_while_an_older_one_fails_is_not_lost_to_it(fake, background):
    fake.away.set()
    fake.open.clear()
    background.update([waiting("a", 1)])
    fake.wait_for(1)
    background.update([waiting("a", 2)])
    fake.open.set()
    fake.wait_for(3)
    fake.away.clear()
    assert background.close() == []
    assert fake.arrived == [("a", 2)]


def test_a_run_that_is_refused_keeps_no_other_waiting_and_is_warned_of_once(
    fake, background, warnings
):
    fake.refused.add("bad")
    background.update([waiting("bad")])
    for n in range(5):
        background.update([waiting(f"good {n}")])
        fake.wait_for(arrived=n + 1)
    (left,) = background.close(seconds=0)
    assert left.key == "bad"
    assert [key for key, _ in fake.arrived] == [f"good {n}" for n in range(5)]
    assert len(warnings) == 1
    assert "bad is refused" in warnings[0]


def test_a_parent_goes_before_its_trials_whatever_changed_last(fake, background):
    fake.away.set()
    background.update([waiting("study")])
    fake.wait_for(1)
    background.update([waiting("trial", parent="study"), waiting("other", parent="study")])
    fake.wait_for(4)
    background.update([replace(waiting("study"), times=[1])])
    fake.wait_for(6)
    fake.away.clear()
    assert background.close() == []
    assert fake.arrived[0] == ("study", 1)
    assert {key for key, _ in fake.arrived} == {"study", "trial", "other"}


def test_the_end_waits_no_longer_for_a_store_that_is_away_than_it_is_told(
    fake, background, warnings
):
    fake.away.set()
    background.update([waiting("a", 1), waiting("b", 1)])
    fake.wait_for(2)
    before = fake.attempts
    left = background.close(seconds=0.5)
    assert sorted(each.key for each in left) == ["a", "b"]
    assert fake.arrived == []
    assert fake.attempts > before
    assert len(warnings) == 1
    assert background.close(seconds=0) == left


def test_the_end_of_a_study_whose_store_comes_back_in_time_leaves_nothing(fake, background):
    fake.away.set()
    background.update([waiting("a", 1)])
    fake.wait_for(2)
    threading.Timer(0.01, fake.away.clear).start()
    assert background.close(seconds=30) == []
    assert fake.arrived == [("a", 1)]


def test_the_block_ends_without_waiting_where_it_is_left_by_an_error(fake, warnings):
    def fails(background):
        background.update([waiting("a")])
        raise KeyError

    fake.away.set()
    with BackgroundMirror(fake, warnings.append) as background, pytest.raises(KeyError):
        fails(background)
    assert fake.arrived == []


def test_a_mistake_of_ours_is_raised_at_the_next_pass(fake, background, warnings):
    fake.update = lambda state: state.nothing

    def go_on():
        for _ in range(3_000):
            background.update([waiting("a")])
            time.sleep(0.01)

    with pytest.raises(AttributeError):
        go_on()
    background.close()
    assert warnings == []
