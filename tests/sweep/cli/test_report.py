"""`sweep report`: the file, what is said of it, and where else it is kept."""

import json

import pytest

from sweep.study.passes import Budget
from sweep.tracking.tracker import Tracker


@pytest.fixture
def study(tiny_study, no_figures, monkeypatch):
    """Return the name of a study with one complete trial, of which nothing is drawn."""
    del no_figures
    loop = tiny_study()
    loop.run(Budget(1))
    monkeypatch.setattr("sweep.report.collect.study_pictures", lambda *_: [])
    return loop.study.name


def artifacts(name, folder):
    (run,) = Tracker("tiny").runs(role="study", study=name)
    return [file.path for file in Tracker("tiny").client.list_artifacts(run.info.run_id, folder)]


def test_the_report_is_written_and_what_is_open_is_named(study, invoke, tmp_path):
    done = invoke("report", study)
    assert (done.exit_code, done.stderr) == (0, "")
    answer, luck, confirm, rows, test, written = done.stdout.splitlines()
    assert answer.startswith("Best is l2 ")
    assert luck.startswith("not known yet: How much of tiny-softmax's best score is luck")
    assert confirm == "  sweep confirm tiny-softmax"
    assert rows.startswith("not known yet: How often tiny-softmax's best is right")
    assert test == "  sweep test tiny-softmax"
    assert written == "written to tiny-softmax-report.html"
    text = (tmp_path / "tiny-softmax-report.html").read_text()
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")


def test_it_lies_with_the_studys_run_too(study, invoke):
    invoke("report", study)
    assert artifacts(study, "report") == ["report/tiny-softmax-report.html"]


def test_markdown_has_a_folder_of_figures_beside_it(tiny_study, no_figures, invoke, tmp_path):
    del no_figures
    loop = tiny_study()
    loop.run(Budget(1))
    done = invoke("report", loop.study.name, "--out", "found.md")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "found.md").read_text()
    names = {path.name for path in (tmp_path / "found-figures").iterdir()}
    assert "tiny-softmax-curves.png" in names
    assert all(f"(found-figures/{name})" in text for name in names)
    assert set(artifacts(loop.study.name, "report")) == {"report/found-figures", "report/found.md"}
    assert set(artifacts(loop.study.name, "report/found-figures")) == {
        f"report/found-figures/{name}" for name in names
    }


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--format", "md"], "tiny-softmax-report.md"),
        (["--format", "md", "--out", "a.txt"], "a.txt"),
        (["--out", "a.MD"], "a.MD"),
    ],
)
def test_the_format_is_asked_for_or_follows_from_the_name(study, invoke, tmp_path, options, name):
    assert invoke("report", study, *options).exit_code == 0
    assert (tmp_path / name).read_text().startswith("<!-- written by sweep")


def test_as_json_the_keys_are_stable(study, invoke):
    told = json.loads(invoke("report", study, "--json").stdout)
    assert list(told) == ["file", "answer", "logged", "unknown"]
    assert told["file"] == "tiny-softmax-report.html"
    assert told["logged"] == ["tiny-softmax"]
    assert [list(each) for each in told["unknown"]] == [["what", "command"]] * 2


def test_a_second_report_replaces_the_first(study, invoke, tmp_path):
    for _ in range(2):
        assert invoke("report", study).exit_code == 0
    assert artifacts(study, "report") == ["report/tiny-softmax-report.html"]
    assert not list(tmp_path.glob(".*partial"))


def test_a_file_of_somebody_elses_is_not_replaced(study, invoke, tmp_path):
    notes = tmp_path / "notes.md"
    notes.write_text("mine")
    done = invoke("report", study, "--out", "notes.md")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "sweep: error: notes.md: is there already and is no report of sweep's; move it away, or "
        "name another with --out\n"
    )
    assert notes.read_text() == "mine"


def test_a_study_that_lost_its_run_is_reported_all_the_same(study, invoke):
    (run,) = Tracker("tiny").runs(role="study")
    Tracker("tiny").client.delete_run(run.info.run_id)
    done = invoke("report", study)
    assert (done.exit_code, done.stderr) == (
        0,
        "not logged for tiny-softmax: it has no run in this MLflow store\n",
    )
    assert json.loads(invoke("report", study, "--json").stdout)["logged"] == []


def test_two_studies_stand_in_one_report_and_each_once(tiny_study, no_figures, invoke, monkeypatch):
    del no_figures
    monkeypatch.setattr("sweep.report.collect.study_pictures", lambda *_: [])
    for loss in ("softmax", "bce"):
        tiny_study(loss=loss).run(Budget(1))
    told = json.loads(invoke("report", "tiny-softmax", "tiny-bce", "tiny-softmax", "--json").stdout)
    assert told["file"] == "tiny-softmax-tiny-bce-report.html"
    assert told["logged"] == ["tiny-softmax", "tiny-bce"]
    assert told["unknown"][0]["command"] == "sweep compare tiny-softmax tiny-bce"


def test_a_study_that_is_not_there_is_named_with_those_that_are(study, invoke):
    done = invoke("report", "nothing")
    assert done.exit_code == 1
    assert "no study is named 'nothing' here" in done.stderr
    assert study in done.stderr


def test_without_a_study_it_is_a_usage_error(invoke):
    assert invoke("report").exit_code == 2
