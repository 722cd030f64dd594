from __future__ import annotations

from itertools import pairwise
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from sweep.plots import (
    PALE,
    SeedValues,
    confirmation_figure,
    history_figure,
    importance_figure,
    parallel_figure,
    slice_figure,
)
from sweep.plots.study import (
    AxisScale,
    best,
    caption,
    complete,
    name_of_best,
    plain,
    pruned,
    varied,
)
from sweep.plots.style import VERMILLION
from sweep.statistics import t_half_width

STUDY = {"direction": "maximize", "objective": "val/accuracy"}
LONG = "a parameter with a long name " * 4


# Which trials count


def numbers(results):
    return [result.trial.number for result in results]


def test_complete_trials_with_a_finite_value_come_by_number(trial):
    trials = [trial(2, 0.2), trial(0, 0.4), trial(1, inf)]
    trials += [
        trial(3 + i, 0.4 if state is TrialState.PRUNED else None, state)
        for i, state in enumerate(TrialState)
        if state is not TrialState.COMPLETE
    ]
    assert [(result.trial.number, result.value) for result in complete(trials)] == [
        (0, 0.4),
        (2, 0.2),
    ]


def test_a_pruned_trial_stands_at_the_last_finite_value_it_reported(trial):
    stopped = trial(3, None, TrialState.PRUNED, (0.1, 0.2, nan))
    silent = trial(4, None, TrialState.PRUNED)
    failed = trial(5, None, TrialState.FAIL, (0.3,))
    assert [(r.trial.number, r.value) for r in pruned([failed, silent, stopped])] == [(3, 0.2)]


def test_the_best_is_the_highest_or_the_lowest_and_of_equals_the_first_or_the_selected(trial):
    values = [0.2, 0.4, 0.1, 0.4, 0.1]
    results = complete([trial(i, value) for i, value in enumerate(values)])
    assert best(results, "maximize").trial.number == 1
    assert best(results, "minimize").trial.number == 2
    assert best(results, "maximize", selected=3).trial.number == 3


def test_a_selected_trial_is_called_the_best_only_where_it_is(trial):
    results = complete([trial(0, 0.1), trial(1, 0.2)])
    for selected, name in ((None, "best: trial 1"), (1, "best: trial 1"), (0, "selected: trial 0")):
        assert name_of_best(results, "maximize", selected) == name
        words = caption([result.trial for result in results], *STUDY.values(), selected)
        assert f". {name.capitalize()}, val/accuracy 0." in words


def test_the_caption_counts_the_endings_and_names_the_best(study, trial):
    counts = "20 complete, 4 pruned, 1 failed. Best: trial "
    assert caption(study, "maximize", "val/accuracy").startswith(counts)
    failed = [trial(0, None, TrialState.FAIL)]
    assert caption(failed, "maximize", "val/accuracy") == "0 complete, 0 pruned, 1 failed"


def test_only_what_took_more_than_one_value_or_could_have_is_varied(trial):
    assert list(varied(complete([trial(0, 0.1, l2=0.1), trial(1, 0.2, l2=0.2)]))) == ["l2"]
    space = {
        "open": FloatDistribution(0.0, 1.0),
        "fixed": IntDistribution(3, 3),
        "only": CategoricalDistribution(["choice"]),
    }
    one = complete([trial(0, 0.1, space=space, open=0.5, fixed=3, only="choice")])
    assert list(varied(one)) == ["open"]
    assert varied([]) == {}


# Axes


def labels(distribution):
    return [words for _, words in AxisScale.of(distribution).ticks()]


def test_ticks_are_round_numbers_within_the_range():
    for distribution, ticks in (
        (FloatDistribution(1e-5, 1.0, log=True), ["1e-5", "1e-4", "1e-3", "0.01", "0.1", "1"]),
        (FloatDistribution(0.01, 0.1, log=True), ["0.01", "0.02", "0.05", "0.1"]),
        (FloatDistribution(0.001, 0.0012, log=True), ["1e-3", "1.2e-3"]),
        (FloatDistribution(0.0011, 0.0012, log=True), ["1.1e-3", "1.14e-3", "1.18e-3"]),
        (IntDistribution(1, 3), ["1", "2", "3"]),
        (CategoricalDistribution([400, 25, None, "x\ny"]), ["400", "25", "None", "x y"]),
    ):
        assert labels(distribution) == ticks


