"""One training as MLflow shows it: curves while it runs, figures and the model at its end."""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.draws import Draws
from model.linear import LinearClassifier
from model.losses import LOSSES
from model.metrics import per_class_accuracy
from sweep.curves import append, best_epoch, new_curves, point
from sweep.figures.curves import curves_figure
from sweep.figures.weights import weights_figure, weights_montage
from sweep.study.ending import Ending
from sweep.tracking.provenance import log_provenance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model.arrays import Floats
    from model.hyperparameters import Hyperparameters
    from model.reference import EpochResult
    from sweep.curves import Curves
    from sweep.data import Prepared
    from sweep.settings import DataChoice
    from sweep.tracking.run import Run

IMAGE_EPOCHS = frozenset({1, 2, 5, 10, 20, 50, 100, 200, 500, 1000})
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
        self.last: EpochResult | None = None

    @classmethod
    def begun(
        cls, run: Run, data: Prepared, choice: DataChoice, given: Mapping[str, Any]
    ) -> TrainingRun:
        """Log what a training is given, see `parameters`, where it runs and where it starts."""
        run.parameters(given)
        log_provenance(run, choice, data)
        training = cls(run, data, given["loss"])
        training.begin(given["seed"])
        return training

    def begin(self, seed: int) -> None:
        """Show the weights that the training starts from: the UI's slider begins at step 0."""
        features = self.data.training.rows.shape[1]
        weights = Draws(seed).initial_weights(len(self.data.class_names), features)
        self._log_weights_image(weights, 0)

    def record(self, result: EpochResult) -> dict[str, float]:
        """Take in one epoch and return its metrics."""
        values = point(result)
        self.run.metrics({**values, LEARNING_RATE: result.learning_rate}, result.epoch)
        if result.epoch in IMAGE_EPOCHS:
            self._log_weights_image(result.weights, result.epoch)
        # Last, so that the curves hold no epoch that failed.
        append(self.curves, values)
        self.last = result
        return values

    def classifier(self) -> LinearClassifier | None:
        """Return the classifier as it stands; None before the first epoch has ended."""
        if self.last is None:
            return None
        return LinearClassifier(
            weights=self.last.weights,
            bias=self.last.bias,
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
        if classifier is not None and self.last is not None:
            tags["weights_digest"] = classifier.digest
            log_best(self.run, self.curves)
            self.run.metrics(self._per_class_accuracy())
            if ending != Ending.INTERRUPTED:
                self._log_figures(classifier, self.last, title)
            log_classifier(self.run, classifier)
        self.run.tags({**tags, WHOLE: True})

    def _per_class_accuracy(self) -> Mapping[str, float]:
        assert self.last is not None  # noqa: S101 - log_ending asks only after an epoch
        validation, names = self.data.validation, self.data.class_names
        scores = validation.rows @ self.last.weights.T + self.last.bias
        shares = per_class_accuracy(scores.argmax(axis=1), validation.labels, len(names))
        return {
            f"val_accuracy_of/{metric_name(name)}": float(share)
            for name, share in zip(names, shares, strict=True)
            if not math.isnan(share)  # a class without validation rows
        }

    def _log_figures(self, classifier: LinearClassifier, last: EpochResult, title: str) -> None:
        if last.epoch not in IMAGE_EPOCHS:
            self._log_weights_image(last.weights, last.epoch)
        with self.run.tracker.timings.part("figures"):
            curves = curves_figure(self.curves, title=title)
        self.run.figure(curves, "figures/curves.png")
        self._log_class_weights(classifier, title)

    def _log_weights_image(self, weights: Floats, step: int) -> None:
        if self.data.image_shape is not None:
            with self.run.tracker.timings.part("figures"):
                image = weights_montage(weights, self.data.class_names, self.data.image_shape)
            self.run.weights_image(image, step)

    def _log_class_weights(self, classifier: LinearClassifier, title: str) -> None:
        if classifier.image_shape is not None:
            with self.run.tracker.timings.part("figures"):
                figure = weights_figure(
                    classifier.weights, classifier.class_names, classifier.image_shape, title=title
                )
            self.run.figure(figure, "figures/class_weights.png")


def log_best(run: Run, curves: Curves) -> None:
    """Log the best epoch beside the last value, which is what the UI shows of a curve."""
    epoch, accuracy = best_epoch(curves)
    run.metrics({"best/val_accuracy": accuracy, "best/epoch": epoch})


def log_classifier(run: Run, classifier: LinearClassifier) -> None:
    """Log the classifier's .npz file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CLASSIFIER_FILE
        classifier.save(path)
        run.file(path, CLASSIFIER_FOLDER)


def metric_name(text: str) -> str:
    """Return `text` with what MLflow does not take in a metric's name replaced by `_`."""
    return re.sub(r"[^\w. -]", "_", text)[:80]
