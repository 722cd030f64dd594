import json
from pathlib import Path

import pytest

from sweep.analysis import fetch_classifier, selected_trial
from sweep.doctor.agreement import compare
from sweep.search import begin_study, open_study
from sweep.tracking import Tracker


def test_the_report_is_written_and_what_is_open_is_named(recorded_study, invoke, tmp_path):
    name = recorded_study.name
    result = invoke("report", name)
    assert result.exit_code == 0
    answer, luck, confirm, rows, test, written = result.stdout.splitlines()
    assert answer.startswith("Best is l2 ")
    assert luck.startswith("not known yet: How much of digits-softmax's best score is luck")
    assert confirm == "  sweep confirm digits-softmax"
    assert rows.startswith("not known yet: How often digits-softmax's best is right")
    assert test == "  sweep test digits-softmax"
    assert written == "written to digits-softmax-report.html"
    assert "not logged for digits-softmax: it has no run" in result.stderr
    text = (tmp_path / "digits-softmax-report.html").read_text()
    assert text.startswith("<!doctype html>")
    told = json.loads(invoke("report", name, "--json").stdout)  # replaces the first
    assert list(told) == ["file", "answer", "logged", "unknown"]
    assert (told["file"], told["logged"]) == ("digits-softmax-report.html", [])
    assert [list(each) for each in told["unknown"]] == [["what", "command"]] * 2
    assert not list(tmp_path.glob(".*partial"))


def test_it_lies_with_the_studys_run_too_with_a_folder_of_figures(in_copied_study, invoke):
    for _ in range(2):
        result = invoke("report", "digits-softmax", "--out", "found.md")
        assert (result.exit_code, result.stderr) == (0, "")
    text = (in_copied_study.root / "found.md").read_text()
    names = {path.name for path in (in_copied_study.root / "found-figures").iterdir()}
    assert "digits-softmax-weights.png" in names
    assert all(f"(found-figures/{name})" in text for name in names)
    tracker = Tracker("digits", in_copied_study)
    (run,) = tracker.runs(role="study")
    for folder, files in (
        ("report", {"found-figures", "found.md"}),
        ("report/found-figures", names),
    ):
        artifacts = tracker.client.list_artifacts(run.info.run_id, folder)
        assert {file.path for file in artifacts} == {f"{folder}/{name}" for name in files}


def test_the_format_follows_from_the_name_and_the_name_from_the_format(recorded_study, invoke):
    for options, file in (
        (("--format", "md"), "digits-softmax-report.md"),
        (("--out", "a.MD"), "a.MD"),
        (("--out", "a.htm", "--format", "html"), "a.htm"),
    ):
        told = json.loads(invoke("report", recorded_study.name, "--json", *options).stdout)
        assert told["file"] == file
        assert Path(file).read_text().startswith("<!doctype html>") == (".htm" in file)
    for options, words in (
        (("--out", "a.txt"), "a.txt: a report ends in .html or"),
        (("--out", "b.md", "--format", "html"), "b.md: a report ends in .html or"),
    ):
        refused = invoke("report", recorded_study.name, *options)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert words in refused.stderr
    assert not Path("a.txt").exists()


def test_two_studies_stand_in_one_report_and_each_once(
    recorded_study, make_config, make_trial, invoke
):
    study = recorded_study
    config = make_config(study="other", loss="bce", data=study.config.data)
    other = begin_study(config, study.storage, study.workspace)
    trial = make_trial(0, [0.5], params={"l2": 0.01})
    other.begin(trial, None)
    other.end(trial)
    told = json.loads(invoke("report", study.name, "other", study.name, "--json").stdout)
    assert told["file"] == "digits-softmax-other-report.html"
    assert told["unknown"][0]["command"] == "sweep compare digits-softmax other"


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
    assert "study digits-softmax: 3 complete, 3 pruned, 0 failed, the model of" in done.stdout
    assert done.stdout.endswith("next: sweep sync digits-softmax\n")
    return workspace


def test_export_says_what_it_wrote_and_where(archive, invoke):
    (archive.parent / "there").mkdir()
    done = invoke("export", "digits-softmax", "--out", "there")
    assert (done.exit_code, done.stderr) == (0, "")
    size = archive.stat().st_size
    for part in (
        "there/digits-softmax.zip: ",
        f"{size:,} bytes",
        "sweep import digits-softmax.zip",
    ):
        assert part in done.stdout
    facts = json.loads(invoke("export", "digits-softmax", "--json").stdout)
    assert list(facts) == ["study", "file", "bytes", "sha256", "trials", "selected_trial"]
    assert (facts["file"], facts["bytes"]) == ("digits-softmax.zip", size)
    other = json.loads(invoke("import", archive, "--as", "copy", "--json").stdout)
    assert list(other) == ["study", "sha256", "trials", "selected_trial"]
    assert other == {name: facts[name] for name in other} | {"study": "copy"}
    for command, words in (
        (("export", "digits-softmax", "--out", "missing/"), "missing: an archive ends in .zip"),
        (("export", "mine"), "'mine'"),
        (("import", archive), "is here already; import it under another name with --as NAME"),
    ):
        refused = invoke(*command)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert words in refused.stderr


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
    assert invoke("sync").exit_code == 0
    study, tracker = open_study("digits-softmax", imported), Tracker("digits", imported)
    assert len(tracker.runs(role="trial", **study.tags)) == 6
    assert compare(study, tracker) == []
    best = selected_trial(study)
    assert fetch_classifier(study, best, tracker).digest == best.weights_digest
    assert list(imported.pending(study.name).glob("trial-*")) == []
