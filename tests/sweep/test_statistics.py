"""What may be concluded from rows and trials: known values, oracles, and how often it holds."""

from itertools import combinations, pairwise
from math import inf, isnan, nan
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, bootstrap, ttest_1samp
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss

from sweep.statistics import (
    BINS,
    Share,
    accuracy_interval,
    balanced_accuracy,
    best_of,
    compare_paired,
    difference_interval,
    estimates,
    expected_best,
    holm,
    macro_f1,
    mcnemar,
    outputs_of,
    percent_with_interval,
    t_half_width,
)
from sweep_model.losses import BCE, SOFTMAX
from sweep_model.metrics import calibration_bins

# Intervals


@pytest.fixture(scope="module")
def scored():
    """Return scores of 500 rows in 8 classes of unequal size, and their labels."""
    rng = np.random.default_rng(3)
    labels = rng.choice(8, 500, p=np.arange(1, 9) / 36)
    return 1.5 * rng.normal(size=(500, 8)) + 2 * np.eye(8)[labels], labels


def test_estimates_are_scikit_learns_with_the_bootstraps_intervals(scored):
    scores, labels = scored
    found = estimates([scores[:200], scores[200:]], labels, SOFTMAX)
    probabilities = SOFTMAX.probabilities(scores)
    rows = np.arange(500)
    oracles = {
        "accuracy": lambda at: (scores[at].argmax(axis=1) == labels[at]).mean(),
        "balanced_accuracy": lambda at: balanced_accuracy_score(
            labels[at], scores[at].argmax(axis=1)
        ),
        "macro_f1": lambda at: f1_score(labels[at], scores[at].argmax(axis=1), average="macro"),
        "top5_accuracy": lambda at: (
            (scores[at] > scores[at, labels[at]][:, None]).sum(axis=1) < 5
        ).mean(),
        "log_loss": lambda at: log_loss(labels[at], probabilities[at], labels=range(8)),
    }
    assert found.keys() == oracles.keys()
    for name, oracle in oracles.items():
        assert found[name].value == pytest.approx(oracle(rows))
        drawn = bootstrap(
            (rows,), oracle, n_resamples=400, vectorized=False, method="percentile", rng=1
        ).confidence_interval
        assert found[name].low == pytest.approx(drawn.low, abs=0.15 * (drawn.high - drawn.low))
        assert found[name].high == pytest.approx(drawn.high, abs=0.15 * (drawn.high - drawn.low))


def test_a_top_5_of_five_classes_is_left_out_and_absent_classes_do_no_harm():
    scores = np.eye(5)[[0, 1, 1, 2]]
    found = estimates([scores], np.array([0, 1, 2, 2]), BCE)
    assert list(found) == ["accuracy", "balanced_accuracy", "macro_f1", "log_loss"]
    assert found["balanced_accuracy"].value == pytest.approx(2.5 / 3)
    assert all(each.low <= each.value <= each.high for each in found.values())
    certain = estimates([scores], np.array([0, 1, 1, 2]), BCE)["macro_f1"]
    assert (certain.value, certain.high) == (1, 1)
    assert accuracy_interval(1, 1)[0] < certain.low < accuracy_interval(1, 4)[0]


def test_rows_all_right_or_all_wrong_tell_as_much_of_classes_of_one_size_as_of_accuracy():
    for classes, rows in ((2, 50), (10, 100), (1000, 3000)):
        labels = np.arange(rows) % classes
        every = (1, *accuracy_interval(1, rows))
        assert balanced_accuracy(labels, labels, classes)[:3] == pytest.approx(every)
        assert macro_f1(labels, labels, classes)[:3] == pytest.approx(every)
        wrong = balanced_accuracy((labels + 1) % classes, labels, classes)
        assert wrong[:3] == pytest.approx((0, *accuracy_interval(0, rows)))
        worst = macro_f1((labels + 1) % classes, labels, classes)
        assert (worst.value, worst.low) == (0, 0)
        assert wrong.high < worst.high < 3 * wrong.high
    # of one rare class, all right, less is known
    labels = np.repeat([0, 1], [990, 10])
    for metric in (balanced_accuracy, macro_f1):
        assert metric(labels, labels, 2).low < accuracy_interval(1, 100)[0]


