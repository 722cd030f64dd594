"""`sweep report`: the file, what is said of it, and where else it is kept."""

import json
from pathlib import Path

import pytest

from sweep.cli.report import _settle
from sweep.tracking.tracker import Tracker


@pytest.fixture
def study(recorded_study):
    """Enter a folder with a study that nobody trained, and which has no run in MLflow."""
    return recorded_study


def test_the_report_is_written_and_what_is_open_is_named(study, invoke, tmp_path):
    result = invoke("report", study.name)
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
    assert text.rstrip().endswith("</html>")
    told = json.loads(invoke("report", study.name, "--json").stdout)  # replaces the first
    assert list(told) == ["file", "answer", "logged", "unknown"]
    assert (told["file"], told["logged"]) == ("digits-softmax-report.html", [])
    assert [list(each) for each in told["unknown"]] == [["what", "command"]] * 2
    assert not list(tmp_path.glob(".*partial"))


def test_it_lies_with_the_studys_run_too_with_a_folder_of_figures(in_copied_study, invoke):
    for _ in range(2):
        result = invoke("report", "digits-softmax", "--out", "found.md")
        assert (result.exit_code, result.stderr) == (0, "")
    text = (in_copied_study.root / "found.md").read_text()
    assert text.startswith("<!-- written by sweep")
    names = {path.name for path in (in_copied_study.root / "found-figures").iterdir()}
    assert "digits-softmax-weights.png" in names
    assert all(f"(found-figures/{name})" in text for name in names)
    tracker = Tracker("digits", in_copied_study)
    (run,) = tracker.runs(role="study")

    def artifacts(folder):
        return {file.path for file in tracker.client.list_artifacts(run.info.run_id, folder)}

    assert artifacts("report") == {"report/found-figures", "report/found.md"}
    assert artifacts("report/found-figures") == {f"report/found-figures/{name}" for name in names}


def test_the_format_is_asked_for_or_follows_from_the_name(study):
    for out, asked, expected in (
        (None, None, ("digits-softmax-report.html", "html")),
        (None, "md", ("digits-softmax-report.md", "md")),
        ("a.txt", None, ("a.txt", "html")),
        ("a.txt", "md", ("a.txt", "md")),
        ("a.MD", None, ("a.MD", "md")),
        ("a.markdown", None, ("a.markdown", "md")),
        ("a.md", "html", ("a.md", "html")),
    ):
        path, kind = _settle([study], None if out is None else Path(out), asked)
        assert (str(path), kind) == expected


def test_a_file_of_somebody_elses_is_not_replaced(study, invoke, tmp_path):
    notes = tmp_path / "notes.md"
    notes.write_text("mine")
    result = invoke("report", study.name, "--out", "notes.md")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "notes.md: is there already and is no report of sweep's; move it away" in result.stderr
    assert notes.read_text() == "mine"


def test_two_studies_stand_in_one_report_and_each_once(study, make_config, make_trial, invoke):
    from sweep.search.record import begin_study

    config = make_config(study="other", loss="bce", data=study.config.data)
    other = begin_study(config, study.storage, study.workspace)
    trial = make_trial(0, [0.5], params={"l2": 0.01})
    other.begin(trial, None)
    other.end(trial)
    told = json.loads(invoke("report", study.name, "other", study.name, "--json").stdout)
    assert told["file"] == "digits-softmax-other-report.html"
    assert told["unknown"][0]["command"] == "sweep compare digits-softmax other"


def test_a_study_that_is_not_there_is_named_with_those_that_are(study, invoke):
    result = invoke("report", "nothing")
    assert result.exit_code == 1
    assert "no study is named 'nothing' here" in result.stderr
    assert study.name in result.stderr


def test_without_a_study_it_is_a_usage_error(invoke):
    assert invoke("report").exit_code == 2
