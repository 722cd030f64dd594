"""`sweep doctor`: what is printed, the exit code, and that a repair is said."""

import json
from pathlib import Path

import pytest

from sweep.doctor import checks as stores
from sweep.doctor.checks import Finding, Level
from sweep.search.lock import study_lock
from sweep.tracking.client import Tracker
from sweep.tracking.mirror import COMPLETE
from sweep.workspace import Workspace


@pytest.fixture(autouse=True)
def _any_machine(monkeypatch):
    """Let the checks of the machine say the same everywhere, at once."""
    for name in ("check_versions", "check_lanes"):
        monkeypatch.setattr(stores, name, lambda: Finding(Level.OK, "machine", "any"))


def test_an_empty_folder_is_fine_and_stays_empty(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for options in ((), ("--repair",)):
        done = invoke("doctor", *options)
        assert (done.exit_code, done.stderr) == (0, "")
        assert "0 failed" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("in_finished_study")
def test_a_finished_study_is_as_it_should_be(invoke):
    done = invoke("doctor")
    assert (done.exit_code, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == ["ok"] * 8
    assert "3 complete, 3 pruned, 0 failed; MLflow says the same" in done.stdout


@pytest.mark.usefixtures("in_copied_study")
def test_a_disagreement_fails_until_it_is_repaired(invoke):
    tracker = Tracker("digits", Workspace())
    client = tracker.client
    runs = {run.data.tags["sweep.trial"]: run.info.run_id for run in tracker.runs(role="trial")}
    client.delete_run(runs["0"])
    client.log_metric(runs["2"], "val/loss", 0.5, step=1)
    done = invoke("doctor")
    assert done.exit_code == 3
    for part in ("FAIL  study digits-softmax: 2 ", "trial 0 has no run", "sweep doctor --repair"):
        assert part in done.stdout
    assert "1 of 8 checks failed: study digits-softmax" in done.stderr
    repaired = invoke("doctor", "--repair")
    assert repaired.exit_code == 0
    assert "repaired, 2 changes" in repaired.stderr
    assert repaired.stderr.rstrip().endswith(": 2")
    again = invoke("doctor", "--repair")
    assert (again.exit_code, again.stderr) == (0, "")


@pytest.mark.usefixtures("in_copied_study")
def test_the_terminal_gets_the_first_disagreements_and_json_has_all(invoke):
    tracker = Tracker("digits", Workspace())
    for run in tracker.runs(role="trial"):
        tracker.client.update_run(run.info.run_id, status="RUNNING")
        tracker.client.delete_tag(run.info.run_id, COMPLETE)
    assert "and 7 more; --json has all" in invoke("doctor").stdout
    found = json.loads(invoke("doctor", "--json").stdout)
    assert found["counts"] == {"ok": 7, "warn": 0, "FAIL": 1}
    study = found["checks"][-1]
    assert (study["check"], study["level"]) == ("study digits-softmax", "FAIL")
    assert len(study["details"]) == 12
    assert set(study) == {"check", "level", "message", "details", "advice"}


@pytest.mark.usefixtures("in_copied_study")
def test_a_store_that_is_damaged_or_away_has_its_exit_code(invoke):
    away = invoke("doctor", "--tracking-uri", "http://me:s3cret@127.0.0.1:9")
    assert away.exit_code == 75
    assert "could not be looked at" in away.stderr
    assert "s3cret" not in away.output
    Path("mlruns/mlflow.db").write_bytes(b"no database at all" * 1000)
    damaged = invoke("doctor")
    assert damaged.exit_code == 3
    assert "FAIL  mlruns/mlflow.db: is damaged: " in damaged.stdout
    assert "study digits-softmax not repaired: " in invoke("doctor", "--repair").stderr
    for log in Path("mlruns").glob("optuna.db-*"):
        log.unlink()
    Path("mlruns/optuna.db").write_bytes(b"no database at all" * 1000)
    assert "nothing repaired: mlruns/optuna.db: " in invoke("doctor", "--repair").stderr


@pytest.mark.usefixtures("in_copied_study")
def test_a_study_that_is_run_is_named_with_who_runs_it(invoke):
    with study_lock(Workspace(), "digits-softmax"):
        done = invoke("doctor", "--repair")
    assert done.exit_code == 0
    assert "digits-softmax.lock is held by process " in done.stdout
    assert "study digits-softmax not repaired: " in done.stderr
