"""Trials as Optuna's own: a trial to train in Optuna's loop, and recorded ones for its tools."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from sweep.config import CLASS_WEIGHTS, class_weights, trial_seed
from sweep.curves import NOUNS, point
from sweep.engine import mean_result
from sweep.environment import BLAS_THREADS
from sweep.errors import SweepError
from sweep.search.halving import first_rung
from sweep.search.runner import row_weights
from sweep.search.trials import Status
from sweep.search_space import DEFAULT_SPACES, NORMALISE
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES
from sweep_model.metrics import TOP
from sweep_model.preprocessing import MirrorRows
from sweep_model.reference import train
from sweep_model.training import DivergedError, Rows, Training

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import optuna
    from optuna.trial import FrozenTrial

    from sweep.config import StudyConfig
    from sweep.data import Prepared
    from sweep.search.trials import TrialRecord
    from sweep.search_space import Space
    from sweep_model.training import EpochResult


def train_trial(
    data: Prepared,
    hyperparameters: Hyperparameters,
    *,
    loss: str,
    epochs: int,
    seed: int,
    class_weight: str = CLASS_WEIGHTS[0],
    further: tuple[str, ...] = (),
) -> Iterator[EpochResult]:
    """Train one trial by itself, with the reference trainer, epoch by epoch; of folds the mean.

    It comes out the same every time; panels agree with it within float32 rounding.

    Raises
    ------
    DivergedError
        Where a cost or weight is not finite; it says in which epoch.
    ValueError
        The rows are in the mirror basis.
    """
    from threadpoolctl import ThreadpoolController

    if isinstance(data.training, MirrorRows) or isinstance(data.validation, MirrorRows):
        raise ValueError("rows must be in pixel order: prepare(..., mirrored=False)")  # noqa: TRY004 - the value is wrong
    given = row_weights(class_weight, data)
    training = Training(
        hyperparameters=hyperparameters, epochs=epochs, seed=seed, row_weights=given
    )
    numbers = class_weights(class_weight)
    rows, parts = data.training, [(training, data.training, data.validation)]
    if (folds := data.folds) is not None:
        held_out = [folds == fold for fold in range(folds.max() + 1)]
        parts = [
            (
                replace(training, row_weights=np.where(held, 0.0, 1.0 if given is None else given)),
                Rows(rows.rows[~held], rows.labels[~held]),
                Rows(rows.rows[held], rows.labels[held]),
            )
            for held in held_out
        ]
    runs = [
        train(
            rows,
            {"train": shown, "val": validation},
            one,
            loss=LOSSES[loss],
            classes=len(data.class_names),
            image_shape=data.image_shape,
            further=further,
            class_weights=None if numbers is None else np.array(numbers),
        )
        for one, shown, validation in parts
    ]
    controller = ThreadpoolController()
    for _ in range(epochs):
        with controller.limit(limits=BLAS_THREADS, user_api="blas"):
            results = [next(run)[0] for run in runs]
        yield results[0] if folds is None else mean_result(results)


class Objective:
    """The plain Optuna objective: `study.optimize(Objective(data))`, with `n_jobs=1`.

    Bits are the same only with one BLAS thread, which is a setting of the whole process.

    Parameters
    ----------
    data
        Training and validation rows, see `sweep.load_data`; of folds the mean is returned, and of
        several normalisations a trial chooses one.
    loss
        `softmax` or `bce`.
    epochs
        Passes over the training rows.
    space
        Where to search; unless given, the loss's default space, without flips where rows are no
        images.
    seed
        Trial number n trains with the seed (seed, n).
    metric
        The curve whose value at the last epoch is returned: `val/accuracy` or that of another
        objective of `sweep run`, e.g. `val/macro_f1` (maximise) or `val/log_loss` (minimise).
    class_weight
        `none`, `balanced`, or a number for each class as in `1,2.5`.

    """

    def __init__(
        self,
        data: Prepared,
        *,
        loss: str = "softmax",
        epochs: int = 50,
        space: Space | None = None,
        seed: int = 0,
        metric: str = "val/accuracy",
        class_weight: str = CLASS_WEIGHTS[0],
    ) -> None:
        if loss not in LOSSES:
            raise SweepError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        if metric not in NOUNS:
            raise SweepError(f"metric must be one of {', '.join(NOUNS)}, got {metric!r}")
        if metric == "val/top5_accuracy" and len(data.class_names) <= TOP:
            raise SweepError(
                f"{metric} of {len(data.class_names)} classes is 1: take another metric"
            )
        if metric == "val/weighted_accuracy" and class_weights(class_weight) is None:
            raise SweepError(
                f"{metric} needs a number for each class as class_weight, e.g. '1,2.5': got "
                f"{class_weight!r}"
            )
        row_weights(class_weight, data)  # refuses other than one for each class
        if epochs != int(epochs) or epochs < 1:
            raise SweepError(f"epochs must be a whole number from 1 on, got {epochs!r}")
        self.data = data
        self.loss = loss
        self.epochs = epochs
        default = DEFAULT_SPACES[loss]
        if data.image_shape is None:
            default = default.without_flips()
        ways = [each.normalise for each in data.normalisations]
        self.space = (default if space is None else space).with_normalisations(ways)
        self.seed = seed
        self.metric, self.class_weight = metric, class_weight
        name = metric.removeprefix("val/")
        self._further = () if name in ("accuracy", "loss") else (name,)

    def __call__(self, trial: optuna.Trial) -> float:
        """Train one trial, reporting every epoch; NaN (a failed trial to Optuna) if it diverges.

        After its last epoch a trial is complete, whatever the pruner says.

        Raises
        ------
        SweepError
            The study looks for the worst value.
        """
        import optuna

        wanted = "minimize" if self.metric.endswith("loss") else "maximize"
        study = getattr(trial, "study", None)  # a FixedTrial or FrozenTrial has none
        directions = [wanted] if study is None else [way.name.lower() for way in study.directions]
        if directions != [wanted]:
            raise SweepError(
                f"{self.metric} is to {wanted}, and the study is to {', '.join(directions)}; "
                f'create it with direction="{wanted}"'
            )
        setting = self.space.suggest(trial)
        data = self.data.normalised(setting.pop(NORMALISE, self.data.normalise))
        hyperparameters = Hyperparameters(**setting)
        value = float("nan")
        try:
            for result in train_trial(
                data,
                hyperparameters,
                loss=self.loss,
                epochs=self.epochs,
                seed=trial_seed(self.seed, trial.number),
                class_weight=self.class_weight,
                further=self._further,
            ):
                value = point(result)[self.metric]
                trial.report(value, result.epoch)
                if result.epoch < self.epochs and trial.should_prune():
                    raise optuna.TrialPruned(f"at epoch {result.epoch} of {self.epochs}")
        except DivergedError as error:
            trial.set_user_attr("reason", str(error))
            return float("nan")
        return value


def as_optuna(config: StudyConfig, trials: Iterable[TrialRecord]) -> list[FrozenTrial]:
    """Return trials as they ended."""
    return [_frozen(config, trial, trial.status, trial.epochs) for trial in trials]


def at_first_rung(config: StudyConfig, trials: Iterable[TrialRecord]) -> list[FrozenTrial]:
    """Return the trials that reached the first rung, each complete with its value there.

    Few trials complete, and those are the better ones: what is said of the whole space takes what
    all have in common.
    """
    rung = first_rung(config)
    return [
        _frozen(config, trial, Status.COMPLETE, rung) for trial in trials if trial.epochs >= rung
    ]


def _frozen(config: StudyConfig, trial: TrialRecord, status: Status, epochs: int) -> FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState

    values = trial.curves.get(config.metric, [])[:epochs]
    ended = None if trial.ended is None else datetime.fromtimestamp(trial.ended / 1000, UTC)
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=TrialState[status.optuna],
        value=values[-1] if status == Status.COMPLETE else None,
        datetime_start=datetime.fromtimestamp(trial.began / 1000, UTC),
        datetime_complete=ended,
        params=trial.params,
        distributions={name: axis.distribution() for name, axis in config.space.axes.items()},
        user_attrs={},
        system_attrs={},
        intermediate_values=dict(enumerate(values, start=1)),
    )
