"""One training as MLflow shows it: curves while it runs, figures and the model at its end."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from sweep.curves import append, best_epoch, new_curves, point
from sweep.disks import scratch_folder
from sweep.figures.curves import curves_figure
from sweep.figures.weights import weights_figure
from sweep.study.checkpoint import TrialState
from sweep.study.ending import Ending
from sweep.study.image_log import ImageLog
from sweep.tracking.provenance import log_provenance
from sweep_model.draws import Draws
from sweep_model.linear import LinearClassifier
from sweep_model.losses import LOSSES
from sweep_model.metrics import per_class_accuracy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweep.curves import Curves
    from sweep.data import Prepared
    from sweep.settings import DataChoice
    from sweep.tracking.run import Run
    from sweep_model.arrays import Floats
    from sweep_model.hyperparameters import Hyperparameters
    from sweep_model.results import EpochResult, SlotState

LEARNING_RATE = "train/learning_rate"
WHOLE = "whole"
"""The tag that a run gets last of all: without it, a part of its record may be missing."""
CLASSIFIER_FILE = "classifier.npz"
CLASSIFIER_FOLDER = "classifier"


def parameters(
    hyperparameters: Hyperparameters, *, loss: str, epochs: int, seed: int
) -> dict[str, object]:
    """Return what a training was given, with log10 twins because the UI's axes are linear."""
    values: dict[str, object] = {
        "loss": loss,
        **vars(hyperparameters),
        "epochs": epochs,
        "seed": seed,
        "log10_learning_rate": math.log10(hyperparameters.learning_rate),
    }
    if hyperparameters.l2 > 0:
        values["log10_l2"] = math.log10(hyperparameters.l2)
    return values


