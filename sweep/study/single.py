"""Train one setting that the user chose, outside any study, and log it as a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.errors import SweepError
from sweep.objective import train_trial
from sweep.space import BASELINES
from sweep.study.ending import Ending
from sweep.study.logged_training import log_training
from sweep.study.sealed_test import (
    HeldOutResult,
    evaluate_on_test_rows,
    log_test_result,
)
from sweep.study.training_run import parameters
from sweep.tracking.run import Run
from sweep_model.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweep.curves import Curves
    from sweep.data import Prepared, Source
    from sweep.settings import DataChoice
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
    choice: DataChoice,
    tracker: Tracker,
    *,
    loss: str,
    epochs: int,
    seed: int,
    test_source: Source | None,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> SingleResult:
    """Train, log, and evaluate on the test rows if their source is given.

    Raises
    ------
    SweepError
        The training diverged or broke; the run says so.
    InterruptedStudyError
        After Ctrl-C or SIGTERM; the run says so.

    """
    name = f"train-{loss}-seed-{seed}"
    run = Run.create(tracker, name, tags={"role": "train"})
    training, how, reason = log_training(
        run,
        data,
        choice,
        train_trial(data, hyperparameters, loss=loss, epochs=epochs, seed=seed),
        given=parameters(hyperparameters, loss=loss, epochs=epochs, seed=seed),
        title=name,
        unfinished=f"the training whose run in MLflow is {name}:",
        on_epoch=on_epoch,
    )
    run.end(how.mlflow_status)
    if how == Ending.DIVERGED:
        raise SweepError(f"the training {reason}; try a smaller --learning-rate")
    classifier = training.classifier()
    if how != Ending.COMPLETE or classifier is None:
        raise SweepError(f"the training broke: {reason}; run {run.id} has what it recorded")
    held_out = None
    if test_source is not None:
        held_out = evaluate_on_test_rows(classifier, test_source)
        log_test_result(run, held_out, epochs)
    return SingleResult(training.curves, classifier.digest, run.id, held_out)
