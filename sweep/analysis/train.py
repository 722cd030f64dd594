"""Train one setting that the user chose, outside any study, and log it as a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.analysis.one_training import Asked, run_one
from sweep.analysis.test_set import HeldOutResult, evaluate_on_test_rows, log_test_result
from sweep.config import default_lanes, default_slots
from sweep.errors import SweepError
from sweep.search.interrupts import Interrupts
from sweep.space import BASELINES
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweep.config import DataConfig
    from sweep.curves import Curves
    from sweep.data import Prepared, Source
    from sweep.space import Number
    from sweep.tracking.tracker import Tracker


@dataclass(frozen=True)
class SingleResult:
    """What one training came to."""

    curves: Curves
    weights_digest: str
    run_id: str
    held_out: HeldOutResult | None


def settle_hyperparameters(
    given: Mapping[str, Number], loss: str, data: Prepared
) -> Hyperparameters:
    """Fill what the user left out with the report's setting; no flips without images."""
    if data.image_shape is None and given.get("flip_probability", 0) > 0:
        raise SweepError(
            f"{data.name} has no image shape, so there is nothing to flip: got "
            f"--flip-probability {given['flip_probability']}; leave it out"
        )
    unflipped = {} if data.image_shape is not None else {"flip_probability": 0.0}
    values: dict[str, Any] = {**BASELINES[loss], **unflipped, **given}
    return Hyperparameters(**values)


def train_single(
    hyperparameters: Hyperparameters,
    data: Prepared,
    config: DataConfig,
    tracker: Tracker,
    *,
    loss: str,
    epochs: int,
    seed: int,
    train_curve: str,
    test_source: Source | None,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> SingleResult:
    """Train, log, and evaluate on the test rows if their source is given.

    Raises
    ------
    SweepError
        The training diverged; the run says so.
    InterruptedStudyError
        After Ctrl-C or SIGTERM; the run says so.

    """
    name = f"train-{loss}-seed-{seed}"
    asked = Asked(
        training=Training(hyperparameters=hyperparameters, epochs=epochs, seed=seed),
        data=data,
        data_config=config,
        loss=loss,
        lanes=default_lanes(len(data.class_names), default_slots(1)),
        train_curve=train_curve,
        name=name,
        tags={"role": "train"},
    )
    unfinished = f"the training whose run in MLflow is {name}"
    with Interrupts().listening():
        done = run_one(asked, tracker, unfinished=unfinished, on_epoch=on_epoch)
        run_id = done.close(done.status.mlflow, title=name)
    if done.classifier is None:
        raise SweepError(f"the training {done.reason}; try a smaller --learning-rate")
    held_out = None
    if test_source is not None:
        held_out = evaluate_on_test_rows(done.classifier, test_source)
        log_test_result(tracker, run_id, held_out, epochs)
    return SingleResult(done.log.curves, done.classifier.digest, run_id, held_out)
