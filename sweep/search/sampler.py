"""Which setting is tried next: coordinates of the search, its first wave, and TPE.

The coordinate that matters is the length of the descent,

    T = learning_rate * (n / batch_size) * sum over epochs e of decay_factor ** (e // decay_period)
    descent = T * sqrt(largest eigenvalue of the covariance of the normalised training rows)

with n training rows, T divided by K for bce, whose gradient is 1/K of softmax's. Good settings lie
in the same range of it on small and large, narrow and wide data, where good learning rates do not
(docs/search.md has the figures); so the first wave and TPE search log10 descent in place of log10
learning_rate.
"""

from __future__ import annotations

import itertools
import math
import random
import tomllib
import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.config import trial_seed
from sweep.search.halving import BASELINE
from sweep.search.storage import quiet_optuna
from sweep.search.trials import Status
from sweep.search_space import BASELINES, NORMALISE, Range
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import optuna
    from optuna.distributions import BaseDistribution

    from sweep.config import StudyConfig
    from sweep.search.halving import Trial

DESCENT = "log10_descent"
LOW, HIGH = 0.9, 3.3
"""The range of log10 descent that is searched, where the space allows it."""
GRID_LEVELS = 3
"""Points of each range in a grid: its ends and its middle."""
TOLD, BEST = 300, 25
"""TPE is told of so many trials at most, or its time would grow with their square: of so many of
the best, which is all that it ever takes for good ones, and of the newest."""
POINTS = 8
"""Values of a range that are tried for the limits of the descent."""
PORTFOLIO = "portfolio.toml"


@dataclass(frozen=True)
class Advice:
    """A setting in terms that mean the same on all data.

    Attributes
    ----------
    descent : log10 of the length of the descent.
    l2 : of softmax; of bce it is a K-th, as the loss is.
    decay : the decay period as a share of the epochs.
    """

    descent: float
    l2: float
    decay: float
    batch_size: int
    flip_probability: float


@dataclass(frozen=True)
class Portfolio:
    """Settings that are good on many data sets, the most useful first, and the data sets' names."""

    settings: Sequence[Advice]
    data: Sequence[str]


@cache
def portfolio() -> Portfolio:
    """Read the portfolio, which lies in `portfolio.toml` beside this module."""
    text = files("sweep.search").joinpath(PORTFOLIO).read_text("utf-8")
    held = tomllib.loads(text)
    return Portfolio([Advice(**setting) for setting in held["setting"]], held["data"])


