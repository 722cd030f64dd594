import json
import re

import pytest

from sweep.search.record import TEST_OPENINGS
from sweep.tracking.tracker import Tracker


@pytest.fixture
def compared(tiny_study):
    """Enter a folder with the studies `soft` and `sigmoid` of three trials each."""
    return [
        tiny_study(loss=loss, study_name=name)
        for loss, name in (("softmax", "soft"), ("bce", "sigmoid"))
    ]


def test_the_answer_stands_on_top_and_all_it_rests_on_below(compared, invoke):
    assert invoke("confirm", "soft", "--top", 1, "--seeds", 2).exit_code == 0
    result = invoke("compare", "soft", "sigmoid")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert re.match(r".*\w+ \(\d+\.\d %\).* on 9 test rows, one training of each: ", lines[0])
    titles = [
        "On the 9 test rows of tiny",
        "Rows that one of a pair has right and the other wrong",
        "Test accuracy on each class",
        "The searches: expected best val/accuracy of k drawn trials",
    ]
    assert [line for line in lines if line in titles] == titles
    (confirmed,) = (line for line in lines if "on 2 fresh seeds" in line)
    assert re.match(r"soft trial \d on 2 fresh seeds: \d\.\d{4} \+- \d\.\d{4} \(", confirmed)
    assert any(line.startswith("note: not confirmed on fresh seeds: sigmoid;") for line in lines)
    (run,) = Tracker("tiny", compared[0].workspace).runs(role="compare")
    assert lines[-1] == f"MLflow run {run.info.run_id} (role compare) has the figures."
    again = invoke("compare", "soft", "sigmoid").stdout.split("\n\n")[1].splitlines()
    assert again[2].split()[-1] == "opened"
    assert [row.split()[-1] for row in again[4:6]] == ["2", "2"]


def test_as_json_it_is_one_object_whose_run_is_found_by_its_key(compared, invoke):
    result = invoke("compare", "soft", "sigmoid", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert list(told) == [
        *("sentence", "run_key", "made", "data", "data_digest", "split_digest", "test_digest"),
        *("test_rows", "class_names", "metric", "direction", "answers", "differences", "caveats"),
    ]
    assert [each["study"] for each in told["answers"]] == ["soft", "sigmoid"]
    assert [each["openings"] for each in told["answers"]] == [1, 1]
    (run,) = Tracker("tiny", compared[0].workspace).runs(run_key=told["run_key"])
    assert run.data.tags["sweep.sentence"] == told["sentence"]


def test_studies_of_different_rows_are_refused_with_a_diff(compared, invoke, tiny_study):
    other = tiny_study(1, study_name="other", split_seed=1)
    result = invoke("compare", "soft", "sigmoid", "other")
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(
        r"sweep: error: studies 'soft' and 'other' are of different rows \(soft -> other\): "
        r"split digest \w{12} -> \w{12}; .*\n",
        result.stderr,
    )
    for study in (*compared, other):
        assert study.attribute(TEST_OPENINGS) is None


def test_it_takes_two_studies_that_are_there(recorded_study, invoke):
    name = recorded_study.name
    for names, words in (
        ([name], "two or more different studies"),
        ([name, name], "two or more different studies"),
        ([name, "nowhere"], f"no study is named 'nowhere' here; there are: {name}"),
    ):
        result = invoke("compare", *names)
        assert result.exit_code == 1
        assert words in result.stderr


def test_no_study_at_all_is_a_usage_error(invoke):
    assert invoke("compare").exit_code == 2


def test_three_studies_say_how_the_pairs_were_corrected(compared, invoke, tiny_study):
    del compared
    tiny_study(2, study_name="third", seed=3)
    result = invoke("compare", "soft", "sigmoid", "third")
    assert "has the highest accuracy of 3 on 9 test rows" in result.stdout
    assert "(all pairs together: p by Holm, intervals by Bonferroni)" in result.stdout
    assert "note: the searches differ (soft -> third): finished trials 3 -> 2" in result.stdout