def test_half_the_width_is_z_standard_deviations_of_the_mean():
    """Away from the edges, with many rows, where a class's is the root of p (1 - p) / n."""
    labels = np.repeat([0, 1, 2], [10_000, 20_000, 70_000])
    predicted = np.where(np.arange(100_000) % 10 < 3, (labels + 1) % 3, labels)
    found = balanced_accuracy(predicted, labels, 3)
    variance = sum(0.7 * 0.3 / rows for rows in (10_000, 20_000, 70_000)) / 9
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * variance**0.5, rel=1e-3)


def test_intervals_of_means_over_classes_hold_the_truth_near_the_edge():
    rng, sizes = np.random.default_rng(0), np.array([0.12, 0.34, 0.54])
    joint = sizes[:, None] * (0.94 * np.eye(3) + 0.02)  # p_ij; 96 % of each class are right
    f1 = 2 * np.diag(joint) / (joint.sum(axis=0) + joint.sum(axis=1))
    held = np.zeros(2)
    for _ in range(500):
        labels, predicted = np.divmod(rng.choice(9, 100, p=joint.ravel()), 3)
        for metric, truth in enumerate((0.96, f1.mean())):
            found = (balanced_accuracy, macro_f1)[metric](predicted, labels, 3)
            held[metric] += found.low <= truth <= found.high
    assert (held / 500 >= 0.93).all()
    assert (held / 500 <= 0.985).all()


PUBLISHED = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


def test_the_interval_is_the_published_one():
    for right, rows, low, high in PUBLISHED:
        assert accuracy_interval(right / rows, rows) == pytest.approx((low, high), abs=5e-5)


def test_nothing_right_and_everything_right_have_intervals_that_touch_the_bounds():
    for rows in (1, 15, 1000):
        none, every = accuracy_interval(0.0, rows), accuracy_interval(1.0, rows)
        assert none[0] == 0
        assert every[1] == 1
        assert 0 < none[1] < 1
        assert every[0] == pytest.approx(1 - none[1])


@given(st.integers(1, 10_000), st.data())
def test_the_interval_holds_the_accuracy_and_stays_within_the_bounds(rows, data):
    accuracy = data.draw(st.integers(0, rows)) / rows
    low, high = accuracy_interval(accuracy, rows)
    assert 0 <= low <= accuracy <= high <= 1


def test_a_thousand_rows_leave_three_points_to_either_side():
    assert percent_with_interval(0.413, 1000) == "41.3 % [38.3, 44.4]"


def test_a_share_comes_with_wilsons_interval_of_its_rows():
    share = Share.of(3, 4)
    assert (share.right, share.rows, share.value) == (3, 4, 0.75)
    for right in range(0, 361, 40):
        share = Share.of(right, 360)
        assert share.low <= share.value <= share.high
        assert (share.low, share.high) == accuracy_interval(right / 360, 360)


def test_the_half_width_of_a_mean_is_students(rng):
    values = rng.normal(size=7)
    oracle = ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_half_width(values) == pytest.approx((oracle.high - oracle.low) / 2)
    assert isnan(t_half_width([0.4]))
    assert isnan(t_half_width([0.4, nan]))


# Two classifiers on the same rows


counts = st.integers(0, 40)


def answers(both, first_only, second_only, neither):
    sizes = (both, first_only, second_only, neither)
    first = np.repeat([True, True, False, False], sizes)
    second = np.repeat([True, False, True, False], sizes)
    return first, second


def test_mcnemar_is_the_sign_test_of_the_disagreements():
    # 1 of 9 under a fair coin, both tails: 2 (1 + 9) / 2^9
    assert mcnemar(1, 8) == pytest.approx(20 / 512)
    # Agresti, Categorical Data Analysis, 3rd edition, table 11.1: 86 changes against 150
    assert mcnemar(86, 150) == pytest.approx(3.7e-5, rel=0.02)


def test_as_many_disagreements_either_way_show_nothing():
    assert [mcnemar(n, n) for n in (0, 1, 10)] == [1, 1, 1]


def test_mcnemar_finds_a_difference_where_there_is_none_no_oftener_than_it_may(rng):
    right = rng.random((2_000, 2, 200)) < 0.5
    shown = [compare_paired(first, second).p_value < 0.05 for first, second in right]
    assert np.mean(shown) <= 0.05 + 3 * (0.05 * 0.95 / 2_000) ** 0.5


def test_counts_and_difference_are_those_of_the_rows():
    found = compare_paired(*answers(both=50, first_only=12, second_only=4, neither=14))
    assert (found.both, found.first_only, found.second_only, found.neither) == (50, 12, 4, 14)
    assert found.difference == 0.1
    assert found.p_value == mcnemar(12, 4)
    assert (found.low, found.high) == difference_interval(12, 4, 80)


