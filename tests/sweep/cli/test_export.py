"""`export` and `import`: from one folder to another, and what is said on the way."""

import json
import re
import shutil
import sqlite3
import zipfile
from contextlib import closing

import pytest


@pytest.fixture
def archive(in_copied_study, invoke):
    """Return the archive of the finished study."""
    assert invoke("export", "digits-softmax").exit_code == 0
    return in_copied_study / "digits-softmax.zip"


@pytest.fixture
def best(in_copied_study, invoke):
    """Return the number of the finished study's chosen trial."""
    del in_copied_study
    return json.loads(invoke("best", "digits-softmax", "--json").stdout)["trial"]


@pytest.fixture
def taken_in(  # noqa: PLR0917 - fixtures
    archive, best, empty_mlflow_database, invoke, tmp_path, monkeypatch
):
    """Enter another folder into which the study was imported, and nothing else."""
    folder = tmp_path / "elsewhere"
    (folder / "mlruns").mkdir(parents=True)
    shutil.copy(empty_mlflow_database, folder / "mlruns" / "mlflow.db")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlruns/mlflow.db")
    said = invoke("import", archive)
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout == (
        f"study digits-softmax: 6 complete, 0 pruned, 0 failed, the model of trial {best}\n"
        "next: sweep show digits-softmax | sweep reproduce digits-softmax\n"
    )
    return folder


def test_export_says_what_it_wrote_and_what_to_do_with_it(in_copied_study, best, invoke):
    said = invoke("export", "digits-softmax", "--out", "mine.zip")
    assert (said.exit_code, said.stderr) == (0, "")
    size = (in_copied_study / "mine.zip").stat().st_size
    assert re.fullmatch(
        f"mine.zip: digits-softmax, 6 complete, 0 pruned, 0 failed, the model of trial {best}\n"
        f"{size:,} bytes, SHA-256 [0-9a-f]{{64}}\n"
        "take it in elsewhere with: sweep import mine.zip\n",
        said.stdout,
    )


def test_a_trial_that_has_not_ended_is_no_failed_one(in_copied_study, invoke):
    with closing(sqlite3.connect(in_copied_study / "mlruns" / "optuna.db")) as database:
        database.execute("UPDATE trials SET state = 'RUNNING' WHERE number = 5")
        database.execute("DELETE FROM trial_values WHERE trial_id = 6")
        database.commit()
    said = invoke("export", "digits-softmax")
    assert "digits-softmax, 5 complete, 0 pruned, 0 failed, 1 interrupted, " in said.stdout


def test_export_as_json_has_stable_keys(archive, invoke):
    facts = json.loads(invoke("export", "digits-softmax", "--json").stdout)
    assert list(facts) == ["study", "file", "bytes", "sha256", "trials", "chosen_trial"]
    assert (facts["file"], facts["bytes"]) == ("digits-softmax.zip", archive.stat().st_size)


def test_any_unzip_opens_an_archive(archive):
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert "model.npz" in opened.namelist()


def test_an_imported_study_is_listed_shown_and_chosen_from_as_at_home(
    taken_in, finished_study, invoke, monkeypatch
):
    commands = [["list"], ["show", "digits-softmax", "--json"], ["best", "digits-softmax"]]
    here = [invoke(*command) for command in commands]
    monkeypatch.chdir(finished_study)
    home = [invoke(*command) for command in commands]
    assert taken_in.exists()
    assert [said.exit_code for said in here] == [0, 0, 0]
    assert [here[0].stdout, here[2].stdout] == [home[0].stdout, home[2].stdout]
    shown, expected = (json.loads(said[1].stdout) for said in (here, home))
    assert [trial.pop("mlflow_run_id") for trial in shown["trials"]] == [None] * 6
    assert all(trial.pop("mlflow_run_id") for trial in expected["trials"])
    assert shown == expected


def test_an_imported_study_reproduces_bit_for_bit(taken_in, best, invoke):
    del taken_in
    said = invoke("reproduce", "digits-softmax")
    assert said.exit_code == 0, said.output
    assert said.stdout == (
        f"digits-softmax trial {best}: MATCH (bit for bit): 12 curve points and the weights\n"
    )


def test_an_imported_model_is_tested_with_the_count_of_looks(taken_in, invoke):
    del taken_in
    assert json.loads(invoke("test", "digits-softmax", "--json").stdout)["openings"] == 1
    assert invoke("export", "digits-softmax").exit_code == 0
    assert invoke("import", "digits-softmax.zip", "--as", "again").exit_code == 0
    assert json.loads(invoke("test", "again", "--json").stdout)["openings"] == 2


def test_exported_again_it_is_the_same_file(taken_in, archive, invoke):
    assert invoke("export", "digits-softmax").exit_code == 0
    assert (taken_in / "digits-softmax.zip").read_bytes() == archive.read_bytes()


def test_the_next_run_gives_every_imported_trial_its_run(taken_in, invoke):
    del taken_in
    said = invoke("run", "--data", "digits", "--trials", "6", "--epochs", "2")
    assert said.exit_code == 0, said.output
    assert "6 of 6 trials were finished already" in said.stdout
    from sweep.tracking.tracker import Tracker

    assert len(Tracker("digits").runs(role="trial", study="digits-softmax")) == 6


def test_import_as_json_has_stable_keys(taken_in, archive, best, invoke):
    del taken_in
    facts = json.loads(invoke("import", archive, "--as", "copy", "--json").stdout)
    assert list(facts) == ["study", "sha256", "trials", "chosen_trial"]
    assert (facts["study"], facts["trials"], facts["chosen_trial"]) == ("copy", 6, best)


def test_a_study_that_is_not_there_is_not_exported(in_finished_study, invoke):
    del in_finished_study
    said = invoke("export", "mine")
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == (
        "sweep: error: no study is named 'mine' here; there are: digits-softmax\n"
    )


def test_a_name_that_is_taken_is_refused_with_the_next_step(taken_in, archive, invoke):
    del taken_in
    said = invoke("import", archive)
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == (
        "sweep: error: a study named 'digits-softmax' is here already; "
        "import it under another name with --as NAME\n"
    )
