from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPACE = {
    "l2": FloatDistribution(1e-5, 1.0, log=True),
    "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    "decay_period": IntDistribution(1, 50),
    "batch_size": CategoricalDistribution([25, 50, 100, 200, 400]),
    "flip_probability": FloatDistribution(0.0, 0.5),
}


def _trial(number, value=None, state=TrialState.COMPLETE, reports=(), space=SPACE, **params):
    """A trial as a study would keep it; parameters not named are those of the seed report."""
    usual = {
        "l2": 0.1,
        "learning_rate": 0.01,
        "decay_period": 10,
        "batch_size": 50,
        "flip_probability": 0.2,
    }
    chosen = params if space is not SPACE else usual | params
    trial = create_trial(
        state=state,
        value=value,
        params=chosen,
        distributions={name: space[name] for name in chosen},
        intermediate_values=dict(enumerate(reports)),
    )
    trial.number = number
    return trial


@pytest.fixture(scope="session")
def trial():
    return _trial


@pytest.fixture(scope="session")
def study() -> list[FrozenTrial]:
    """Twenty complete trials of all five parameters, four pruned, one failed, one running."""
    rng = np.random.default_rng(5)

    def params() -> dict[str, object]:
        return {
            "l2": float(10 ** rng.uniform(-5, 0)),
            "learning_rate": float(10 ** rng.uniform(-4, -1)),
            "decay_period": int(rng.integers(1, 51)),
            "batch_size": int(rng.choice([25, 50, 100, 200, 400])),
            "flip_probability": float(rng.uniform(0, 0.5)),
        }

    trials = [_trial(i, float(rng.uniform(0.3, 0.42)), **params()) for i in range(20)]
    trials += [_trial(i, 0.2, TrialState.PRUNED, (0.15, 0.2), **params()) for i in range(20, 24)]
    trials.append(_trial(24, None, TrialState.FAIL, (0.3,), **params()))
    trials.append(_trial(25, None, TrialState.RUNNING, (0.9,), **params()))
    return trials


@pytest.fixture(scope="session")
def words():
    """All texts that a figure shows, ticks apart."""

    def shown(figure: Figure) -> list[str]:
        texts = [*figure.texts]
        texts += [text for legend in figure.legends for text in legend.get_texts()]
        for axes in figure.axes:
            texts += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
        return [text.get_text() for text in texts if text.get_text()]

    return shown


@pytest.fixture(scope="session")
def fits():
    """Whether all that a figure draws lies on its canvas, to the pixel."""

    def inside(figure: Figure) -> bool:
        figure.canvas.draw()
        ink, paper = figure.get_tightbbox(), figure.bbox_inches
        slack = 1 / figure.dpi
        return (
            ink.x0 >= -slack
            and ink.y0 >= -slack
            and ink.x1 <= paper.x1 + slack
            and ink.y1 <= paper.y1 + slack
        )

    return inside
