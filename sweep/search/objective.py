"""One trial as Optuna sees it: hyperparameters in, the objective's value out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.config import trial_seed
from sweep.curves import point
from sweep.environment import BLAS_THREADS
from sweep.space import DEFAULT_SPACES
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES
from sweep_model.preprocessing import MirrorRows
from sweep_model.reference import train
from sweep_model.training import DivergedError, Training

if TYPE_CHECKING:
    from collections.abc import Iterator

    import optuna

    from sweep.data import Prepared
    from sweep.space import Space
    from sweep_model.training import EpochResult


def train_trial(
    data: Prepared, hyperparameters: Hyperparameters, *, loss: str, epochs: int, seed: int
) -> Iterator[EpochResult]:
    """Train one trial by itself, with the reference trainer, epoch by epoch.

    It comes out the same every time; panels agree with it within float32 rounding.

    Raises
    ------
    DivergedError
        Where a cost or weight is not finite; it says in which epoch.
    ValueError
        The rows are in the mirror basis.
    """
    from threadpoolctl import ThreadpoolController

    if isinstance(data.training, MirrorRows):
        raise ValueError("rows must be in pixel order: prepare(..., mirrored=False)")  # noqa: TRY004 - the value is wrong
    training = Training(hyperparameters=hyperparameters, epochs=epochs, seed=seed)
    controller = ThreadpoolController()
    results = train(
        data.training,
        {"train": data.training, "val": data.validation},
        training,
        loss=LOSSES[loss],
        classes=len(data.class_names),
        image_shape=data.image_shape,
    )
    while True:
        with controller.limit(limits=BLAS_THREADS, user_api="blas"):
            epoch = next(results, None)
        if epoch is None:
            return
        yield epoch[0]


class Objective:
    """The plain Optuna objective: `study.optimize(Objective(data))`, with `n_jobs=1`.

    Bits are the same only with one BLAS thread, which is a setting of the whole process.

    Parameters
    ----------
    data
        Training and validation rows, see `sweep.data.prepare`.
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
        The curve whose value at the last epoch is returned: `val/accuracy` (maximise) or
        `val/loss` (minimise).

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
    ) -> None:
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        if metric not in ("val/accuracy", "val/loss"):
            raise ValueError(f"metric must be val/accuracy or val/loss, got {metric!r}")
        if epochs != int(epochs) or epochs < 1:
            raise ValueError(f"epochs must be a whole number from 1 on, got {epochs!r}")
        self.data = data
        self.loss = loss
        self.epochs = epochs
        default = DEFAULT_SPACES[loss]
        if data.image_shape is None:
            default = default.without_flips()
        self.space = space if space is not None else default
        self.seed = seed
        self.metric = metric

    def __call__(self, trial: optuna.Trial) -> float:
        """Train one trial, reporting every epoch; NaN (a failed trial to Optuna) if it diverges.

        After its last epoch a trial is complete, whatever the pruner says.
        """
        import optuna

        hyperparameters = Hyperparameters(**self.space.suggest(trial))
        value = float("nan")
        try:
            for result in train_trial(
                self.data,
                hyperparameters,
                loss=self.loss,
                epochs=self.epochs,
                seed=trial_seed(self.seed, trial.number),
            ):
                value = point(result)[self.metric]
                trial.report(value, result.epoch)
                if result.epoch < self.epochs and trial.should_prune():
                    raise optuna.TrialPruned(f"at epoch {result.epoch} of {self.epochs}")
        except DivergedError as error:
            trial.set_user_attr("reason", str(error))
            return float("nan")
        return value
