from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from sweep.figures.parallel import parallel_figure
from sweep.figures.style import VERMILLION


def draw(trials, direction="maximize"):
    return parallel_figure(trials, direction=direction, objective="val/accuracy")


def paths(figure):
    """The heights of each trial's line, the worst first."""
    (collection,) = figure.axes[0].collections
    return [path.vertices[:, 1].tolist() for path in collection.get_paths()]


def best_path(figure):
    (line,) = [
        line for line in figure.axes[0].lines if to_hex(line.get_color()) == VERMILLION.lower()
    ]
    return line.get_ydata().tolist()


def test_a_log_parameter_has_a_log_axis_and_choices_equal_steps(trial):
    low = trial(0, 0.1, l2=1e-5, batch_size=25)
    middle = trial(1, 0.2, l2=10**-2.5, batch_size=100)
    high = trial(2, 0.3, l2=1.0, batch_size=400)
    drawn = paths(draw([low, middle, high]))
    np.testing.assert_allclose(drawn, [[0, 0, 0], [0.5, 0.5, 0.5], [1, 1, 1]], atol=1e-12)


def test_an_axis_reaches_over_the_whole_range_of_its_parameter(trial):
    drawn = paths(draw([trial(0, 0.1, flip_probability=0.1), trial(1, 0.2, flip_probability=0.2)]))
    np.testing.assert_allclose(drawn, [[0.2, 0], [0.4, 1]])


@pytest.mark.parametrize(("direction", "order"), [("maximize", [0, 1]), ("minimize", [1, 0])])
def test_the_worst_is_drawn_first_and_the_best_in_red_on_top(trial, direction, order):
    figure = draw([trial(0, 0.2, l2=1e-5), trial(1, 0.4, l2=1.0)], direction)
    by_number = [[0, 0], [1, 1]]
    assert paths(figure) == [by_number[number] for number in order]
    assert best_path(figure) == by_number[order[-1]]


def test_better_trials_are_darker(study):
    (collection,) = draw(study).axes[0].collections
    lightness = collection.get_colors()[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert len(lightness) == 20
    assert (np.diff(lightness) < 0).all()


def test_only_varied_parameters_have_an_axis(trial, words):
    figure = draw([trial(0, 0.1, l2=0.1), trial(1, 0.2, l2=0.2)])
    shown = words(figure)
    assert {"l2", "val/accuracy"} <= set(shown)
    assert "batch_size" not in shown


def test_pruned_and_failed_trials_have_no_line_but_are_counted(trial, words):
    trials = [trial(0, 0.1, l2=0.1), trial(1, 0.2, l2=0.2)]
    trials.append(trial(2, 0.9, TrialState.PRUNED, (0.9,), l2=0.3))
    trials.append(trial(3, None, TrialState.FAIL, l2=0.4))
    figure = draw(trials)
    assert len(paths(figure)) == 2
    assert "2 complete, 1 pruned, 1 failed. Best: trial 1, val/accuracy 0.2" in words(figure)


def test_a_trial_without_one_of_the_parameters_has_no_line(trial):
    space = {"l2": FloatDistribution(0.0, 1.0), "extra": FloatDistribution(0.0, 1.0)}
    trials = [trial(i, 0.1 * i, space=space, l2=0.1 * i, extra=0.2 * i) for i in (1, 2)]
    trials.append(trial(3, 0.9, space=space, l2=0.9))
    assert len(paths(draw(trials))) == 2


def test_equal_objectives_are_drawn_in_the_middle(trial):
    assert paths(draw([trial(0, 0.4, l2=1e-5), trial(1, 0.4, l2=1.0)])) == [[0, 0.5], [1, 0.5]]


def test_one_trial_is_drawn(trial):
    assert len(best_path(draw([trial(0, 0.4)]))) == 6


@pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.FAIL])
def test_without_a_complete_trial_the_figure_says_so(trial, state, words):
    assert "no complete trial" in words(draw([trial(0, None, state)]))
    assert "no complete trial" in words(draw([]))


def test_where_nothing_varied_the_figure_says_so(trial, words):
    assert "no parameter varied" in words(draw([trial(0, 0.1), trial(1, 0.2)]))


def test_nothing_is_clipped_of_a_usual_study(study, fits):
    assert fits(draw(study))


def test_nothing_is_clipped_of_names_and_choices_that_are_long_or_strange(trial, fits):
    space = {
        name: CategoricalDistribution([r"$\frac{2$", "a choice with a long name " * 4])
        for name in (r"$\frac{1$", "a parameter with a long name " * 4, *"abcdefg")
    }
    trials = [
        trial(i, float(i), space=space, **{name: d.choices[i] for name, d in space.items()})
        for i in range(2)
    ]
    assert fits(draw(trials))


def test_trials_that_are_compared_early_are_said_to_be(trial, words):
    trials = [trial(0, 0.1, l2=0.1), trial(1, 0.2, l2=0.2)]
    figure = parallel_figure(trials, direction="maximize", objective="val/accuracy", epoch=2)
    assert "Hyperparameters and val/accuracy after epoch 2" in words(figure)
    assert "2 trials, compared after epoch 2. Best: trial 1, val/accuracy 0.2" in words(figure)