@dataclass(frozen=True)
class Coordinates:
    """The space with log10 descent in place of the learning rate, to and from config.

    Attributes
    ----------
    rows, classes : training rows and classes.
    eigenvalues : by how the training rows are normalised, the largest of their covariance; 0 where
        none of the features varies.
    """

    config: StudyConfig
    rows: int
    classes: int
    eigenvalues: Mapping[str, float]

    def descent(self, setting: Mapping[str, Any]) -> float:
        """Return log10 descent of a setting."""
        return math.log10(setting["learning_rate"]) + self._log_factor(setting)

    @cached_property
    def limits(self) -> tuple[float, float] | None:
        """The range of log10 descent, whatever else of a setting it depends on; or None.

        There is none where learning rates are a list, or none of the others allow any of it.
        """
        axes = self.config.space.axes
        if not isinstance(axes["learning_rate"], Range):
            return None
        others = [name for name in ("decay_period", "batch_size", NORMALISE) if name in axes]
        allowed = [
            part
            for values in itertools.product(*(axes[name].points(POINTS) for name in others))
            if (part := self._allowed(dict(zip(others, values, strict=True)))) is not None
        ]
        if not allowed:
            return None
        return min(low for low, _ in allowed), max(high for _, high in allowed)

    def _log_factor(self, setting: Mapping[str, Any]) -> float:
        """log10 (descent / learning_rate)."""
        config = self.config
        rates = Hyperparameters(
            l2=0,
            learning_rate=1,
            decay_period=setting["decay_period"],
            batch_size=setting["batch_size"],
            flip_probability=0,
        )
        decays = sum(rates.rate(epoch) for epoch in range(config.epochs))
        log_length = math.log10(self._share * self.rows / setting["batch_size"] * decays)
        # Rounded, so that another BLAS proposes the same settings.
        eigenvalue = self.eigenvalues[self.config.normalise_of(setting)]
        return log_length + round(math.log10(eigenvalue or 1) / 2, 2)

    @property
    def _share(self) -> float:
        """How large the gradient and a good l2 are, beside those of softmax."""
        return 1 / self.classes if LOSSES[self.config.loss].mean_of_classes else 1.0

    def advised(self, advice: Advice, turn: int = 0) -> dict[str, Any]:
        """Return the setting of the space that is nearest to what is advised.

        Where normalisation is searched, each of the ways has its `turn`.
        """
        axes = self.config.space.axes
        setting = {
            "l2": axes["l2"].clip(self._share * advice.l2),
            "decay_period": axes["decay_period"].clip(
                max(1, round(advice.decay * self.config.epochs))
            ),
            "batch_size": axes["batch_size"].clip(advice.batch_size),
            "flip_probability": axes["flip_probability"].clip(advice.flip_probability),
        }
        if NORMALISE in axes:
            ways = axes[NORMALISE].points(POINTS)
            setting[NORMALISE] = ways[turn % len(ways)]
        rate = 10 ** (advice.descent - self._log_factor(setting))
        setting["learning_rate"] = axes["learning_rate"].clip(rate)
        return {name: setting[name] for name in axes}

    def _allowed(self, setting: Mapping[str, Any]) -> tuple[float, float] | None:
        """The part of [LOW, HIGH] within reach of the learning rate; None if there is none."""
        axis = self.config.space.axes["learning_rate"]
        assert isinstance(axis, Range)  # noqa: S101 - `limits` has looked
        factor = self._log_factor(setting)
        low, high = (math.log10(end) + factor for end in (axis.low, axis.high))
        low, high = max(low, LOW), min(high, HIGH)
        return (low, high) if low < high else None

    def with_descent(self, setting: dict[str, Any], share: float) -> dict[str, Any]:
        """Return the setting with the learning rate at a share, 0 to 1, of the descent's range."""
        axis = self.config.space.axes["learning_rate"]
        part = None if self.limits is None else self._allowed(setting)
        if part is None:
            return {**setting, "learning_rate": axis.at(share)}
        low, high = part
        rate = 10 ** (low + share * (high - low) - self._log_factor(setting))
        return {**setting, "learning_rate": axis.clip(rate)}

    def at(self, point: Sequence[float]) -> dict[str, Any]:
        """Return the setting at a point of the unit cube, one number for each varied axis."""
        space = self.config.space
        setting = space.at(point)
        if self.limits is None or "learning_rate" not in space.varied():
            return setting
        return self.with_descent(setting, float(point[space.varied().index("learning_rate")]))

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What TPE searches."""
        from optuna.distributions import FloatDistribution

        space = self.config.space
        found = {name: space.axes[name].distribution() for name in space.varied()}
        if self.limits is not None and found.pop("learning_rate", None) is not None:
            found[DESCENT] = FloatDistribution(*self.limits)
        return found

    def to_point(self, setting: Mapping[str, Any]) -> dict[str, Any]:
        """Return a setting in the coordinates of `distributions`."""
        point = {name: setting[name] for name in self.distributions if name != DESCENT}
        if DESCENT in self.distributions:
            low, high = self.limits or (LOW, HIGH)
            point[DESCENT] = min(max(self.descent(setting), low), high)
        return point

    def from_point(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return the setting of a point that TPE proposes."""
        space = self.config.space
        fixed = {name: axis.at(0.5) for name, axis in space.axes.items()}
        setting = {name: point.get(name, fixed[name]) for name in space.axes}
        if DESCENT not in point:
            return setting
        part = self._allowed(setting)
        low, high = part if part is not None else self.limits or (LOW, HIGH)
        share = (point[DESCENT] - low) / (high - low)
        return self.with_descent(setting, min(max(share, 0.0), 1.0))


def _standing(trial: Trial) -> tuple[int, bool]:
    """Return the epoch that a trial counts with, and whether as complete."""
    return trial.halted or trial.epoch, trial.status == Status.COMPLETE and trial.halted is None


