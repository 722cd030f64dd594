"""`export` and `import`: from one folder to another, and what is said on the way."""

import json

import pytest

from sweep.analysis.champion import fetch_classifier
from sweep.analysis.selection import selected_trial
from sweep.doctor.agreement import compare
from sweep.search.record import open_study
from sweep.tracking.tracker import Tracker


@pytest.fixture
def archive(in_copied_study, invoke):
    """Return the archive of the finished study."""
    assert invoke("export", "digits-softmax").exit_code == 0
    return in_copied_study.root / "digits-softmax.zip"


@pytest.fixture
def imported(archive, furnish, invoke, tmp_path_factory, monkeypatch):
    """Enter another folder into which the study was imported, and nothing else."""
    workspace = furnish(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.chdir(workspace.root)
    # MLflow keeps the other folder's store open by its relative address.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace.mlflow_database}")
    done = invoke("import", archive)
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    assert "study digits-softmax: 2 complete, 4 pruned, 0 failed, the model of" in done.stdout
    assert "sweep show digits-softmax" in done.stdout
    return workspace


def test_export_says_what_it_wrote_and_what_to_do_with_it(archive, invoke):
    done = invoke("export", "digits-softmax", "--out", archive.with_name("mine.zip"))
    assert (done.exit_code, done.stderr) == (0, "")
    size = archive.stat().st_size
    for part in ("2 complete, 4 pruned", f"{size:,} bytes", "sweep import mine.zip"):
        assert part in done.stdout


def test_json_has_stable_keys(archive, invoke):
    facts = json.loads(invoke("export", "digits-softmax", "--json").stdout)
    assert list(facts) == ["study", "file", "bytes", "sha256", "trials", "selected_trial"]
    assert facts["bytes"] == archive.stat().st_size
    other = json.loads(invoke("import", archive, "--as", "copy", "--json").stdout)
    assert list(other) == ["study", "sha256", "trials", "selected_trial"]
    assert other == {name: facts[name] for name in other} | {"study": "copy"}


def test_an_imported_study_is_listed_shown_and_reproduced_as_at_home(
    imported, in_copied_study, invoke, monkeypatch
):
    commands = [["list"], ["show", "digits-softmax", "--json"], ["show", "digits-softmax"]]
    here = [invoke(*command) for command in commands]
    reproduced = invoke("reproduce", "digits-softmax")
    assert "MATCH (bit for bit)" in reproduced.stdout, reproduced.output
    again = invoke("export", "digits-softmax", "--out", imported.root / "again.zip")
    assert again.exit_code == 0
    monkeypatch.chdir(in_copied_study.root)
    home = [invoke(*command) for command in commands]
    assert [done.exit_code for done in here] == [0, 0, 0]
    assert [done.stdout for done in here] == [done.stdout for done in home]
    content = (imported.root / "again.zip").read_bytes()
    assert content == (in_copied_study.root / "digits-softmax.zip").read_bytes()


def test_looks_at_the_test_rows_are_counted_also_elsewhere(imported, invoke):
    assert json.loads(invoke("test", "digits-softmax", "--json").stdout)["openings"] == 1
    assert invoke("export", "digits-softmax").exit_code == 0
    assert invoke("import", imported.root / "digits-softmax.zip", "--as", "again").exit_code == 0
    assert json.loads(invoke("test", "again", "--json").stdout)["openings"] == 2


def test_sync_gives_every_imported_trial_its_run(imported, invoke):
    assert invoke("sync", "digits-softmax").exit_code == 0
    study, tracker = open_study("digits-softmax", imported), Tracker("digits", imported)
    assert len(tracker.runs(role="trial", **study.tags)) == 6
    assert compare(study, tracker) == []
    best = selected_trial(study)
    assert fetch_classifier(study, best, tracker).digest == best.weights_digest
    assert list(imported.pending(study.name).glob("trial-*")) == []


def test_what_is_not_there_or_there_already_is_refused_with_the_next_step(archive, invoke):
    absent = invoke("export", "mine")
    assert (absent.exit_code, absent.stdout) == (1, "")
    assert "'mine'" in absent.stderr
    taken = invoke("import", archive)
    assert (taken.exit_code, taken.stdout) == (1, "")
    assert "is here already" in taken.stderr
    assert "--as NAME" in taken.stderr
