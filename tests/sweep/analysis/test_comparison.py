import json
from dataclasses import replace

import pytest
from comparisons import answers, comparison, difference

from sweep.analysis.comparison import Comparison

A, B, C = answers("a", 70), answers("b", 65), answers("c", 40)


def test_a_difference_that_is_not_shown_is_said_to_be_none():
    result = comparison([A, B], [difference("a", "b", 0.05, 0.0501, half=0.06)])
    assert result.sentence == (
        "No difference shown between a (70.0 %) and b (65.0 %) on 1,000 test rows, "
        "one training of each: 5.0 points, 95 % interval -1.0 to 11.0, McNemar's exact p = 0.05."
    )


def test_where_the_test_and_the_interval_disagree_it_is_said_which_decides():
    result = comparison([A, B], [difference("a", "b", 0.05, 0.0625, half=0.04)])
    assert result.sentence.startswith("No difference shown")
    assert result.sentence.endswith(
        "p = 0.062 (which decides; the bootstrap's interval is short where few rows differ)."
    )


def test_a_difference_that_is_shown_names_the_better_one_first():
    result = comparison([B, A], [difference("b", "a", -0.05, 0.00004)])
    assert result.sentence == (
        "a (70.0 %) is better than b (65.0 %) on 1,000 test rows, one training of each: "
        "by 5.0 points, 95 % interval 0.0 to 10.0, McNemar's exact p < 0.0001."
    )


def test_a_short_interval_is_told_to_the_hundredth():
    result = comparison([A, B], [difference("a", "b", 0.0056, 0.02, half=0.0055)])
    assert "by 0.56 points, 95 % interval 0.01 to 1.11" in result.sentence


def test_of_several_studies_the_best_is_told_with_what_it_beats():
    pairs = [difference("a", "b", 0.05, 0.2), difference("a", "c", 0.3, 0.001)]
    result = comparison([A, B, C], [*pairs, difference("b", "c", 0.25, 0.001)])
    assert result.sentence == (
        "a (70.0 %) has the highest accuracy of 3 on 1,000 test rows, "
        "one training of each: better than c; "
        "no difference shown from b (McNemar's exact test of every pair, corrected by Holm)."
    )


def test_of_several_studies_the_best_may_be_better_than_none_or_come_second_in_a_pair():
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    result = comparison([A, B, C], [difference(*pair, 0.0, 1.0) for pair in pairs])
    assert "one training of each: no difference shown from b and c (" in result.sentence
    pairs = [difference("b", "a", -0.05, 0.01), difference("c", "a", -0.3, 0.01)]
    result = comparison([B, C, A], [*pairs, difference("b", "c", 0.25, 0.01)])
    assert "better than b and c (" in result.sentence


def test_one_is_better_where_the_corrected_p_value_says_so():
    for points, p_value, better in ((0.1, 0.049, "a"), (-0.1, 0.049, "b"), (0.1, 0.05, None)):
        pair = difference("a", "b", points, p_value)
        assert (pair.better, pair.shown) == (better, better is not None)


def test_of_equals_the_first_named_is_the_best_and_its_gap_is_training_less_test():
    result = comparison([B, A, answers("d", 70)], [])
    assert result.best is A
    assert result.studies == ["b", "a", "d"]
    assert A.gap == pytest.approx(0.1)


def test_a_record_reads_back_as_the_same_comparison():
    result = comparison([A, B], [difference("a", "b", 0.05, 0.2)])
    record = json.loads(json.dumps(result.record(), allow_nan=False))
    assert Comparison.from_record(record) == result
    assert (record["sentence"], record["run_key"]) == (result.sentence, result.key)
    older = {**record, "places": ["what an older version recorded besides"]}
    assert Comparison.from_record(older) == result
    del older["answers"]
    with pytest.raises(ValueError, match="answers"):
        Comparison.from_record(older)


def test_each_comparison_has_a_key_of_its_own():
    result = comparison([A, B], [difference("a", "b", 0.05, 0.2)])
    assert replace(result).key == result.key
    assert replace(result, made="2024-01-02T03:04:06+00:00").key != result.key