def test_of_many_choices_some_are_labelled_at_their_own_positions():
    ticks = AxisScale.of(CategoricalDistribution(list(range(30)))).ticks()
    assert 6 <= len(ticks) <= 12
    assert all(words == str(position) for position, words in ticks)


def test_a_log_range_is_logarithmic_and_choices_have_equal_steps():
    scale = AxisScale.of(FloatDistribution(1e-4, 1.0, log=True))
    assert scale.unit(1e-2) == pytest.approx(0.5)
    assert scale.between(0.5) == pytest.approx(1e-2)
    scale = AxisScale.of(CategoricalDistribution([25, 50, 400]))
    assert [scale.unit(position) for position in (0, 1, 2)] == [0, 0.5, 1]


@given(st.booleans(), st.floats(1e-6, 1.0), st.floats(1.01, 1e6), st.floats(-0.1, 1.1))
def test_an_axis_has_two_to_a_dozen_ticks_between_its_ends(log, low, factor, unit):
    scale = AxisScale(low=low, high=factor * low, log=log)
    assert scale.unit(scale.between(unit)) == pytest.approx(unit, abs=1e-6)
    units = [scale.unit(position) for position, _ in scale.ticks()]
    assert 2 <= len(units) <= 12
    assert min(units) >= -1e-8
    assert max(units) <= 1 + 1e-8


def test_the_axis_around_values_ends_at_the_smallest_and_the_largest():
    scale = AxisScale.around([0.3, 0.1, 0.2])
    assert (scale.low, scale.high) == (0.1, 0.3)
    for value in (0.0, 0.4, -3.0, 1e300):
        assert AxisScale.around([value]).unit(value) == pytest.approx(0.5)


def test_a_number_is_written_as_one_types_it():
    for text in ("0", "0.01", "25", "99999", "1e5", "2.5e-3", "-1e-4", "1e-12"):
        assert plain(float(text)) == text


# History


COST = {"rungs": [1, 2], "baseline": 0, "best_so_far": [(3, 0.2), (5, 0.3), (6, 0.4)]}


def history(trials, direction="maximize", **changes):
    return history_figure(trials, direction=direction, objective="val/accuracy", **changes)


def ends(figure):
    """Where the curves of each kind of trial end."""
    by_epoch, _ = figure.axes
    return {
        line.get_label(): line.get_xydata().tolist()
        for line in by_epoch.lines
        if not line.get_label().startswith("_")
    }


@pytest.fixture
def halved(trial):
    """Return two complete trials, one that was pruned after two epochs, and one that failed."""
    return [
        trial(0, 0.3, reports=(nan, 0.1, 0.2, 0.3)),
        trial(1, None, TrialState.PRUNED, (nan, 0.2, 0.25)),
        trial(2, 0.4, reports=(nan, 0.2, 0.3, 0.4)),
        trial(3, None, TrialState.FAIL, (nan, 0.9)),
        trial(4, 0.35, reports=(nan, 0.2, 0.3, 0.35)),
    ]


def test_a_curve_is_as_long_as_its_trial_was_trained_and_ends_in_a_mark_of_its_kind(halved):
    for direction, marks in (
        ("maximize", {"trial 0": [[3, 0.3]], "complete": [[3, 0.35]], "best: trial 2": [[3, 0.4]]}),
        ("minimize", {"complete": [[3, 0.4], [3, 0.35]], "best: trial 0": [[3, 0.3]]}),
    ):
        figure = history(halved, direction, **COST)
        assert ends(figure) == {"pruned": [[2, 0.25]], **marks}
        paths = [path for each in figure.axes[0].collections for path in each.get_paths()]
        assert sorted(len(path.vertices) for path in paths) == [2, 3, 3, 3]
    pale = history(halved).axes[0].lines[0]
    assert to_hex(pale.get_color()).upper() == PALE


def test_the_rungs_have_ticks_with_the_trials_that_reached_them(halved, words):
    figure = history(halved, **COST)
    ticks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert ticks == ["1\n4", "2\n4", "3\n3"]
    assert "epoch, and how many trials reached it" in words(figure)
    assert "epoch" in words(history(halved))


