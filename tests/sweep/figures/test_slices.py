from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from sweep.figures.slices import slice_figure


def draw(trials, direction="maximize"):
    return slice_figure(trials, direction=direction, objective="val/accuracy")


def panels(figure):
    return {axes.get_xlabel(): axes for axes in figure.axes if axes.get_xlabel()}


def test_every_varied_parameter_has_a_panel(study):
    assert list(panels(draw(study))) == [
        "l2",
        "learning_rate",
        "decay_period",
        "batch_size",
        "flip_probability",
    ]


def test_an_axis_is_logarithmic_where_the_distribution_is(study):
    scales = {name: axes.get_xscale() for name, axes in panels(draw(study)).items()}
    assert scales == {
        "l2": "log",
        "learning_rate": "log",
        "decay_period": "linear",
        "batch_size": "linear",
        "flip_probability": "linear",
    }


def test_points_are_values_against_the_objective_coloured_by_trial(trial):
    figure = draw([trial(4, 0.1, l2=0.1), trial(7, 0.3, l2=0.2), trial(9, 0.2, l2=0.5)])
    points, _ = panels(figure)["l2"].collections
    np.testing.assert_allclose(points.get_offsets(), [[0.1, 0.1], [0.2, 0.3], [0.5, 0.2]])
    np.testing.assert_array_equal(points.get_array(), [4, 7, 9])


@pytest.mark.parametrize(
    ("direction", "place"), [("maximize", [0.2, 0.3]), ("minimize", [0.1, 0.1])]
)
def test_the_best_trial_is_marked_in_every_panel(trial, direction, place):
    trials = [trial(0, 0.1, l2=0.1, batch_size=25), trial(1, 0.3, l2=0.2, batch_size=400)]
    for name, axes in panels(draw(trials, direction)).items():
        _, star = axes.collections
        ((x, y),) = star.get_offsets()
        assert y == place[1]
        assert name != "l2" or x == place[0]


def test_choices_stand_at_their_indices_with_their_names(trial):
    axes = panels(draw([trial(0, 0.1, batch_size=25), trial(1, 0.2, batch_size=200)]))["batch_size"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["25", "50", "100", "200", "400"]
    assert axes.collections[0].get_offsets()[:, 0].tolist() == [0, 3]


def test_a_panel_shows_the_whole_range_of_its_parameter(trial):
    axes = panels(draw([trial(0, 0.1, l2=0.1), trial(1, 0.2, l2=0.2)]))["l2"]
    low, high = axes.get_xlim()
    assert low < 1e-5
    assert high > 1.0


def test_pruned_and_failed_trials_are_not_plotted_but_counted(trial, words):
    trials = [trial(0, 0.1, l2=0.1), trial(1, 0.2, l2=0.2)]
    trials.append(trial(2, 0.9, TrialState.PRUNED, (0.9,), l2=0.3))
    trials.append(trial(3, None, TrialState.FAIL, l2=0.4))
    figure = draw(trials)
    assert len(panels(figure)["l2"].collections[0].get_offsets()) == 2
    assert "2 complete, 1 pruned, 1 failed. Best: trial 1, val/accuracy 0.2" in words(figure)


def test_a_trial_without_a_parameter_is_missing_from_its_panel_alone(trial):
    space = {"l2": FloatDistribution(0.0, 1.0), "extra": FloatDistribution(0.0, 1.0)}
    trials = [trial(i, 0.1 * i, space=space, l2=0.1 * i, extra=0.2 * i) for i in (1, 2)]
    trials.append(trial(3, 0.9, space=space, l2=0.9))
    drawn = panels(draw(trials))
    sizes = {name: [len(c.get_offsets()) for c in axes.collections] for name, axes in drawn.items()}
    assert sizes == {"l2": [3, 1], "extra": [2]}


def test_trials_that_are_compared_early_are_said_to_be(trial, words):
    trials = [trial(0, 0.1, l2=0.1), trial(1, 0.2, l2=0.2)]
    shown = words(
        slice_figure(trials, direction="maximize", objective="val/accuracy", selected=0, epoch=2)
    )
    assert "val/accuracy after epoch 2 by hyperparameter" in shown
    assert "2 trials, compared after epoch 2. Selected: trial 0, val/accuracy 0.1" in shown


@pytest.mark.parametrize("count", [0, 1])
def test_no_or_one_trial_needs_no_colour_bar(study, count):
    assert not any(axes.get_ylabel() == "trial" for axes in draw(study[:count]).axes)


def test_without_a_complete_trial_the_figure_says_so(trial, words):
    assert "no complete trial" in words(draw([trial(0, 0.1, TrialState.PRUNED, (0.1,))]))


def test_where_nothing_varied_the_figure_says_so(trial, words):
    assert "no parameter varied" in words(draw([trial(0, 0.1), trial(1, 0.2)]))


@pytest.fixture(scope="module")
def strange(trial):
    """Two trials of parameters whose names, choices and ranges are hard to letter."""
    space = {
        r"$\frac{1$": FloatDistribution(0.0011, 0.0012, log=True),
        "a parameter with a long name " * 4: CategoricalDistribution([r"$\frac{2$", "long " * 30]),
        "steps": IntDistribution(100, 10_000_000, log=True),
        "many": CategoricalDistribution(list(range(40))),
    }
    values = [
        (0.0011, 0.0012),
        space["a parameter with a long name " * 4].choices,
        (100, 10**7),
        (0, 39),
    ]
    return [
        trial(i, float(i), space=space, **{n: v[i] for n, v in zip(space, values, strict=True)})
        for i in range(2)
    ]


def test_nothing_is_clipped(study, strange, fits):
    assert fits(draw(study))
    assert fits(draw(strange))


def test_tick_labels_of_one_axis_do_not_overlap(study, strange, pixels):
    for figure in (draw(study), draw(strange)):
        pixels(figure)
        for axes in panels(figure).values():
            boxes = [text.get_window_extent() for text in axes.get_xticklabels()]
            assert all(left.x1 < right.x0 for left, right in pairwise(boxes)), axes.get_xlabel()
