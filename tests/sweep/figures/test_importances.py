from __future__ import annotations

import pytest

from sweep.figures.importances import importances_figure

SHARES = {
    "softmax": {"l2": (0.2, 0.1, 0.3), "learning_rate": (0.8, 0.6, 0.9)},
    "bce": {"learning_rate": (0.5, 0.2, 0.7), "l2": (0.4, 0.35, 0.5), "batch_size": (0.1, 0, 0.2)},
}


def dots(figure):
    """For each study its share of each hyperparameter."""
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    handles, studies = axes.get_legend_handles_labels()
    return {
        study: {names[round(y)]: x for x, y in handle.lines[0].get_xydata()}
        for study, handle in zip(studies, handles, strict=True)
    }


def test_each_study_has_a_dot_for_each_of_its_hyperparameters():
    assert dots(importances_figure(SHARES)) == {
        study: {name: share for name, (share, _, _) in each.items()}
        for study, each in SHARES.items()
    }


def test_what_decides_most_on_average_comes_first():
    (axes,) = importances_figure(SHARES).axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["learning_rate", "l2", "batch_size"]
    bottom, top = axes.get_ylim()
    assert bottom > top


def test_the_bars_end_where_the_intervals_do():
    figure = importances_figure({"a": {"l2": (0.2, 0.1, 0.5)}})
    (bars,) = figure.axes[0].collections
    ((low, _), (high, _)) = bars.get_segments()[0]
    assert (low, high) == pytest.approx((0.1, 0.5))


def test_studies_with_too_few_trials_leave_the_reason(words):
    assert "too few trials to tell" in words(importances_figure({"a": {}, "b": {}}))


def test_one_study_with_too_few_trials_leaves_the_other():
    assert dots(importances_figure({**SHARES, "new": {}}))["new"] == {}


@pytest.mark.parametrize("name", ["l2", "a parameter with a name that is too long " * 2])
@pytest.mark.parametrize("studies", [1, 2, 5])
def test_nothing_is_clipped(name, studies, fits):
    shares = {f"{i} {name}": {name: (0.5, 0.4, 0.6), "l2": (0.5, 0, 1)} for i in range(studies)}
    assert fits(importances_figure(shares))
