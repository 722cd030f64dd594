import time
from pathlib import Path

import pytest

from sweep.doctor.finding import Level
from sweep.doctor.studies import REPAIR, check_study, read_copy
from sweep.study.lock import study_lock
from sweep.study.opening import load_study
from sweep.study.storage import open_storage
from sweep.tracking.tracker import DEFAULT_URI, Tracker

pytestmark = pytest.mark.usefixtures("in_copied_study", "at_home")


@pytest.fixture
def study():
    return load_study("digits-softmax", open_storage())


def looked_at(study):
    return check_study(study, read_copy(study, DEFAULT_URI))


def runs(study, role="trial"):
    return read_copy(study, DEFAULT_URI).of_role(role)


def test_a_study_whose_stores_agree_has_one_line(study):
    (found,) = looked_at(study)
    assert (found.level, found.check) == (Level.OK, "study digits-softmax")
    assert found.said == "6 complete, 0 pruned, 0 failed; both stores say the same"


def test_each_disagreement_is_a_detail(study):
    client = Tracker("digits").client
    for run in runs(study)[:2]:
        client.delete_run(run.info.run_id)
    (found,) = looked_at(study)
    assert (found.level, found.said) == (Level.FAIL, "2 disagree with MLflow")
    assert len(found.details) == 2
    assert found.advice == REPAIR


def test_a_study_that_is_being_run_is_left_alone(study):
    Tracker("digits").client.delete_run(runs(study)[0].info.run_id)
    with study_lock(study.name):
        (found,) = looked_at(study)
    assert found.level == Level.OK
    assert found.said.startswith("is being run by process ")


def test_what_a_dead_process_left_in_training_is_said_with_how_to_go_on(study):
    study.optuna.ask()
    (parent,) = runs(study, "study")
    Tracker("digits").client.update_run(parent.info.run_id, status="RUNNING")
    agreed, left = looked_at(study)
    assert agreed.level == Level.OK
    assert (left.level, left.said) == (
        Level.WARN,
        "2 left as running by a process that has ended",
    )
    assert left.details == (
        "trial 6",
        f"the study run digits-softmax ({parent.info.run_id})",
    )
    assert left.advice.startswith("go on with it: sweep run --study digits-softmax ")
    assert "--trials 7 " in left.advice


def test_a_study_without_any_run_was_imported_or_lost(study):
    client = Tracker("digits").client
    for run in read_copy(study, DEFAULT_URI).runs:
        client.delete_run(run.info.run_id)
    (found,) = looked_at(study)
    assert found.level == Level.WARN
    assert "none has a run in this MLflow store" in found.said


def test_an_experiment_that_is_not_there_is_not_made(study, monkeypatch):
    monkeypatch.setattr("sweep.tracking.tracker.Tracker", None)
    copy = read_copy(study, "sqlite:///elsewhere.db")
    assert (copy.tracker, list(copy.runs), copy.history("run", "val/loss")) == (None, [], [])


def test_a_time_in_the_future_is_said(study, monkeypatch):
    now = time.time()
    monkeypatch.setattr("sweep.doctor.studies.time.time", lambda: now - 1e6)
    _, clock = looked_at(study)
    assert clock.level == Level.WARN
    assert clock.said.startswith("records a time in the future, 2")


def test_files_of_a_folder_that_was_moved_are_said_to_lie_where_it_was(study, monkeypatch):
    monkeypatch.setattr(Tracker, "files_in", lambda _: Path("/there/mlruns/artifacts"))
    _, files = looked_at(study)
    assert files.level == Level.WARN
    assert files.said == (
        "MLflow keeps the files of its runs in /there/mlruns/artifacts, as this folder was moved "
        "or copied"
    )


def test_a_study_without_a_run_of_its_own_is_worth_knowing_though_its_import_has_one(study):
    client = Tracker("digits").client
    for run in read_copy(study, DEFAULT_URI).runs:
        client.delete_run(run.info.run_id)
    tags = {f"sweep.{name}": value for name, value in study.tags.items()}
    client.create_run(Tracker("digits").experiment_id, tags=tags | {"sweep.role": "import"})
    first, *_ = looked_at(study)
    assert first.level == Level.WARN
    assert "none has a run in this MLflow store" in first.said
