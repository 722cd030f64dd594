import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sweep.doctor.repair import Repaired, repair
from sweep.doctor.studies import check_study, compare, read_copy
from sweep.errors import SweepError
from sweep.study.lock import study_lock
from sweep.study.opening import load_study
from sweep.study.storage import open_storage
from sweep.tracking.tracker import DEFAULT_URI, Tracker

pytestmark = pytest.mark.usefixtures("in_copied_study", "at_home")


@pytest.fixture
def study():
    return load_study("digits-softmax", open_storage())


def runs(study):
    found = read_copy(study, DEFAULT_URI).of_role("trial")
    return {int(run.data.tags["sweep.trial"]): run.info.run_id for run in found}


def agree(study):
    return compare(study, read_copy(study, DEFAULT_URI)) == []


def test_what_agrees_is_left_as_it_is(study):
    before = Path("mlruns/mlflow.db").read_bytes()
    assert repair(study, DEFAULT_URI) == Repaired(0)
    assert Path("mlruns/mlflow.db").read_bytes() == before


def test_a_missing_run_is_made_and_a_wrong_status_put_right(study, in_both_stores):
    client, there = Tracker("digits").client, runs(study)
    client.delete_run(there[1])
    client.update_run(there[2], status="RUNNING")
    assert repair(study, DEFAULT_URI) == Repaired(2)
    assert agree(study)
    in_both_stores(study, Tracker("digits"))
    assert repair(study, DEFAULT_URI) == Repaired(0)


def test_missing_points_are_filled_in_the_run_that_lacks_them(study):
    there = runs(study)
    with closing(sqlite3.connect("mlruns/mlflow.db")) as connection:
        connection.execute(
            "DELETE FROM metrics WHERE run_uuid = ? AND key = 'val/loss' AND step = 1", (there[3],)
        )
        connection.commit()
    assert repair(study, DEFAULT_URI) == Repaired(1)
    assert runs(study) == there
    assert agree(study)


def test_a_run_with_a_doubled_point_is_replaced_and_kept_among_the_deleted(study, in_both_stores):
    client, there = Tracker("digits").client, runs(study)
    client.log_metric(there[4], "val/loss", 0.5, step=1)
    assert repair(study, DEFAULT_URI) == Repaired(1, anew=(4,))
    assert runs(study)[4] != there[4]
    assert client.get_run(there[4]).info.lifecycle_stage == "deleted"
    assert agree(study)
    in_both_stores(study, Tracker("digits"))


def test_a_lost_mlflow_store_is_made_anew_from_the_record(study, in_both_stores):
    Path("mlruns/mlflow.db").rename("lost.db")
    assert repair(study, "sqlite:///mlruns/other.db").changes == 6
    tracker = Tracker("digits", uri="sqlite:///mlruns/other.db")
    in_both_stores(study, tracker)


def test_a_study_run_that_was_left_running_is_ended(study):
    client = Tracker("digits").client
    (parent,) = read_copy(study, DEFAULT_URI).of_role("study")
    client.update_run(parent.info.run_id, status="RUNNING")
    assert repair(study, DEFAULT_URI) == Repaired(1)
    assert client.get_run(parent.info.run_id).info.status == "FINISHED"
    assert len(check_study(study, read_copy(study, DEFAULT_URI))) == 1


def test_a_study_that_is_being_run_is_not_touched(study):
    with study_lock(study.name), pytest.raises(SweepError, match="is being run by process"):
        repair(study, DEFAULT_URI)


def test_without_its_data_nothing_is_deleted(study, monkeypatch):
    client, there = Tracker("digits").client, runs(study)
    client.log_metric(there[4], "val/loss", 0.5, step=1)

    def missing(*_):
        raise SweepError("no such data")

    monkeypatch.setattr("sweep.doctor.repair.reopen_source", missing)
    with pytest.raises(SweepError, match="no such data"):
        repair(study, DEFAULT_URI)
    assert runs(study) == there
