import json
import re

import pytest

from sweep.study import attributes
from sweep.study.opening import load_study
from sweep.study.passes import Budget
from sweep.study.storage import open_storage
from sweep.tracking.tracker import Tracker


@pytest.fixture
def compared(tiny_study, no_figures, monkeypatch):
    """Begin the studies `soft` and `sigmoid` of three trials each, not yet compared."""
    del no_figures
    monkeypatch.setattr("sweep.comparison.run.FIGURES", {})
    for loss, name in (("softmax", "soft"), ("bce", "sigmoid")):
        tiny_study(loss=loss, study_name=name).run(Budget(3))
    return ("compare", "soft", "sigmoid")


def test_the_answer_stands_on_top_and_all_it_rests_on_below(compared, invoke):
    done = invoke(*compared)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert re.fullmatch(
        r"No difference shown between \w+ \(\d+\.\d %\) and \w+ \(\d+\.\d %\) on 9 test rows, "
        r"one training of each: "
        r"\d+\.\d points, 95 % interval -?\d+\.\d to \d+\.\d, McNemar's exact p = [\d.]+\.",
        lines[0],
    )
    titles = [
        "On the 9 test rows of tiny",
        "Rows that one of a pair has right and the other wrong",
        "Test accuracy on each class",
        "The searches: expected best val/accuracy of k drawn trials",
    ]
    assert [line for line in lines if line in titles] == titles
    (run,) = Tracker("tiny").runs(role="compare")
    assert lines[-1] == f"MLflow run {run.info.run_id} (role compare) has the figures."
    assert any(
        line.startswith("note: not confirmed on fresh seeds: soft, sigmoid") for line in lines
    )


def test_as_json_it_is_one_object_that_says_the_same(compared, invoke):
    done = invoke(*compared, "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert list(told) == [
        *("sentence", "made", "run_id", "data", "data_digest", "split_digest", "test_digest"),
        *("test_rows", "class_names", "metric", "direction", "answers", "differences", "cautions"),
    ]
    assert [each["study"] for each in told["answers"]] == ["soft", "sigmoid"]
    assert [each["openings"] for each in told["answers"]] == [1, 1]
    assert told["sentence"].startswith("No difference shown")


def test_what_settings_came_to_on_fresh_seeds_is_told(compared, invoke):
    assert invoke("confirm", "soft", "--top", 1, "--seeds", 2).exit_code == 0
    lines = invoke(*compared).stdout.splitlines()
    (told,) = (line for line in lines if "on 2 fresh seeds" in line)
    assert re.fullmatch(
        r"soft trial \d on 2 fresh seeds: 0\.\d{4} \+- 0\.\d{4} "
        r"\(objective, mean and standard error\)",
        told,
    )


def test_each_look_is_counted_and_told(compared, invoke):
    invoke(*compared)
    table = invoke(*compared).stdout.split("\n\n")[1].splitlines()
    assert table[2].split()[-1] == "opened"
    assert [row.split()[-1] for row in table[-2:]] == ["2", "2"]


def test_studies_of_different_rows_are_refused_with_a_diff(compared, invoke, tiny_study):
    tiny_study(study_name="other", split_seed=1).run(Budget(1))
    done = invoke(*compared, "other")
    assert (done.exit_code, done.stdout) == (1, "")
    assert re.fullmatch(
        r"sweep: error: studies 'soft' and 'other' are of different rows \(soft -> other\): "
        r"split digest \w{12} -> \w{12}; compare studies of the same data and split\n",
        done.stderr,
    )
    for name in ("soft", "sigmoid", "other"):
        assert attributes.TEST_OPENINGS not in load_study(name, open_storage()).optuna.user_attrs


@pytest.mark.parametrize("names", [["soft"], ["soft", "soft"]])
def test_it_takes_two_studies(compared, invoke, names):
    del compared
    done = invoke("compare", *names)
    assert done.exit_code == 1
    assert "two or more different studies" in done.stderr


def test_a_study_that_is_not_there_is_named_with_those_that_are(compared, invoke):
    done = invoke(*compared, "nowhere")
    assert done.exit_code == 1
    assert done.stderr == (
        "sweep: error: no study is named 'nowhere' here; there are: sigmoid, soft\n"
    )


def test_no_study_at_all_is_a_usage_error(invoke):
    assert invoke("compare").exit_code == 2


def test_three_studies_say_how_the_pairs_were_corrected(compared, invoke, tiny_study):
    tiny_study(study_name="third", seed=3).run(Budget(2))
    done = invoke(*compared, "third")
    assert "has the highest accuracy of 3 on 9 test rows" in done.stdout
    assert "(all pairs together: p by Holm, intervals by Bonferroni)" in done.stdout
    assert "note: the searches differ (soft -> third): finished trials 3 -> 2" in done.stdout