class TrainingRun:
    """Collects the curves of one training and copies them to an MLflow run.

    Parameters
    ----------
    run
        The MLflow run, begun.
    data
        What is trained on.
    loss
        `softmax` or `bce`.

    """

    def __init__(self, run: Run, data: Prepared, loss: str) -> None:
        self.run = run
        self.data = data
        self.loss = loss
        self.curves = new_curves()
        self.weights: Floats | None = None
        self.bias: Floats | None = None
        shape = data.image_shape
        self.images = None if shape is None else ImageLog(run, data.class_names, shape)

    @classmethod
    def begun(
        cls, run: Run, data: Prepared, choice: DataChoice, given: Mapping[str, Any]
    ) -> TrainingRun:
        """Log what a training is given, see `parameters`, where it runs and where it starts."""
        run.parameters(given)
        log_provenance(run, choice, data)
        training = cls(run, data, given["loss"])
        features = data.training.rows.shape[1]
        weights = Draws(given["seed"]).initial_weights(len(data.class_names), features)
        if training.images is not None:
            training.images.take(weights, 0)
        return training

    @classmethod
    def continued(
        cls, run: Run, data: Prepared, loss: str, state: TrialState, weights: Floats
    ) -> TrainingRun:
        """Go on with a training whose points are logged up to a checkpoint.

        `weights` are those of its state in pixel order.
        """
        training = cls(run, data, loss)
        training.curves = state.curves
        training.weights, training.bias = weights, state.slot.bias
        if data.image_shape is not None:
            training.images = ImageLog(run, data.class_names, data.image_shape, state.images)
        return training

    @property
    def epoch(self) -> int:
        """How many epochs are behind it."""
        return len(self.curves["val/loss"])

    def state(self, slot: SlotState) -> TrialState:
        """Return where it stands, for `continued`; `slot` is what the engine keeps of it."""
        images = {} if self.images is None else self.images.state()
        return TrialState(slot=slot, curves=self.curves, images=images)

    def record(self, result: EpochResult) -> dict[str, float]:
        """Take in one epoch and return its metrics."""
        values = point(result)
        self.run.metrics({**values, LEARNING_RATE: result.learning_rate}, result.epoch)
        if self.images is not None:
            self.images.take(result.weights, result.epoch)
        # Last, so that the curves hold no epoch that failed.
        append(self.curves, values)
        self.weights, self.bias = result.weights, result.bias
        return values

    def classifier(self) -> LinearClassifier | None:
        """Return the classifier as it stands; None before the first epoch has ended."""
        if self.weights is None or self.bias is None:
            return None
        return LinearClassifier(
            weights=self.weights,
            bias=self.bias,
            standardiser=self.data.standardiser,
            loss=LOSSES[self.loss],
            image_shape=self.data.image_shape,
            class_names=self.data.class_names,
        )

    def log_ending(self, ending: Ending, reason: str, *, title: str) -> None:
        """Log what is known only now: figures, best values, the model and why it ended.

        An interrupted training gets no figures: it is in a hurry, and will train again.
        """
        tags: dict[str, object] = {"ending": ending, **({"reason": reason} if reason else {})}
        classifier = self.classifier()
        if classifier is not None:
            tags["weights_digest"] = classifier.digest
            log_best(self.run, self.curves)
            self.run.metrics(self._per_class_accuracy(classifier))
            if ending != Ending.INTERRUPTED:
                self._log_figures(classifier, title)
            log_classifier(self.run, classifier)
        self.run.tags({**tags, WHOLE: True})

    def _per_class_accuracy(self, classifier: LinearClassifier) -> Mapping[str, float]:
        validation, names = self.data.validation, self.data.class_names
        scores = validation.rows @ classifier.weights.T + classifier.bias
        shares = per_class_accuracy(scores.argmax(axis=1), validation.labels, len(names))
        return {
            f"val_accuracy_of/{metric_name(name)}": float(share)
            for name, share in zip(names, shares, strict=True)
            if not math.isnan(share)  # a class without validation rows
        }

    def _log_figures(self, classifier: LinearClassifier, title: str) -> None:
        if self.images is not None:
            self.images.finish(classifier.weights, self.epoch)
        with self.run.tracker.timings.part("figures"):
            curves = curves_figure(self.curves, title=title)
        self.run.figure(curves, "figures/curves.png")
        self._log_class_weights(classifier, title)

    def _log_class_weights(self, classifier: LinearClassifier, title: str) -> None:
        if classifier.image_shape is not None:
            with self.run.tracker.timings.part("figures"):
                figure = weights_figure(
                    classifier.weights,
                    classifier.class_names,
                    classifier.image_shape,
                    title=title,
                    limit=None if self.images is None else self.images.limit,
                )
            self.run.figure(figure, "figures/class_weights.png")


def log_curves(
    run: Run, curves: Curves, hyperparameters: Hyperparameters, *, missing: bool = False
) -> None:
    """Log the points of recorded curves; with `missing` those that the store does not have."""
    rates = [hyperparameters.rate(epoch) for epoch in range(len(curves.get("val/loss", [])))]
    for metric, values in {**curves, LEARNING_RATE: rates}.items():
        there = run.steps(metric) if missing else set()
        for epoch, value in enumerate(values, start=1):
            if epoch not in there:
                run.metrics({metric: value}, epoch)


def log_best(run: Run, curves: Curves) -> None:
    """Log the best epoch beside the last value, which is what the UI shows of a curve."""
    epoch, accuracy = best_epoch(curves)
    run.metrics({"best/val_accuracy": accuracy, "best/epoch": epoch})


def log_classifier(run: Run, classifier: LinearClassifier) -> None:
    """Log the classifier's .npz file."""
    with scratch_folder() as folder:
        path = folder / CLASSIFIER_FILE
        classifier.save(path)
        run.file(path, CLASSIFIER_FOLDER)


def metric_name(text: str) -> str:
    """Return `text` with what MLflow does not take in a metric's name replaced by `_`."""
    return re.sub(r"[^\w. -]", "_", text)[:80]
