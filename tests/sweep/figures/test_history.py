from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from optuna.trial import TrialState

from sweep.figures.history import history_figure
from sweep.figures.style import PALE

VALUES = [0.30, 0.25, 0.38, 0.31, 0.38, 0.40, 0.10]


def drawn(trials, direction="maximize"):
    figure = history_figure(trials, direction=direction, objective="val/accuracy")
    (axes,) = figure.axes
    return {line.get_label(): line for line in axes.lines}


def points(line):
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


@pytest.mark.parametrize(
    ("direction", "running"),
    [("maximize", np.maximum.accumulate), ("minimize", np.minimum.accumulate)],
)
def test_best_so_far_is_the_running_best(trial, direction, running):
    lines = drawn([trial(i, value) for i, value in enumerate(VALUES)], direction)
    np.testing.assert_array_equal(lines["best so far"].get_ydata(), running(VALUES))
    assert lines["best so far"].get_drawstyle() == "steps-post"


def test_every_complete_trial_is_a_point_at_its_number(trial):
    lines = drawn([trial(3 * i, value) for i, value in enumerate(VALUES)])
    assert points(lines["complete"]) == [(3 * i, value) for i, value in enumerate(VALUES)]


def test_the_best_trial_is_marked(trial):
    trials = [trial(i, value) for i, value in enumerate(VALUES)]
    assert points(drawn(trials)["best: trial 5"]) == [(5, 0.40)]
    assert points(drawn(trials, "minimize")["best: trial 6"]) == [(6, 0.10)]


def test_pruned_trials_are_pale_and_count_for_no_best(trial):
    lines = drawn([trial(0, 0.3), trial(1, 0.9, TrialState.PRUNED, (0.8, 0.9))])
    assert points(lines["pruned (last value)"]) == [(1, 0.9)]
    assert to_hex(lines["pruned (last value)"].get_color()).upper() == PALE
    assert points(lines["best so far"]) == [(0, 0.3)]


@pytest.mark.parametrize("state", [TrialState.FAIL, TrialState.RUNNING])
def test_a_failed_or_running_trial_is_not_plotted(trial, state):
    lines = drawn([trial(0, 0.3), trial(1, None, state, (0.8, 0.9))])
    assert all(number == 0 for line in lines.values() for number, _ in points(line))
    assert "pruned (last value)" not in lines


def test_the_caption_says_how_the_trials_ended(study, words):
    figure = history_figure(study, direction="maximize", objective="val/accuracy")
    assert any(text.startswith("20 complete, 4 pruned, 1 failed.") for text in words(figure))


def test_all_pruned_trials_are_drawn_without_a_best(trial):
    lines = drawn([trial(i, 0.1, TrialState.PRUNED, (0.1,)) for i in range(3)])
    assert list(lines) == ["pruned (last value)"]


def test_no_trials_make_a_figure_that_says_so(words):
    figure = history_figure([], direction="maximize", objective="val/accuracy")
    assert "no finished trial" in words(figure)


@pytest.mark.parametrize(
    ("count", "objective"), [(0, "val/accuracy"), (1, r"$\frac{1$"), (26, "long " * 40)]
)
def test_nothing_is_clipped(study, count, objective, fits):
    assert fits(history_figure(study[:count], direction="maximize", objective=objective))
