import json
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from PIL import Image

from sweep.analysis import (
    colour_trials,
    fetch_classifier,
    recorded_states,
    trial_key,
)
from sweep.errors import SweepError
from sweep.plots import PALE, result_colours
from sweep.search.lock import InterruptedStudyError
from sweep.search.record import open_study
from sweep.search.trials import Listener, Status, best_trial
from sweep.search_space import read_axes
from sweep.tracking import Mirror, champion_run
from sweep.tracking.client import Tracker
from sweep.tracking.undocumented import RUN_COLOUR

DIFFERS = ("sweep.git.", "sweep.study_id", "sweep.run_key")
"""What another time or commit may change."""
OPTIONS = {"pruner": "halving", "epochs": 4, "slots": 4}


@pytest.fixture
def run(run_tiny, image_npz):
    """Return a function that runs a study of images by halving."""
    return lambda trials=6, **changes: run_tiny(
        trials, **{"data": str(image_npz), **OPTIONS, **changes}
    )


@pytest.fixture
def images(workspace):
    return lambda: Tracker("images", workspace)


@pytest.fixture
def in_mlflow():
    """Return a function that tells all that MLflow has of a study's runs, by their names."""

    def tell(study, tracker):
        runs = tracker.runs(**study.tags)
        found = {
            run.data.tags["mlflow.runName"].replace(study.name, "study"): told(run, study, tracker)
            for run in runs
        }
        assert len(found) == len(runs)
        return found

    def told(run, study, tracker):
        client, tags = tracker.client, run.data.tags
        curves = {
            name: [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        for name, points in curves.items():
            assert len({step for step, _ in points}) == len(points), name
        return {
            "status": run.info.status,
            "parameters": run.data.params,
            "curves": curves,
            "tags": {
                name: value.replace(study.name, "study")
                for name, value in tags.items()
                if name.startswith(("sweep.", "mlflow.logged")) and not name.startswith(DIFFERS)
            },
            "inputs": sorted(
                (each.dataset.name, each.dataset.digest, each.tags[0].value)
                for each in run.inputs.dataset_inputs
            ),
            "files": files(Path(run.info.artifact_uri.removeprefix("file://"))),
        }

    return tell


def files(folder):
    """Return the pixels of images, and the bytes of other files."""
    return {
        str(path.relative_to(folder)): content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "class_weights" not in path.name and "curves" not in path.name
    }


def content(path):
    if path.suffix not in (".png", ".webp"):
        return path.read_bytes()
    with Image.open(path) as image:
        return image.size, image.convert("RGB").tobytes()


class Stopper(Listener):
    """Sends a signal at the end of a pass."""

    def __init__(self, passes):
        self.left, self.warnings = passes, []

    def pass_ended(self, training):
        del training
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)

    def warned(self, text):
        self.warnings.append(text)


@pytest.fixture
def digits(finished_study):
    """Return a finished study and its runs in MLflow."""
    return open_study("digits-softmax", finished_study), Tracker("digits", finished_study)


def test_a_finished_study_is_whole_in_both_stores_and_leaves_nothing_behind(
    digits, finished_study, in_both_stores
):
    study, tracker = digits
    in_both_stores(study, tracker)
    (parent,) = tracker.runs(role="study")
    assert parent.info.status == "FINISHED"
    best = best_trial(study.config, study.trials())
    assert parent.data.metrics["best/val_accuracy"] == best.last("val/accuracy")
    note = parent.data.tags["mlflow.note.content"]
    assert f"**Trial {best.number}**, best by val-accuracy" in note
    folder = Path(parent.info.artifact_uri.removeprefix("file://"))
    names = ("history", "importance", "parallel_coordinates", "slice")
    assert sorted(path.name for path in folder.rglob("*.png")) == [f"{n}.png" for n in names]
    experiment = tracker.client.get_experiment(tracker.experiment_id).tags
    assert "**digits**" in experiment["mlflow.note.content"]
    assert any(f"sweep-{study.identity}" in name for name in experiment)
    champion = champion_run(tracker, study.name)
    assert champion == Mirror(tracker).run_id(trial_key(study, best.number))
    assert all("mlflow.runColor" in run.data.tags for run in tracker.runs(role="trial"))
    assert not finished_study.checkpoint(study.name).exists()
    assert list(finished_study.pending(study.name).rglob("*.*")) == []


def test_complete_trials_have_an_image_slider_and_pruned_ones_their_last_image(digits):
    study, tracker = digits
    for trial in study.trials():
        (found,) = tracker.runs(trial=trial.number)
        folder = Path(found.info.artifact_uri.removeprefix("file://"))
        steps = {int(path.name.split("+")[2]) for path in folder.glob("images/*.png")}
        complete = trial.status == Status.COMPLETE
        assert steps == ({0, 1, 2} if complete else {trial.epochs, 2})
        assert (folder / "figures").exists() == complete
        assert ("final/train_loss" in found.data.metrics) == complete
        assert fetch_classifier(study, trial, tracker).digest == trial.weights_digest


def test_the_record_of_a_study_is_what_optunas_own_tools_read(finished_study, digits):
    study, _ = digits
    plain = optuna.load_study(
        study_name=study.name, storage=f"sqlite:///{finished_study.optuna_database}"
    )
    trials = study.trials()
    assert plain.best_value == best_trial(study.config, trials).last("val/accuracy")
    for frozen, trial in zip(plain.trials, trials, strict=True):
        assert frozen.params == trial.params
        assert list(frozen.intermediate_values.values()) == trial.curves["val/accuracy"]
        json.dumps(frozen.user_attrs, allow_nan=False)


def test_the_same_command_with_more_trials_goes_on_and_sends_only_what_is_new(
    run, images, in_both_stores
):
    first = run(4, slots=None).study.trials()
    before = {r.info.run_id: r.data.tags for r in images().runs(role="trial")}
    session = run(7, slots=None)
    assert session.study.trials()[:4] == first
    in_both_stores(session.study, images())
    after = {r.info.run_id: r.data.tags for r in images().runs(role="trial")}
    assert before.keys() < after.keys()


def test_figures_of_the_same_trials_are_drawn_once_unless_mlflow_lost_them(run, images):
    def drawn():
        (parent,) = images().runs(role="study")
        folder = Path(parent.info.artifact_uri.removeprefix("file://"))
        return (folder / "figures" / "history.png").stat().st_mtime_ns, parent.info.run_id

    run(4, slots=None)
    first, _ = drawn()
    run(4, slots=None)
    assert drawn()[0] == first
    run(5, slots=None)
    second, run_id = drawn()
    assert second > first
    images().client.delete_run(run_id)
    run(5, slots=None)
    assert drawn()[0] > second


def test_an_interrupted_study_goes_on_to_what_an_unbroken_one_comes_to(
    run, images, outcome, in_mlflow
):
    unbroken = run(study="unbroken").study
    for passes in (1, 3):  # the second time the first two are played again
        with pytest.raises(InterruptedStudyError, match=r"SIGINT.*goes on from here"):
            run(study="broken", listener=Stopper(passes))
        runs = images().runs(role="trial", study="broken")
        assert {found.info.status for found in runs} <= {"FINISHED", "KILLED"}
    broken = run(study="broken").study
    assert outcome(broken) == outcome(unbroken)
    assert in_mlflow(broken, images()) == in_mlflow(unbroken, images())


def test_a_study_whose_checkpoint_was_lost_has_every_point_once_in_mlflow(
    run, images, workspace, outcome
):
    unbroken = run(study="unbroken").study
    with pytest.raises(InterruptedStudyError):
        run(study="broken", listener=Stopper(2))
    workspace.checkpoint("broken").unlink()
    broken = run(study="broken").study
    assert outcome(broken) == outcome(unbroken)
    tracker = images()
    for trial in broken.trials():
        (found,) = tracker.runs(trial=trial.number, study="broken")
        points = tracker.client.get_metric_history(found.info.run_id, "val/loss")
        assert [(p.step, p.timestamp) for p in points] == list(enumerate(trial.times, 1))


def test_a_store_that_was_lost_is_filled_from_the_record(run, workspace, images):
    study = run().study
    with closing(sqlite3.connect(workspace.mlflow_database)) as database, database:
        tables = ("latest_metrics", "metrics", "params", "tags")
        for table in tables:
            database.execute(f"DELETE FROM {table}")  # noqa: S608
        database.execute("UPDATE runs SET lifecycle_stage = 'deleted'")
    listener = Stopper(0)
    again = run(listener=listener)
    assert again.operations == 0
    tracker = images()
    for trial in study.trials():
        (found,) = tracker.runs(trial=trial.number)
        assert found.info.status == trial.status.mlflow
        points = tracker.client.get_metric_history(found.info.run_id, "val/loss")
        assert [point.value for point in points] == trial.curves["val/loss"]
    assert any("champion" in warning for warning in listener.warnings)  # its weights are gone


def test_a_study_whose_time_is_up_begins_nothing_more_and_says_so(run):
    session = run(50, seconds=1e-9)
    assert session.why == "the time of 1e-09 s is up"
    assert all(trial.status != Status.RUNNING for trial in session.study.trials())


def test_a_study_in_which_every_trial_fails_ends_with_what_to_change(run, images, workspace):
    with pytest.raises(SweepError, match="10 trials in a row failed, the last: diverged"):
        run(12, axes=read_axes(None, ["learning_rate=1e6", "l2=1", "batch_size=2"]))
    study = open_study("images-softmax", workspace)
    failed = [trial for trial in study.trials() if trial.status == Status.FAILED]
    assert len(failed) >= 10
    runs = images().runs(role="trial")
    assert {found.info.status for found in runs} == {"FAILED"}


def test_the_better_a_trial_the_darker_its_run_in_a_hue_of_its_study(
    make_study, make_config, make_trial, tracker
):
    trials = [
        make_trial(0, [0.5]),
        make_trial(1, [0.9], status="pruned"),
        make_trial(2, [0.7]),
        make_trial(3, [0.1], status="failed"),
        make_trial(4, [0.6], status="running"),
    ]
    mirror, studies = Mirror(tracker), []
    for family, name in enumerate(("one", "two")):
        studies.append(make_study(make_config(study=name), trials))
        for state in recorded_states(studies[-1]):
            mirror.update(replace(state, began=1 + family))
    for study in (*reversed(studies), *studies):
        colour_trials(tracker, study)
    for family, study in enumerate(studies):
        runs = tracker.runs(role="trial", **study.tags)
        colours = {int(r.data.tags["sweep.trial"]): r.data.tags[RUN_COLOUR] for r in runs}
        dark, light = result_colours(2, family=family)
        assert colours == {0: light, 1: PALE, 2: dark, 3: PALE}