class Sampler:
    """Proposes the setting of one trial after another; each is a function of what is told of.

    Parameters
    ----------
    config : of the study.
    rows, classes, eigenvalues : see `Coordinates`.
    """

    def __init__(
        self, config: StudyConfig, *, rows: int, classes: int, eigenvalues: Mapping[str, float]
    ) -> None:
        self.config = config
        self.coordinates = Coordinates(config, rows, classes, eigenvalues)

    def propose(
        self, index: int, trials: Sequence[Trial], observe: Callable[[], optuna.Study]
    ) -> dict[str, Any] | None:
        """Return the setting of the trial with this index; None where a grid has no point left.

        `trials` are those that have begun; `observe` returns `observed`, made once a pass.
        """
        config, space = self.config, self.config.space
        if index == BASELINE:
            return dict(space.clip(BASELINES[config.loss]))
        if config.sampler == "grid":
            tried = {tuple(trial.params[name] for name in space.axes) for trial in trials}
            left = (point for point in self._grid if tuple(point.values()) not in tried)
            return next((dict(point) for point in left), None)
        if not space.varied():
            return space.at([])
        points = {"random": self._random, "qmc": self._sobol}
        if config.sampler in points:
            return space.at(points[config.sampler](index))
        if index < max(config.slots, 1 + len(self._advised)):
            return self._first_wave(index)
        study = observe()
        study.sampler = self._tpe(index)
        return self.coordinates.from_point(study.ask(self.coordinates.distributions).params)

    def observed(self, trials: Sequence[Trial], first_rung: int) -> optuna.Study:
        """Return a study in memory of what TPE may learn from: all that has reached a rung.

        Running trials count as pruned where they stand. Otherwise Optuna takes them for bad ones,
        and in halving the best trials are those that run.
        """
        import optuna
        from optuna.trial import TrialState, create_trial

        with quiet_optuna():
            study = optuna.create_study(direction=self.config.direction)
        for trial in self._told(trials, first_rung):
            epoch, complete = _standing(trial)
            study.add_trial(
                create_trial(
                    state=TrialState.COMPLETE if complete else TrialState.PRUNED,
                    value=trial.values[-1] if complete else None,
                    params=self.coordinates.to_point(trial.params),
                    distributions=self.coordinates.distributions,
                    intermediate_values={epoch: trial.values[epoch - 1]},
                )
            )
        return study

    def _told(self, trials: Sequence[Trial], first_rung: int) -> list[Trial]:
        """Return the trials that TPE is told of, by index."""
        known = [t for t in trials if t.status != Status.FAILED and t.epoch >= first_rung]

        def rank(trial: Trial) -> tuple[bool, int, float]:
            """TPE's own order: complete trials, then those that came furthest, then by value."""
            epoch, complete = _standing(trial)
            return not complete, -epoch, self.config.sign * trial.values[epoch - 1]

        best = sorted(known, key=rank)[:BEST]
        newest = [trial for trial in known if trial not in best][BEST - TOLD :]
        return sorted(best + newest, key=lambda trial: trial.index)

    def _tpe(self, index: int) -> optuna.samplers.TPESampler:
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                seed=trial_seed(self.config.seed, index), **self.config.sampler_arguments
            )

    def _random(self, index: int) -> Sequence[float]:
        rng = np.random.default_rng(trial_seed(self.config.seed, index))
        return list(rng.random(len(self.config.space.varied())))

    def _first_wave(self, index: int) -> dict[str, Any]:
        if index <= len(self._advised):
            return dict(self._advised[index - 1])
        return self.coordinates.at(self._halton(index))

    @cached_property
    def _advised(self) -> list[dict[str, Any]]:
        """The portfolio in the study's space, each setting once."""
        settings = [
            self.coordinates.advised(advice, turn)
            for turn, advice in enumerate(portfolio().settings)
        ]
        return list({tuple(setting.items()): setting for setting in settings}.values())

    def _halton(self, index: int) -> Sequence[float]:
        """The point `index` of a Halton sequence that the seed has shifted as a whole."""
        from scipy.stats.qmc import Halton

        size = len(self.config.space.varied())
        shift = np.random.default_rng(trial_seed(self.config.seed, BASELINE)).random(size)
        sequence = Halton(size, scramble=False).fast_forward(index)
        return list((sequence.random(1)[0] + shift) % 1)

    def _sobol(self, index: int) -> Sequence[float]:
        """The point of trial `index`, from 1, in a Sobol sequence that the seed has scrambled."""
        from scipy.stats.qmc import Sobol

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a single point is not balanced
            sequence = Sobol(len(self.config.space.varied()), seed=self.config.seed)
            if index > 1:  # SciPy cannot go forward by no point
                sequence.fast_forward(index - 1)
            return list(sequence.random(1)[0])

    @cached_property
    def _grid(self) -> list[dict[str, Any]]:
        points = self.config.space.grid(GRID_LEVELS)
        random.Random(self.config.seed).shuffle(points)  # noqa: S311 - an order, not a secret
        return points
