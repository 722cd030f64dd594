"""What MLflow may have wrong, what is said of it, and that a repair puts it right."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from sweep.analysis import fetch_classifier, trial_state
from sweep.analysis.runs import keep_run, kept_files
from sweep.doctor import Repaired, repair
from sweep.doctor.agreement import compare, waiting_files
from sweep.errors import SweepError
from sweep.search.lock import study_lock
from sweep.search.record import open_study
from sweep.search.trials import Status
from sweep.tracking import COMPLETE, KEY
from sweep.tracking.client import Tracker


class Folder:
    """The copied study, to be spoilt."""

    def __init__(self, workspace):
        self.workspace = workspace
        self.study = open_study("digits-softmax", workspace)
        self.tracker = Tracker("digits", workspace)
        self.client = self.tracker.client

    @property
    def runs(self):
        """The ids of the trials' runs, by number."""
        runs = self.tracker.runs(role="trial")
        return {int(run.data.tags["sweep.trial"]): run.info.run_id for run in runs}

    def said(self):
        return sorted(each.message for each in compare(self.study, self.tracker))

    def execute(self, statement, *values):
        """Change MLflow's database behind its back: it takes nothing back."""
        with closing(sqlite3.connect(self.workspace.mlflow_database)) as connection:
            connection.execute(statement, values)
            connection.commit()

    def copy_of(self, number, **changes):
        tags = self.client.get_run(self.runs[number]).data.tags | changes
        experiment = self.tracker.experiment_id
        return self.client.create_run(experiment, tags=tags).info.run_id

    def dump(self):
        with closing(sqlite3.connect(self.workspace.mlflow_database)) as connection:
            return "\n".join(connection.iterdump())


@pytest.fixture
def folder(copied_study):
    return Folder(copied_study)


def test_a_finished_study_agrees_and_is_left_as_it_is(folder):
    assert folder.said() == []
    before = folder.dump()
    assert repair(folder.study) == Repaired(0)
    assert folder.dump() == before


def test_what_mlflow_lacks_is_said_and_filled_in(folder, in_both_stores):
    runs, client = folder.runs, folder.client
    (study,) = folder.tracker.runs(role="study")
    client.update_run(study.info.run_id, status="RUNNING")
    client.delete_run(runs[0])
    client.update_run(runs[1], status="RUNNING")
    client.delete_tag(runs[2], COMPLETE)
    where = "FROM metrics WHERE run_uuid = ? AND key = 'val/cost'"
    folder.execute(f"DELETE {where} AND step = 1", runs[3])
    for table in ("metrics", "latest_metrics"):
        for number, name in ((1, "val/loss"), (5, "best/epoch")):
            statement = f"DELETE FROM {table} WHERE run_uuid = ? AND key = ?"  # noqa: S608
            folder.execute(statement, runs[number], name)
    folder.execute("DELETE FROM params WHERE run_uuid = ? AND key = 'l2'", runs[4])
    status = folder.study.trial(1).status.mlflow
    assert folder.said() == [
        "the study's run is RUNNING, although nobody runs it",
        "trial 0 has no run",
        f"trial 1: its run is RUNNING, not {status}",
        "trial 1: val/loss is missing in epoch 1 and 1 more",
        "trial 2: its run was never completed",
        "trial 3: val/cost is missing in epoch 1",
        "trial 4: l2 is missing",
        "trial 5: best/epoch is missing",
    ]
    assert repair(folder.study) == Repaired(8)
    assert folder.said() == []
    in_both_stores(folder.study, folder.tracker)
    assert {**folder.runs, 0: runs[0]} == runs
    before = folder.dump()
    assert repair(folder.study) == Repaired(0)
    assert folder.dump() == before


