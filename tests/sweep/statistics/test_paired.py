import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, bootstrap

from sweep.statistics.paired import compare_paired, difference_interval, holm, mcnemar

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


@given(counts, counts)
def test_mcnemar_does_not_care_which_is_called_first(first, second):
    assert mcnemar(first, second) == pytest.approx(mcnemar(second, first))


@pytest.mark.parametrize("n", [0, 1, 10])
def test_as_many_disagreements_either_way_show_nothing(n):
    assert mcnemar(n, n) == 1


def test_mcnemar_finds_a_difference_where_there_is_none_no_oftener_than_it_may(rng):
    right = rng.random((2_000, 2, 200)) < 0.5
    shown = [compare_paired(first, second).p_value < 0.05 for first, second in right]
    assert np.mean(shown) <= 0.05 + 3 * (0.05 * 0.95 / 2_000) ** 0.5


def test_counts_and_difference_are_those_of_the_rows():
    found = compare_paired(*answers(both=50, first_only=12, second_only=4, neither=14))
    assert (found.both, found.first_only, found.second_only, found.neither) == (50, 12, 4, 14)
    assert (found.rows, found.difference) == (80, 0.1)
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


def test_a_higher_level_has_a_wider_interval():
    narrow = difference_interval(30, 20, 200, level=0.8)
    wide = difference_interval(30, 20, 200, level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


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
