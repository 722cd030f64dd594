"""A real study in real stores, Optuna's, MLflow's and files, that dies and is run again."""

import pytest
from doubles import Fate, Watcher, dying, outcome

from sweep.analysis.runs import StudyMirror, draw_pending, study_state
from sweep.engine import LocalEngine
from sweep.search.checkpoint import Checkpoints
from sweep.search.lock import Interrupts
from sweep.search.record import begin_study, open_study
from sweep.search.runner import Runner
from sweep.search.storage import create_storage
from sweep.search.trials import Status
from sweep.timings import Timings
from sweep.tracking import Mirror
from sweep.tracking.client import Tracker

TRIALS = 5
WRITES = {
    "create_run",
    "log_artifacts",
    "log_batch",
    "log_inputs",
    "set_tag",
    "set_terminated",
    "update_run",
}


class CountedClient:
    """A client of MLflow of which each writing call counts."""

    def __init__(self, client, fate):
        self._client, self._fate = client, fate

    def __getattr__(self, name):
        call = getattr(self._client, name)
        if name not in WRITES:
            return call

        def counted(*given, **more):
            self._fate.write()
            return call(*given, **more)

        return counted


class AtOnce:
    """Sends what it is handed at once, where `BackgroundMirror` sends it soon."""

    def __init__(self, mirror):
        self._mirror = mirror

    def update(self, states):
        for state in states:
            self._mirror.update(draw_pending(state, self._mirror))


class EveryOtherPass(Checkpoints):
    """Due after every second pass, and each is a write that counts."""

    fate, _asked = Fate(), 0

    def is_due(self):
        self._asked += 1
        return self._asked % 2 == 0

    def save(self, trials):
        self.fate.write()
        super().save(trials)
        self.fate.write()


@pytest.fixture
def config(make_config):
    return make_config(sampler="random", epochs=4, slots=4, lanes=2, train_curve="all")


def run(config, data, workspace, fate):
    """Run the study in a process of its own, until it is done or dies."""
    storage, tracker = create_storage(workspace), Tracker("tiny", workspace)
    tracker.client = CountedClient(tracker.client, fate)
    timings = Timings()
    engine = LocalEngine(
        data,
        loss="softmax",
        lanes=2,
        workers=1,
        timings=timings,
        train_curve="all",
        further=config.further,
    )
    with dying(storage, fate), engine:
        study = begin_study(config, storage, workspace)
        mirror = Mirror(tracker)
        shown = StudyMirror(study, data, AtOnce(mirror))
        shown.begin(mirror.finished_keys(**study.tags))
        checkpoints = EveryOtherPass(workspace.checkpoint(study.name), study.identity, print)
        checkpoints.fate = fate
        Runner(
            config,
            data,
            record=study,
            engine=engine,
            checkpoints=checkpoints,
            pending=workspace.pending(study.name),
            mirror=shown,
            listener=Watcher(),
            timings=timings,
        ).run(TRIALS, Interrupts())
        mirror.update(study_state(study, study.trials(), data, note="", status="FINISHED"))
    storage.remove_session()
    storage.engine.dispose()


def outcomes(workspace):
    """Return what both stores have of the study, without times, and the files that are left."""
    study = open_study("tiny-softmax", workspace)
    left = [path for path in workspace.folder.rglob("*") if path.is_file()]
    return (
        [outcome(trial) for trial in study.trials()],
        in_mlflow(Tracker("tiny", workspace), study),
        sorted(str(path.relative_to(workspace.folder)) for path in left if is_ours(path)),
    )


def is_ours(path):
    return "artifacts" not in path.parts and not path.name.startswith(("optuna.db", "mlflow.db"))


def in_mlflow(tracker, study):
    """Return what MLflow has of the study, by the names of the runs; no times and no ids."""
    client, found = tracker.client, {}
    for run in tracker.runs(**study.tags):
        run_id, tags = run.info.run_id, run.data.tags
        history = {
            name: [(p.step, p.value) for p in client.get_metric_history(run_id, name)]
            for name in run.data.metrics
        }
        parent = tags.get("mlflow.parentRunId")
        assert run.info.run_name not in found
        found[run.info.run_name] = {
            "status": run.info.status,
            "parameters": run.data.params,
            "metrics": history,
            "tags": {
                name: value
                for name, value in tags.items()
                if name.startswith("sweep.") and name not in ("sweep.study_id", "sweep.run_key")
            },
            "parent": parent and client.get_run(parent).info.run_name,
            "inputs": len(run.inputs.dataset_inputs),
            "files": sorted(files(client, run_id)),
        }
    return found


def files(client, run_id, path=None):
    for entry in client.list_artifacts(run_id, path):
        if entry.is_dir:
            yield from files(client, run_id, entry.path)
        else:
            yield entry.path, entry.file_size if entry.path.endswith(".npz") else None


@pytest.fixture
def check(config, tiny_data, workspace, furnish):
    """Return a function that lets the study die in place of some writes, and then finish it."""
    unbroken = Fate()
    run(config, tiny_data, workspace, unbroken)
    expected = outcomes(workspace)

    def died(moments):
        for last in moments(unbroken.writes):
            (folder := workspace.root / f"{last}").mkdir()
            place, fate = furnish(folder), Fate(last)
            run(config, tiny_data, place, fate)
            assert fate.died
            run(config, tiny_data, place, Fate())
            found = outcomes(place)
            for part, whole in zip(found, expected, strict=True):
                assert part == whole, last

    died.expected = expected
    return died


def test_a_real_study_that_dies_at_a_write_ends_as_the_unbroken_one(check):
    trials, runs, left = check.expected
    statuses = [trial["status"] for trial in trials]
    assert set(statuses) == {Status.COMPLETE, Status.PRUNED}
    assert runs.keys() == {"tiny-softmax", *(f"trial-{n:03d}" for n in range(TRIALS))}
    assert {run["parent"] for name, run in runs.items() if "trial" in name} == {"tiny-softmax"}
    assert left == ["initialize.lock"]
    check(lambda writes: [writes // 3, writes - 2])


@pytest.mark.slow
def test_a_real_study_that_dies_at_any_seventh_write_ends_as_the_unbroken_one(check):
    check(lambda writes: range(0, writes, 7))