def test_the_best_so_far_stands_against_its_cost_and_the_baseline(halved, words):
    figure = history(halved, **COST)
    best_so_far, baseline, star = figure.axes[1].lines
    assert best_so_far.get_xydata().tolist() == [list(point) for point in COST["best_so_far"]]
    assert list(baseline.get_ydata()) == [0.3, 0.3]
    assert star.get_xydata().tolist() == [[6, 0.4]]
    assert figure.axes[1].get_title(loc="left") == "best still in the search; trial 0 dashed"
    assert any(text.endswith(", in 6 trial-epochs") for text in words(figure))


def test_what_is_far_worse_than_the_others_is_cut_off_and_what_is_better_is_not(trial):
    values = [0.30, 0.31, 0.32, 0.33]
    trials = [trial(n, v, reports=(nan, v)) for n, v in enumerate([*values, 0.0, 0.9])]
    for direction, shown, hidden in (("maximize", 0.9, 0.0), ("minimize", 0.0, 0.9)):
        low, high = history(trials, direction).axes[0].get_ylim()
        assert low <= shown <= high
        assert not low <= hidden <= high


def test_pruned_trials_alone_have_curves_and_no_best(halved):
    assert ends(history([halved[1]], **COST)) == {"pruned": [[2, 0.25]]}


# Parallel coordinates


def paths(figure):
    """The heights of each trial's line, the worst first."""
    (collection,) = figure.axes[0].collections
    return [path.vertices[:, 1].tolist() for path in collection.get_paths()]


def red_path(figure):
    lines = figure.axes[0].lines
    (line,) = (line for line in lines if to_hex(line.get_color()) == VERMILLION.lower())
    return line.get_ydata().tolist()


def test_a_line_passes_every_axis_at_its_height_on_that_axis_own_scale(trial):
    trials = [
        trial(0, 0.1, l2=1e-5, batch_size=25, flip_probability=0.1),
        trial(1, 0.2, l2=10**-2.5, batch_size=100, flip_probability=0.2),
        trial(2, 0.3, l2=1.0, batch_size=400, flip_probability=0.5),
    ]
    heights = [[0, 0, 0.2, 0], [0.5, 0.5, 0.4, 0.5], [1, 1, 1, 1]]
    np.testing.assert_allclose(paths(parallel_figure(trials, **STUDY)), heights, atol=1e-12)


