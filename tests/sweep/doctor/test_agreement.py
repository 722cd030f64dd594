import math
import sqlite3
import sys
from contextlib import closing

import pytest

from sweep.doctor.agreement import Remedy, compare_points, recorded_curves
from sweep.doctor.studies import compare, read_copy
from sweep.study.opening import load_study
from sweep.study.storage import open_storage
from sweep.tracking.tracker import DEFAULT_URI, Tracker

pytestmark = pytest.mark.usefixtures("in_copied_study")


class Folder:
    """The copied study, to be spoilt."""

    def __init__(self):
        self.study = load_study("digits-softmax", open_storage())
        self.client = Tracker("digits").client
        runs = read_copy(self.study, DEFAULT_URI).of_role("trial")
        self.runs = {int(run.data.tags["sweep.trial"]): run.info.run_id for run in runs}

    def found(self):
        return compare(self.study, read_copy(self.study, DEFAULT_URI))

    def said(self):
        return [(str(one), one.remedy) for one in self.found()]


@pytest.fixture
def folder():
    return Folder()


def forget(statement, *values):
    """Change MLflow's database behind its back: it takes no point back."""
    with closing(sqlite3.connect("mlruns/mlflow.db")) as connection:
        connection.execute(statement, values)
        connection.commit()


def test_a_finished_study_agrees(folder):
    assert folder.found() == []


def test_a_run_that_is_gone_is_missed(folder):
    folder.client.delete_run(folder.runs[2])
    assert folder.said() == [("trial 2: has no run", Remedy.RECONCILE)]


def test_a_run_that_runs_although_its_trial_has_ended_is_said(folder):
    folder.client.update_run(folder.runs[2], status="RUNNING")
    assert folder.said() == [("trial 2: its run is RUNNING, not FINISHED", Remedy.RECONCILE)]


def test_a_run_without_the_tag_that_vouches_for_it_was_never_completed(folder):
    folder.client.delete_tag(folder.runs[2], "sweep.whole")
    assert folder.said() == [("trial 2: its run was never completed", Remedy.RECONCILE)]


def test_a_doubled_point_is_said(folder):
    folder.client.log_metric(folder.runs[2], "val/loss", 0.5, step=1)
    assert folder.said() == [
        ("trial 2: val/loss has more than one point of epoch 1", Remedy.REPLACE)
    ]


def test_a_point_too_many_is_said(folder):
    folder.client.log_metric(folder.runs[2], "train/learning_rate", 0.5, step=3)
    (found,) = folder.found()
    assert str(found) == "trial 2: train/learning_rate has points of epoch 3, beyond the record"
    assert found.run == folder.runs[2]


def test_a_missing_point_is_said(folder):
    forget("DELETE FROM metrics WHERE run_uuid = ? AND key = 'val/cost' AND step = 1",
           folder.runs[2])  # fmt: skip
    assert folder.said() == [("trial 2: val/cost lacks epoch 1", Remedy.COMPLETE)]


def test_a_missing_curve_is_said(folder):
    for table in ("metrics", "latest_metrics"):
        forget(f"DELETE FROM {table} WHERE run_uuid = ? AND key = 'val/cost'", folder.runs[2])  # noqa: S608 - names of ours
    assert folder.said() == [("trial 2: val/cost lacks epochs 1-2", Remedy.COMPLETE)]


def test_another_value_is_said(folder):
    forget("UPDATE metrics SET value = 0.25 WHERE run_uuid = ? AND key = 'val/cost' AND step = 1",
           folder.runs[2])  # fmt: skip
    ((said, remedy),) = folder.said()
    assert said.startswith("trial 2: val/cost is 0.25 in epoch 1, not ")
    assert remedy == Remedy.REPLACE


def test_another_parameter_is_said(folder):
    forget("UPDATE params SET value = '7' WHERE run_uuid = ? AND key = 'l2'", folder.runs[2])
    ((said, remedy),) = folder.said()
    assert said.startswith("trial 2: l2 is 7, not ")
    assert remedy == Remedy.REPLACE


def copy_of(folder, number, **changes):
    tags = folder.client.get_run(folder.runs[number]).data.tags | changes
    experiment = folder.client.get_experiment_by_name("digits").experiment_id
    return folder.client.create_run(experiment, tags=tags).info.run_id


def test_of_two_runs_the_one_that_the_record_names_is_kept(folder):
    second = copy_of(folder, 2)
    (found,) = folder.found()
    assert (str(found), found.run) == ("trial 2: has 2 runs", second)


def test_a_run_of_a_trial_that_is_nowhere_recorded_is_said(folder):
    stray = copy_of(folder, 2, **{"sweep.trial": "77"})
    (found,) = folder.found()
    assert (str(found), found.run) == ("trial 77: has a run, but stands in no record", stray)


def test_the_record_holds_a_curve_for_every_metric_and_the_rate(folder):
    curves = recorded_curves(folder.study.trials()[0])
    assert len(curves) == 7
    assert {len(curve) for curve in curves.values()} == {2}
    assert curves["train/learning_rate"] == [0.01, 0.01]


@pytest.mark.parametrize(
    ("curve", "points", "said"),
    [
        ([], [], None),
        ([1.0, 2.0], [(2, 2.0), (1, 1.0)], None),
        ([math.nan], [(1, math.nan)], None),
        ([math.inf, -math.inf], [(1, sys.float_info.max), (2, -sys.float_info.max)], None),
        ([math.nan], [(1, 1.0)], "is 1.0 in epoch 1, not nan"),
        ([1.0] * 9, [(step, 1.0) for step in (1, 2, 5, 9)], "lacks epochs 3-4, 6-8"),
        ([1.0], [(1, 1.0), (1, 1.0)], "has more than one point of epoch 1"),
        ([1.0], [(0, 1.0), (1, 1.0)], "has points of epoch 0, beyond the record"),
    ],
)
def test_points_are_compared_number_by_number(curve, points, said):
    found = compare_points(curve, points, settled=True)
    assert (found and found[0]) == said


def test_of_an_interrupted_trial_mlflow_may_know_more_but_nothing_twice():
    assert compare_points([], [(1, 0.5), (2, 0.6)], settled=False) is None
    assert compare_points([], [(1, 0.5), (1, 0.5)], settled=False) is not None