def test_what_mlflow_has_wrong_is_said_and_made_anew_with_its_files(folder, in_both_stores):
    runs, client = folder.runs, folder.client
    client.log_metric(runs[0], "val/loss", 0.5, step=1)
    client.log_metric(runs[1], "train/learning_rate", 0.5, step=3)
    folder.execute(
        "UPDATE metrics SET value = 0.25 WHERE run_uuid = ? AND key = 'val/cost' AND step = 1",
        runs[2],
    )
    folder.execute("UPDATE params SET value = '7' WHERE run_uuid = ? AND key = 'l2'", runs[3])
    folder.execute(
        "UPDATE latest_metrics SET value = 7 WHERE run_uuid = ? AND key = 'best/epoch'", runs[4]
    )
    second = folder.copy_of(5)
    (study,) = folder.tracker.runs(role="study")
    stray = folder.copy_of(5, **{KEY: f"{folder.study.identity}/trial-077"})
    l2 = folder.study.trial(3).params["l2"]
    accuracies = folder.study.trial(4).curves["val/accuracy"]
    best = accuracies.index(max(accuracies)) + 1
    assert folder.said() == [
        "run trial-005 stands in no record",
        "trial 0: val/loss is another in epoch 1",
        "trial 1: train/learning_rate is another in epoch 3",
        "trial 2: val/cost is another in epoch 1",
        f"trial 3: l2 is 7, not {l2}",
        f"trial 4: best/epoch is 7.0, not {best}",
        "trial 5 has 2 runs",
    ]
    assert repair(folder.study) == Repaired(7, replaced=(0, 1, 2, 3, 4))
    assert folder.said() == []
    in_both_stores(folder.study, folder.tracker)
    assert {number for number in runs if folder.runs[number] != runs[number]} == {0, 1, 2, 3, 4}
    for run in (runs[0], second, stray):
        assert client.get_run(run).info.lifecycle_stage == "deleted"
    assert client.get_run(study.info.run_id).info.lifecycle_stage == "active"
    best = folder.study.trial(1)
    assert fetch_classifier(folder.study, best, folder.tracker).digest == best.weights_digest
    assert client.list_artifacts(folder.runs[1], "figures")
    before = folder.dump()
    assert repair(folder.study) == Repaired(0)
    assert folder.dump() == before


def test_a_lost_mlflow_store_is_made_anew_from_the_record(
    folder, in_both_stores, empty_mlflow_database
):
    database = shutil.copy(empty_mlflow_database, folder.workspace.folder / "new.db")
    tracker = Tracker("digits", folder.workspace, uri=f"sqlite:///{database}")
    assert len(compare(folder.study, tracker)) == 7
    assert repair(folder.study, tracker.uri).changes == 7
    assert compare(folder.study, tracker) == []
    in_both_stores(folder.study, tracker)


def test_a_deleted_experiment_is_brought_back_with_its_runs(folder, in_both_stores):
    folder.client.delete_experiment(folder.tracker.experiment_id)
    assert repair(folder.study) == Repaired(1)
    assert folder.said() == []
    in_both_stores(folder.study, folder.tracker)


def test_files_and_runs_that_wait_are_sent(folder):
    best = folder.study.trial(1)
    waiting = folder.workspace.pending("digits-softmax") / "trial-001" / "new"
    waiting.mkdir(parents=True)
    (waiting / "file").write_text("words")
    assert repair(folder.study) == Repaired(1)
    (new,) = folder.client.list_artifacts(folder.runs[1], "new")
    assert new.path == "new/file"
    assert not waiting.exists()
    assert fetch_classifier(folder.study, best, folder.tracker).digest == best.weights_digest
    study, trial = folder.study, folder.study.trial(1)
    files = kept_files(study, "reproduce-trial-001")
    keep_run(replace(trial_state(study, trial, None), key="again", name="again", files=files))
    assert len(waiting_files(study)) == 1
    assert repair(study) == Repaired(1)
    assert waiting_files(study) == []
    assert [run.info.run_name for run in folder.tracker.runs(run_key="again")] == ["again"]


def test_a_trial_that_has_not_ended_is_left_to_the_next_run(folder):
    begun = replace(folder.study.trials()[0], number=-1, index=6, status=Status.RUNNING)
    folder.study.begin(begun, None)
    assert folder.said() == []


def test_a_study_that_is_being_run_is_not_touched(folder):
    runs = folder.runs
    folder.client.log_metric(runs[4], "val/loss", 0.5, step=1)
    with (
        study_lock(folder.workspace, "digits-softmax"),
        pytest.raises(SweepError, match="is being run by process"),
    ):
        repair(folder.study)
    assert folder.runs == runs


def test_without_its_data_nothing_is_deleted(folder):
    runs = folder.runs
    folder.client.log_metric(runs[4], "val/loss", 0.5, step=1)
    config = folder.study.config
    data = replace(config.data, source="/gone.npz")
    with pytest.raises(SweepError, match=r"/gone\.npz"):
        repair(replace(folder.study, config=replace(config, data=data)))
    assert folder.runs == runs