def test_the_interval_is_what_scipys_bootstrap_tends_to(rng):
    pair = answers(both=150, first_only=35, second_only=15, neither=100)
    found = bootstrap(
        pair,
        lambda first, second, axis=-1: first.mean(axis=axis) - second.mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
        batch=2_000,
        rng=rng,
    ).confidence_interval
    assert difference_interval(35, 15, 300) == pytest.approx(found, abs=1 / 300)


def test_the_interval_of_one_kind_of_disagreement_is_the_binomials():
    low, high = difference_interval(30, 0, 100)
    assert (low, high) == (binom.ppf(0.025, 100, 0.3) / 100, binom.ppf(0.975, 100, 0.3) / 100)


def test_the_interval_is_the_same_for_ten_thousand_rows_as_by_resampling(rng):
    first, second, rows = 900, 760, 10_000
    drawn = rng.multinomial(
        rows, [first / rows, second / rows, 1 - (first + second) / rows], 50_000
    )
    differences = (drawn[:, 0] - drawn[:, 1]) / rows
    found = difference_interval(first, second, rows)
    assert found == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=2e-4)


@given(counts, counts, st.integers(0, 40))
def test_the_interval_holds_the_difference_and_turns_with_it(first, second, others):
    rows = first + second + others + 1
    low, high = difference_interval(first, second, rows)
    assert low <= (first - second) / rows <= high
    turned = difference_interval(second, first, rows)
    assert turned == pytest.approx((-high, -low), abs=1.01 / rows)  # one tie, on a lattice


def test_classifiers_that_never_disagree_leave_the_bootstrap_nothing_to_resample():
    found = compare_paired(*answers(both=7, first_only=0, second_only=0, neither=3))
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says(rng):
    shares, rows, tries = np.array([0.5, 0.14, 0.08, 0.28]), 300, 1_000
    covered = 0
    for _, first, second, _ in rng.multinomial(rows, shares, tries):
        low, high = difference_interval(first, second, rows)
        covered += low <= shares[1] - shares[2] <= high
    assert 0.93 <= covered / tries <= 0.97


@pytest.mark.parametrize(("first", "second"), [((3,), (4,)), ((0,), (0,))])
def test_other_rows_or_none_are_refused(first, second):
    with pytest.raises(ValueError, match="needs the same rows"):
        compare_paired(np.ones(first, bool), np.ones(second, bool))


def test_holm_multiplies_the_smallest_most():
    # Holm's own scheme: 4 x 0.01, 3 x 0.013, 2 x 0.03, 1 x 0.04, none below one before it
    assert holm([0.03, 0.01, 0.04, 0.013]) == pytest.approx([0.06, 0.04, 0.06, 0.04])


@pytest.mark.parametrize(
    ("p_values", "corrected"), [([0.3], [0.3]), ([], []), ([0.6, 0.9], [1, 1])]
)
def test_holm_leaves_one_alone_and_never_passes_one(p_values, corrected):
    assert holm(p_values) == pytest.approx(corrected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferronis(p_values):
    for plain, corrected in zip(p_values, holm(p_values), strict=True):
        assert plain <= corrected <= min(1, len(p_values) * plain) + 1e-12


def test_holm_finds_nothing_in_nothing_as_often_as_promised(rng):
    found = [min(holm(p_values)) < 0.05 for p_values in rng.random((4_000, 3))]
    assert np.mean(found) <= 0.05 + 3 * (0.05 * 0.95 / 4_000) ** 0.5


# The best of k


accuracies = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=1, max_size=8)


@given(accuracies, st.integers(0, 3))
def test_the_mean_best_is_that_of_all_choices_of_k_trials(values, without):
    trials = [*values, *[None] * without]
    for k, mean in enumerate(best_of(values, without=without).expected, start=1):
        choices = [[x for x in each if x is not None] for each in combinations(trials, k)]
        assert mean == pytest.approx(fmean(max(each) for each in choices if each))


def test_the_mean_best_is_unbiased(rng):
    # E[max of k uniform numbers] = k / (k + 1)
    means = np.mean([expected_best(np.sort(rng.random(10))) for _ in range(2_000)], axis=0)
    k = np.arange(1, 11)
    np.testing.assert_allclose(means, k / (k + 1), atol=0.01)