def test_the_worst_is_drawn_first_and_palest_and_the_best_in_red_on_top(trial, study):
    trials = [trial(0, 0.2, l2=1e-5), trial(1, 0.4, l2=1.0)]
    heights = [[0, 0], [1, 1]]
    for direction, worst, winner in (("maximize", 0, 1), ("minimize", 1, 0)):
        figure = parallel_figure(trials, direction=direction, objective="val/accuracy")
        assert paths(figure)[0] == heights[worst]
        assert red_path(figure) == heights[winner]
    (collection,) = parallel_figure(study, **STUDY).axes[0].collections
    lightness = collection.get_colors()[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert len(lightness) == 20
    assert (np.diff(lightness) < 0).all()


def test_only_complete_trials_and_varied_parameters_are_drawn(trial, words):
    trials = [trial(0, 0.1, l2=0.1), trial(1, 0.2, l2=0.2)]
    trials.append(trial(2, 0.9, TrialState.PRUNED, (0.9,), l2=0.3))
    trials.append(trial(3, None, TrialState.FAIL, l2=0.4))
    summary = "2 complete, 1 pruned, 1 failed. Best: trial 1, val/accuracy 0.2"
    figure = parallel_figure(trials, **STUDY)
    assert len(paths(figure)) == 2
    assert {"l2", "val/accuracy", summary} <= set(words(figure))
    assert "batch_size" not in words(figure)
    figure = slice_figure(trials, **STUDY)
    assert len(panels(figure)["l2"].collections[0].get_offsets()) == 2
    assert summary in words(figure)


def test_equal_objectives_are_drawn_in_the_middle(trial):
    trials = [trial(0, 0.4, l2=1e-5), trial(1, 0.4, l2=1.0)]
    assert paths(parallel_figure(trials, **STUDY)) == [[0, 0.5], [1, 0.5]]
    assert len(red_path(parallel_figure(trials[:1], **STUDY))) == 6  # one trial is drawn


def test_a_trial_without_one_of_the_parameters_is_missing_where_that_is_shown(trial):
    space = {"l2": FloatDistribution(0.0, 1.0), "extra": FloatDistribution(0.0, 1.0)}
    trials = [trial(i, 0.1 * i, space=space, l2=0.1 * i, extra=0.2 * i) for i in (1, 2)]
    trials.append(trial(3, 0.9, space=space, l2=0.9))
    assert len(paths(parallel_figure(trials, **STUDY))) == 2
    sizes = {
        name: [len(c.get_offsets()) for c in axes.collections]
        for name, axes in panels(slice_figure(trials, **STUDY)).items()
    }
    assert sizes == {"l2": [3, 1], "extra": [2]}


# Slices


def panels(figure):
    return {axes.get_xlabel(): axes for axes in figure.axes if axes.get_xlabel()}


def test_every_varied_parameter_has_a_panel_on_its_own_scale_over_its_whole_range(study):
    drawn = panels(slice_figure(study, **STUDY))
    assert {name: axes.get_xscale() for name, axes in drawn.items()} == {
        "l2": "log",
        "learning_rate": "log",
        "decay_period": "linear",
        "batch_size": "linear",
        "flip_probability": "linear",
    }
    low, high = drawn["l2"].get_xlim()
    assert low < 1e-5
    assert high > 1.0
    choices = [text.get_text() for text in drawn["batch_size"].get_xticklabels()]
    assert choices == ["25", "50", "100", "200", "400"]


def test_points_are_values_against_the_objective_coloured_by_trial_and_the_best_is_marked(trial):
    trials = [trial(4, 0.1, l2=0.1), trial(7, 0.3, l2=0.2), trial(9, 0.2, l2=0.5)]
    for direction, winner in (("maximize", (0.2, 0.3)), ("minimize", (0.1, 0.1))):
        figure = slice_figure(trials, direction=direction, objective="val/accuracy")
        points, star = panels(figure)["l2"].collections
        np.testing.assert_allclose(points.get_offsets(), [[0.1, 0.1], [0.2, 0.3], [0.5, 0.2]])
        np.testing.assert_array_equal(points.get_array(), [4, 7, 9])
        np.testing.assert_allclose(star.get_offsets(), [winner])


def test_trials_that_are_compared_early_are_said_to_be(trial, words):
    trials = [trial(0, 0.1, l2=0.1), trial(1, 0.2, l2=0.2)]
    shown = words(slice_figure(trials, **STUDY, selected=0, epoch=2))
    assert "val/accuracy after epoch 2 by hyperparameter" in shown
    assert "2 trials, compared after epoch 2. Selected: trial 0, val/accuracy 0.1" in shown
    shown = words(parallel_figure(trials, **STUDY, epoch=2))
    assert "Hyperparameters and val/accuracy after epoch 2" in shown
    shown = words(importance_figure({"l2": 1.0}, objective="val/accuracy", epoch=2))
    assert "Importance for val/accuracy after epoch 2" in shown


# Importance


SHARES = {"l2": 0.2, "learning_rate": 0.7, "batch_size": 0.1}
INTERVALS = {"l2": (0.05, 0.5), "learning_rate": (0.4, 0.9), "batch_size": (0.0, 0.3)}


def bars(figure):
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    return {name: bar.get_width() for name, bar in zip(names, axes.patches, strict=True)}


def test_each_parameter_has_a_bar_of_its_share_the_largest_on_top():
    drawn = bars(importance_figure(SHARES, objective="val/accuracy"))
    assert drawn == SHARES
    assert list(drawn) == ["batch_size", "l2", "learning_rate"]  # from below


def test_an_interval_is_a_line_over_its_bar_and_both_are_written_beside_it(words):
    figure = importance_figure(SHARES, objective="val/accuracy", intervals=INTERVALS)
    lines = [line.get_xydata().tolist() for line in figure.axes[0].lines]
    assert lines == [[[0.0, 0], [0.3, 0]], [[0.05, 1], [0.5, 1]], [[0.4, 2], [0.9, 2]]]
    assert {"0.10  [0.00, 0.30]", "0.20  [0.05, 0.50]", "0.70  [0.40, 0.90]"} <= set(words(figure))
    assert any("95 % intervals" in text for text in words(figure))
    plain_figure = importance_figure(SHARES, objective="val/accuracy")
    assert {"0.10", "0.20", "0.70"} <= set(words(plain_figure))
    assert not any("interval" in text for text in words(plain_figure))


def test_every_interval_is_seen_whole():
    intervals = {"l2": (0.9, 1.0), "batch_size": (0.0, 0.2)}  # beyond its share, as may happen
    shares = {"l2": 0.8, "batch_size": 0.2}
    (axes,) = importance_figure(shares, objective="val/loss", intervals=intervals).axes
    low, high = axes.get_xlim()
    assert low == 0
    assert high > 1.0


def test_what_has_no_share_has_no_bar_and_nothing_leaves_the_reason(words):
    shares = {"l2": nan, "batch_size": 1.0}
    figure = importance_figure(shares, objective="val/accuracy", intervals=INTERVALS)
    assert bars(figure) == {"batch_size": 1.0}
    assert len(figure.axes[0].lines) == 1
    figure = importance_figure({}, objective="val/accuracy", reason="4 complete trials, 5 needed")
    assert words(figure) == ["Importance for val/accuracy", "4 complete trials, 5 needed"]


# Confirmation


def confirmation(*rows):
    return confirmation_figure(rows, objective="val/accuracy", title="the top trials")


def test_a_setting_shows_its_seeds_their_mean_with_its_interval_and_the_search():
    values = [0.40, 0.42, 0.44]
    (axes,) = confirmation(SeedValues("trial 3", 0.45, values)).axes
    seeds, ring, interval = axes.collections
    np.testing.assert_allclose(seeds.get_offsets(), [[value, 0] for value in values])
    np.testing.assert_allclose(ring.get_offsets(), [[0.45, 0]])
    half = t_half_width(values)
    ((left, _), (right, _)) = interval.get_segments()[0]
    assert (left, right) == pytest.approx((0.42 - half, 0.42 + half))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["trial 3"]


def test_a_setting_that_diverged_on_a_seed_has_no_mean():
    (axes,) = confirmation(SeedValues("trial 3", nan, [0.40, nan])).axes
    (seeds,) = axes.collections
    assert seeds.get_offsets().tolist() == [[0.40, 0]]
    assert not axes.lines


# All of them


def test_where_there_is_nothing_to_draw_the_figure_says_so(trial, words):
    stopped = [trial(0, None, TrialState.FAIL)]
    same = [trial(0, 0.1), trial(1, 0.2)]
    assert "no finished trial" in words(history_figure([], **STUDY))
    for draw in (parallel_figure, slice_figure):
        for trials, reason in (
            ([], "no complete trial"),
            (stopped, "no complete trial"),
            (same, "no parameter varied"),
        ):
            assert reason in words(draw(trials, **STUDY))


@pytest.fixture(scope="module")
def strange(trial):
    """Two trials of parameters whose names, choices and ranges are hard to write."""
    space = {
        r"$\frac{1$": FloatDistribution(0.0011, 0.0012, log=True),
        "choices": CategoricalDistribution([r"$\frac{2$", "long " * 30]),
        "steps": IntDistribution(100, 10_000_000, log=True),
        "many": CategoricalDistribution(list(range(40))),
    }
    values = [(0.0011, 0.0012), space["choices"].choices, (100, 10**7), (0, 39)]
    return [
        trial(i, float(i), space=space, **{n: v[i] for n, v in zip(space, values, strict=True)})
        for i in range(2)
    ]


def test_nothing_is_clipped(study, strange, fits):
    for trials in (study, strange, study[:1], []):
        for draw in (history_figure, parallel_figure, slice_figure):
            assert fits(draw(trials, **STUDY))
        assert fits(history(trials, **COST))
    for name in (r"$\frac{1$", "a parameter with a name that is long"):
        for count in (0, 1, 5):
            shares = {f"{i} {name}": 1 / (i + 1) for i in range(count)}
            intervals = dict.fromkeys(shares, (0.0, 1.0))
            figure = importance_figure(shares, objective=name, intervals=intervals, reason=name)
            assert fits(figure)
    assert fits(importance_figure({"l2": 0.0}, objective="val/accuracy"))
    assert fits(confirmation(*[SeedValues(LONG, 0.5, [0.4, 0.5])] * 7))


def test_tick_labels_of_one_axis_do_not_overlap(study, strange):
    for trials in (study, strange):
        figure = slice_figure(trials, **STUDY)
        figure.canvas.draw()
        for axes in panels(figure).values():
            boxes = [text.get_window_extent() for text in axes.get_xticklabels()]
            assert all(left.x1 < right.x0 for left, right in pairwise(boxes)), axes.get_xlabel()
