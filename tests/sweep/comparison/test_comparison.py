import json
from dataclasses import replace

import pytest

from sweep.analysis.importance import Importance, Importances
from sweep.comparison import Answers, Comparison, Difference, Search
from sweep.statistics.best_of import best_of
from sweep.statistics.intervals import Share
from sweep.statistics.outputs import Outputs
from sweep.statistics.paired import PairedDifference
from sweep.statistics.place import Place

L2 = Place(name="l2", value=0.1, low=1e-3, high=1.0, log=True, choices=None, unit=2 / 3)
OUTPUTS = Outputs(
    name="softmax",
    right=[0, 70],
    wrong=[30, 0],
    counts=[0, 100],
    confidence=[None, 0.9],
    accuracy=[None, 0.7],
    calibration_error=0.2,
)


def answers(study, right, rows=100):
    return Answers(
        study=study,
        study_id=f"id of {study}",
        loss="softmax",
        trial=3,
        grounds="best by val-accuracy, not confirmed",
        weights_digest="w" * 64,
        setting={"l2": 0.1},
        seeds=0,
        confirmed_mean=None,
        confirmed_error=None,
        openings=1,
        train_accuracy=0.8,
        val=Share.of(7, 10),
        test=Share.of(right, rows),
        per_class=[Share.of(right, rows), None],
        confusion=[[right, rows - right], [0, 0]],
        outputs=[OUTPUTS],
        search=Search(
            sampler="tpe",
            pruner="halving",
            epochs=2,
            complete=3,
            pruned=1,
            failed=0,
            best_of=best_of([0.5, 0.7], without=1),
            drawn_independently=False,
            rung=1,
            importances=Importances(
                ranked=[
                    Importance(name="l2", share=0.6, low=0.5, high=0.9),
                    Importance(name="batch_size", share=0.4, low=0.1, high=0.5),
                ],
                alike=[("l2", "batch_size")],
            ),
            places=[L2],
        ),
    )


def difference(first, second, points, p_value, *, half=0.05):
    paired = PairedDifference(
        both=50,
        first_only=20,
        second_only=10,
        neither=20,
        difference=points,
        low=points - half,
        high=points + half,
        level=0.95,
        p_value=p_value,
    )
    return Difference(first=first, second=second, paired=paired, p_value=p_value)


def comparison(studies, differences, **changes):
    plain = Comparison(
        made="2024-01-02T03:04:05+00:00",
        data="digits",
        data_digest="d" * 64,
        split_digest="5" * 64,
        test_digest="7" * 64,
        test_rows=1000,
        class_names=["cat", "dog"],
        metric="val/accuracy",
        direction="maximize",
        answers=studies,
        differences=differences,
        caveats=["a caveat"],
    )
    return replace(plain, **changes)


A, B, C = answers("a", 70), answers("b", 65), answers("c", 40)


def test_a_difference_that_is_not_shown_is_said_to_be_none():
    found = comparison([A, B], [difference("a", "b", 0.05, 0.0501, half=0.06)])
    assert found.sentence == (
        "No difference shown between a (70.0 %) and b (65.0 %) on 1,000 test rows, "
        "one training of each: 5.0 points, 95 % interval -1.0 to 11.0, McNemar's exact p = 0.05."
    )


def test_where_the_test_and_the_interval_disagree_it_is_said_which_decides():
    found = comparison([A, B], [difference("a", "b", 0.05, 0.0625, half=0.04)])
    assert found.sentence.startswith("No difference shown")
    assert found.sentence.endswith(
        "p = 0.062 (which decides; the bootstrap's interval is short where few rows differ)."
    )


def test_a_difference_that_is_shown_names_the_better_one_first():
    found = comparison([B, A], [difference("b", "a", -0.05, 0.00004)])
    assert found.sentence == (
        "a (70.0 %) is better than b (65.0 %) on 1,000 test rows, one training of each: "
        "by 5.0 points, 95 % interval 0.0 to 10.0, McNemar's exact p < 0.0001."
    )


def test_a_short_interval_is_told_to_the_hundredth():
    found = comparison([A, B], [difference("a", "b", 0.0056, 0.02, half=0.0055)])
    assert "by 0.56 points, 95 % interval 0.01 to 1.11" in found.sentence


def test_of_several_studies_the_best_is_told_with_what_it_beats():
    pairs = [difference("a", "b", 0.05, 0.2), difference("a", "c", 0.3, 0.001)]
    found = comparison([A, B, C], [*pairs, difference("b", "c", 0.25, 0.001)])
    assert found.sentence == (
        "a (70.0 %) has the highest accuracy of 3 on 1,000 test rows, "
        "one training of each: better than c; "
        "no difference shown from b (McNemar's exact test of every pair, corrected by Holm)."
    )


def test_of_several_studies_the_best_may_be_better_than_none():
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    found = comparison([A, B, C], [difference(*pair, 0.0, 1.0) for pair in pairs])
    assert (
        "of 3 on 1,000 test rows, one training of each: no difference shown from b and c ("
        in found.sentence
    )


def test_of_several_studies_the_best_may_stand_second_in_a_pair():
    pairs = [difference("b", "a", -0.05, 0.01), difference("c", "a", -0.3, 0.01)]
    found = comparison([B, C, A], [*pairs, difference("b", "c", 0.25, 0.01)])
    assert "better than b and c (" in found.sentence


@pytest.mark.parametrize(
    ("points", "p_value", "better"),
    [(0.1, 0.049, "a"), (-0.1, 0.049, "b"), (0.1, 0.05, None)],
)
def test_one_is_better_where_the_corrected_p_value_says_so(points, p_value, better):
    found = difference("a", "b", points, p_value)
    assert (found.better, found.shown) == (better, better is not None)


def test_the_gap_is_what_training_rows_have_over_test_rows():
    assert A.gap == pytest.approx(0.1)


def test_of_equals_the_first_named_is_the_best():
    found = comparison([B, A, answers("d", 70)], [])
    assert found.best is A
    assert found.studies == ["b", "a", "d"]


def test_a_record_reads_back_as_the_same_comparison():
    found = comparison([A, B], [difference("a", "b", 0.05, 0.2)])
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert Comparison.from_record(record) == found
    assert (record["sentence"], record["run_key"]) == (found.sentence, found.key)


def test_each_comparison_has_a_key_of_its_own():
    found = comparison([A, B], [difference("a", "b", 0.05, 0.2)])
    assert replace(found).key == found.key
    assert replace(found, made="2024-01-02T03:04:06+00:00").key != found.key