@given(accuracies, st.integers(0, 3))
def test_more_trials_are_never_worse_and_losses_are_accuracies_upside_down(values, without):
    up = best_of(values, without=without)
    assert all(b >= a - 1e-12 for a, b in pairwise(up.expected))
    down = best_of([-value for value in values], without=without, direction="minimize")
    assert down.expected == pytest.approx([-value for value in up.expected])


def test_a_trial_without_a_value_costs_a_draw_and_never_wins():
    curve = best_of([0.4, 0.5], without=2)
    assert (curve.trials, curve.results) == (4, 2)
    assert curve.expected[0] == pytest.approx(0.45)
    assert curve.expected[3] == 0.5


def test_without_any_value_there_is_no_curve():
    for without in (0, 4):
        curve = best_of([], without=without)
        assert (curve.trials, curve.results, curve.expected) == (0, 0, [])


def test_a_value_that_is_not_finite_is_refused():
    for value in (nan, inf):
        with pytest.raises(ValueError, match="values must be finite"):
            best_of([0.5, value])


def test_a_thousand_trials_are_no_trouble():
    assert best_of([i / 1000 for i in range(1000)]).expected[-1] == pytest.approx(0.999)


# What probabilities said


SCORES = np.array([[2.0, 0, 0], [0, 1, 0], [0, 0, -1], [3, 0, 0]])
LABELS = np.array([0, 1, 2, 1])  # two right, two wrong


def test_a_softmax_has_one_way_of_making_probabilities():
    (found,) = outputs_of(SCORES, LABELS, SOFTMAX)
    assert found.name == "softmax"


def test_sigmoids_are_told_as_they_are_and_divided_by_their_sum():
    plain, normalised = outputs_of(SCORES, LABELS, BCE)
    assert (plain.name, normalised.name) == ("sigmoid", "sigmoid, normalised")
    sigmoids = 1 / (1 + np.exp(-SCORES))
    given_plain = sigmoids[np.arange(4), LABELS]
    assert bins_of(plain) == sorted((given_plain * BINS).astype(int))
    given_normalised = (sigmoids / sigmoids.sum(axis=1, keepdims=True))[np.arange(4), LABELS]
    assert bins_of(normalised) == sorted((given_normalised * BINS).astype(int))


def bins_of(outputs):
    both = np.array(outputs.right) + np.array(outputs.wrong)
    return np.repeat(np.arange(BINS), both).tolist()


@pytest.mark.parametrize("loss", [SOFTMAX, BCE])
def test_every_row_is_counted_once_as_right_or_wrong(loss, rng):
    scores, labels = rng.normal(size=(500, 4)), rng.integers(0, 4, 500)
    right = int((scores.argmax(axis=1) == labels).sum())
    for found in outputs_of(scores.astype(np.float32), labels, loss):
        assert (sum(found.right), sum(found.wrong)) == (right, 500 - right)
        assert len(found.right) == len(found.wrong) == BINS


def test_the_calibration_error_is_the_mean_distance_from_the_diagonal(rng):
    scores, labels = rng.normal(size=(300, 3)), rng.integers(0, 3, 300)
    (softmax,) = outputs_of(scores, labels, SOFTMAX)
    bins = calibration_bins(SOFTMAX.probabilities(scores), labels)
    gaps = bins.counts * np.abs(bins.accuracy - bins.confidence)
    assert softmax.calibration_error == pytest.approx(np.nansum(gaps) / 300)


def test_labels_drawn_from_the_probabilities_leave_hardly_any_error(rng):
    scores = rng.normal(size=(20_000, 3)).astype(np.float32)
    probabilities = SOFTMAX.probabilities(scores)
    labels = (probabilities.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    (found,) = outputs_of(scores, labels, SOFTMAX)
    assert found.calibration_error < 0.02
    (sharper,) = outputs_of(3 * scores, labels, SOFTMAX)
    assert sharper.calibration_error > 0.1


@given(st.floats(20, 1e4))
def test_scores_of_any_size_leave_finite_numbers(size):
    scores = np.array([[-size, -size - 1], [size, size + 1]], dtype=np.float32)
    for loss in (SOFTMAX, BCE):
        for found in outputs_of(scores, np.array([0, 0]), loss):
            assert (sum(found.right), sum(found.wrong)) == (1, 1)
            assert np.isfinite(found.calibration_error)


def test_sigmoids_that_all_vanish_still_have_shares():
    scores = np.array([[-2000.0, -2000.0]])
    _, normalised = outputs_of(scores, np.array([0]), BCE)
    assert normalised.right[10] == 1  # a half: the eleventh of twenty bins
