"""`sweep doctor`: each kind of trouble made for real, and what is said of it."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sweep.study.lock import study_lock
from sweep.study.opening import load_study
from sweep.study.storage import open_storage
from sweep.tracking.tracker import Tracker


@pytest.fixture(autouse=True)
def any_machine(monkeypatch, at_home):
    """Let the checks of the machine say the same everywhere."""
    del at_home
    from sweep.doctor import examination
    from sweep.doctor.finding import ok

    monkeypatch.setattr(examination, "check_machine", lambda: [ok("machine", "any")])
    monkeypatch.setattr(examination, "check_folder", lambda: [ok("mlruns/", "any")])


def everything():
    """Return all files of the folder with their content and time, but for the log's index."""
    return {
        path: path.is_file() and (path.stat().st_mtime_ns, path.read_bytes())
        for path in Path().rglob("*")
        if path.suffix != ".db-shm"
    }


def runs():
    found = Tracker("digits").runs(role="trial")
    return {int(run.data.tags["sweep.trial"]): run.info.run_id for run in found}


def without_versions(text):
    return re.sub(r"\d+\.\d+\.\d+|\d+\.\d MB", "N", text)


def test_an_empty_folder_is_fine_and_stays_empty(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = invoke("doctor")
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout == ("ok    machine: any\nok    mlruns/: any\n2 ok, 0 to know of, 0 failed\n")
    assert invoke("doctor", "--repair").exit_code == 0
    assert everything() == {}


@pytest.mark.usefixtures("in_copied_study")
def test_a_finished_study_is_as_it_should_be_and_is_left_so(invoke):
    before = everything()
    said = invoke("doctor")
    assert (said.exit_code, said.stderr) == (0, "")
    assert without_versions(said.stdout) == (
        "ok    machine: any\n"
        "ok    mlruns/: any\n"
        "ok    locks: none is held\n"
        "ok    mlruns/optuna.db: whole, N, tables of Optuna N\n"
        "ok    mlruns/mlflow.db: whole, N, tables of MLflow N\n"
        "ok    study digits-softmax: 6 complete, 0 pruned, 0 failed; both stores say the same\n"
        "6 ok, 0 to know of, 0 failed\n"
    )
    assert everything() == before


@pytest.mark.usefixtures("in_copied_study")
def test_a_disagreement_fails_until_it_is_repaired(invoke):
    client, there = Tracker("digits").client, runs()
    client.delete_run(there[0])
    client.update_run(there[1], status="RUNNING")
    client.log_metric(there[2], "val/loss", 0.5, step=1)
    said = invoke("doctor")
    assert said.exit_code == 3
    assert said.stdout.endswith(
        "FAIL  study digits-softmax: 3 disagree with MLflow\n"
        "      trial 0: has no run\n"
        "      trial 1: its run is RUNNING, not FINISHED\n"
        "      trial 2: val/loss has more than one point of epoch 1\n"
        "      next: sweep doctor --repair\n"
        "5 ok, 0 to know of, 1 failed\n"
    )
    assert said.stderr == ("sweep: error: 1 of 6 checks failed: study digits-softmax; see above\n")
    mended = invoke("doctor", "--repair")
    assert mended.exit_code == 0
    assert mended.stderr == (
        "study digits-softmax: repaired, 3 changes\n"
        "study digits-softmax: MLflow's wrong runs of these trials are deleted, and new ones have "
        "no images or weights: 2\n"
    )
    assert mended.stdout.endswith("6 ok, 0 to know of, 0 failed\n")


@pytest.mark.usefixtures("in_copied_study")
def test_the_terminal_gets_the_first_disagreements_and_json_has_all(invoke):
    client = Tracker("digits").client
    for run in list(runs().values())[:-1]:
        client.update_run(run, status="RUNNING")
        client.delete_tag(run, "sweep.whole")
    said = invoke("doctor")
    assert "      and 5 more; --json has all\n" in said.stdout
    found = json.loads(invoke("doctor", "--json").stdout)
    assert found["counts"] == {"ok": 5, "warn": 0, "FAIL": 1}
    study = found["checks"][-1]
    assert (study["check"], study["level"]) == ("study digits-softmax", "FAIL")
    assert len(study["details"]) == 10
    assert set(study) == {"check", "level", "said", "details", "advice"}


@pytest.mark.usefixtures("in_copied_study")
def test_a_damaged_record_is_said_and_nothing_compared(invoke):
    for log in Path("mlruns").glob("optuna.db-*"):
        log.unlink()
    Path("mlruns/optuna.db").write_bytes(b"no database at all" * 1000)
    before = everything()
    said = invoke("doctor")
    assert said.exit_code == 3
    assert (
        "FAIL  mlruns/optuna.db: is damaged: file is not a database\n"
        "      next: move it away and put back a copy of it, or recover: "
        "sqlite3 mlruns/optuna.db .recover\n"
    ) in said.stdout
    assert "study" not in said.stdout
    assert everything() == before
    assert invoke("doctor", "--repair").stderr.startswith("nothing repaired: mlruns/optuna.db: ")


@pytest.mark.usefixtures("in_copied_study")
def test_a_damaged_copy_leaves_the_record_uncompared(invoke):
    Path("mlruns/mlflow.db").write_bytes(b"no database at all" * 1000)
    said = invoke("doctor")
    assert said.exit_code == 3
    assert "ok    study digits-softmax: 6 trials; not compared with MLflow\n" in said.stdout


@pytest.mark.usefixtures("in_copied_study")
def test_a_lost_copy_is_said_and_made_anew(invoke):
    Path("mlruns/mlflow.db").unlink()
    said = invoke("doctor")
    assert said.exit_code == 3
    assert (
        "FAIL  mlruns/mlflow.db: is missing\n"
        "      next: sweep doctor --repair makes it anew, from the record\n"
    ) in said.stdout
    assert not Path("mlruns/mlflow.db").exists()


@pytest.mark.usefixtures("in_copied_study")
def test_a_locked_store_is_said_with_exit_code_75(invoke, monkeypatch):
    monkeypatch.setattr("sweep.doctor.databases.TIMEOUT_SECONDS", 0.01)
    with closing(sqlite3.connect("mlruns/mlflow.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        said = invoke("doctor")
    assert said.exit_code == 75
    assert "FAIL  mlruns/mlflow.db: does not answer: database is locked\n" in said.stdout
    assert said.stderr == ("sweep: error: mlruns/mlflow.db could not be looked at; see above\n")


@pytest.mark.usefixtures("in_copied_study")
def test_a_server_that_does_not_answer_is_said_without_its_password(invoke):
    said = invoke("doctor", "--tracking-uri", "http://me:s3cret@127.0.0.1:9")
    assert said.exit_code == 75
    assert "FAIL  study digits-softmax: MLflow at http://***@127.0.0.1:9 does not" in said.stdout
    assert "s3cret" not in said.output


@pytest.mark.usefixtures("in_copied_study")
def test_an_address_that_mlflow_does_not_take_is_said(invoke):
    said = invoke("doctor", "--tracking-uri", "ftp://example")
    assert said.exit_code == 3
    assert "FAIL  MLflow's store: " in said.stdout
    assert "not compared with MLflow\n" in said.stdout


@pytest.mark.usefixtures("in_copied_study")
def test_a_study_that_is_run_is_named_with_who_runs_it(invoke):
    with study_lock("digits-softmax"):
        said = invoke("doctor", "--repair")
    assert said.exit_code == 0
    assert "ok    locks: digits-softmax.lock is held by process " in said.stdout
    assert "looked at when that has ended\n" in said.stdout
    assert said.stderr.startswith("study digits-softmax not repaired: ")


@pytest.mark.usefixtures("in_copied_study")
def test_a_study_of_another_version_is_said_and_the_others_are_looked_at(invoke):
    study = load_study("digits-softmax", open_storage())
    import optuna

    other = optuna.create_study(study_name="another", storage=study.storage)
    other.set_user_attr("sweep:settings", {"study": "another"})
    said = invoke("doctor")
    assert said.exit_code == 3
    assert "FAIL  study another: study 'another': its settings were recorded by " in said.stdout
    assert "ok    study digits-softmax: " in said.stdout
