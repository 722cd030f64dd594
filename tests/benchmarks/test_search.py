"""Replays on recorded problems: what a policy spends, and what it loses."""

import numpy as np
import problems
import pytest
import search

ORDERS = 5


@pytest.fixture(scope="module")
def digits():
    return problems.load(["digits-softmax"])[0]


def test_trials_in_full_lose_nothing(digits):
    outcomes = search.measure(digits, search.FULL, orders=ORDERS)
    assert (outcomes.lost == 0).all()
    assert (outcomes.trial_epochs == search.TRIALS * problems.EPOCHS).all()


def test_a_search_ends_trials_as_a_study_would(digits):
    order = search.draw_orders(digits, 1)[0]
    found = search.replay(digits, search.USUAL, search.accuracy(digits), order, 2)
    # Of two trials the first goes on to its end, the other only if it is better after epoch 3.
    later = digits.select.accuracy[order[1], 2] > digits.select.accuracy[order[0], 2]
    assert found.trial_epochs == problems.EPOCHS + (problems.EPOCHS if later else 3)


def test_diverged_trials_are_replaced(digits):
    curves = digits.select.accuracy.copy(), digits.select.loss.copy()
    order = search.draw_orders(digits, 1)[0]
    for curve in curves:
        curve[order[1:4], 0] = np.nan
    broken = problems.Problem(**{**vars(digits), "select": problems.Curves(*curves)})
    found = search.replay(broken, search.FULL, search.accuracy(broken), order, 10)
    assert found.trial_epochs == 10 * problems.EPOCHS
    assert found.chosen in order[:1] + order[4:13]


def test_the_default_spends_a_fifth_and_loses_a_tenth_of_a_point_at_most():
    outcomes = [search.measure(each, search.USUAL, orders=ORDERS) for each in problems.load()]
    spent = np.mean([one.trial_epochs for one in outcomes])
    assert spent <= search.TRIALS * problems.EPOCHS / 5
    assert np.mean([one.lost for one in outcomes]) <= 0.1
