"""What one training leaves behind: curves while it runs, its classifier and files at its end."""

from __future__ import annotations

import math
import re
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sweep.curves import append, final_metrics, new_curves, point
from sweep.disks import NO_ROOM
from sweep.search.weight_images import EPOCHS, WeightImages
from sweep_model.classifier import LinearClassifier
from sweep_model.losses import LOSSES
from sweep_model.metrics import per_class_accuracy
from sweep_model.preprocessing import MirrorBasis
from sweep_model.rng import initial_weights

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.curves import Curves
    from sweep.data import Prepared
    from sweep_model.arrays import Floats
    from sweep_model.hyperparameters import Hyperparameters
    from sweep_model.panels import LaneState
    from sweep_model.training import EpochResult, Training

LEARNING_RATE = "train/learning_rate"
CLASSIFIER_FILE = "classifier.npz"
CLASSIFIER_FOLDER = "classifier"
MANY_CLASSES = 100
"""With more classes their accuracies are not recorded one by one."""


@dataclass(eq=False)
class TrainingLog:
    """Collects what a training measures.

    Attributes
    ----------
    times
        When each epoch ended, in milliseconds since 1970.
    metrics
        What is measured at its end.
    images
        Of the weights at some epochs; None where rows are no images.

    """

    training: Training
    data: Prepared
    loss: str
    curves: Curves = field(default_factory=new_curves)
    times: list[int] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    images: WeightImages | None = None

    @classmethod
    def begun(cls, training: Training, data: Prepared, loss: str) -> TrainingLog:
        """Return the log of a training before its first epoch."""
        log = cls(training, data, loss)
        if data.image_shape is not None:
            log.images = WeightImages(data.class_names, data.image_shape)
            features = data.validation.rows.shape[1]
            log.images.take(initial_weights(training.seed, len(data.class_names), features), 0)
        return log

    @property
    def epoch(self) -> int:
        """How many epochs are behind it."""
        return len(self.times)

    def wants_image(self, epoch: int) -> bool:
        """Whether the weights after an epoch are kept as an image."""
        return self.images is not None and epoch in EPOCHS

    def record(self, result: EpochResult) -> None:
        """Take in one epoch."""
        append(self.curves, point(result))
        self.times.append(int(time.time() * 1000))
        if result.epoch == self.training.epochs:
            self.metrics |= final_metrics(result)

    def take_image(self, state: LaneState, epoch: int) -> None:
        """Keep the weights after an epoch as an image."""
        if self.images is not None:
            self.images.take(self.pixels(state), epoch)

    def pixels(self, state: LaneState) -> Floats:
        """Return the weights (k, d) in pixel order."""
        basis = MirrorBasis(state.weights.shape[1], self.data.image_shape)
        return basis.turn_back(state.weights)

    def classifier(self, state: LaneState) -> LinearClassifier:
        """Return the classifier that the training has come to."""
        return LinearClassifier(
            weights=self.pixels(state),
            bias=state.bias,
            standardiser=self.data.standardiser,
            loss=LOSSES[self.loss],
            image_shape=self.data.image_shape,
            class_names=self.data.class_names,
        )

    def measure(self, classifier: LinearClassifier) -> None:
        """Add the validation accuracy of each class to the metrics."""
        validation, names = self.data.validation, self.data.class_names
        if len(names) > MANY_CLASSES:
            return
        scores = validation.rows @ classifier.weights.T + classifier.bias
        shares = per_class_accuracy(scores.argmax(axis=1), validation.labels, len(names))
        self.metrics |= {
            f"val_accuracy_of/{metric_name(name)}": float(share)
            for name, share in zip(names, shares, strict=True)
            if not math.isnan(share)  # a class without validation rows
        }

    def write_files(
        self, folder: Path, classifier: LinearClassifier, *, title: str, figures: bool
    ) -> str:
        """Write what becomes the run's artifacts, whole or not at all; return what went wrong.

        With `figures` all images of the weights and the figures, else the last image alone, which
        stands for the last epoch of the study, too.

        Raises
        ------
        OSError
            The classifier cannot be written, or the disk is full.

        """
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        (partial / CLASSIFIER_FOLDER).mkdir(parents=True)
        classifier.save(partial / CLASSIFIER_FOLDER / CLASSIFIER_FILE)
        trouble = ""
        try:
            self._draw(partial, classifier, title=title, figures=figures)
        except Exception as error:  # a figure must not end a study
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise  # it is there when the trial ends again
            trouble = f"{type(error).__name__}: {error}"
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        return trouble

    def _draw(
        self, folder: Path, classifier: LinearClassifier, *, title: str, figures: bool
    ) -> None:
        from sweep.figures.curves import curves_figure
        from sweep.figures.weights import weights_figure
        from sweep.tracking.images import write_figure, write_image

        if self.images is not None:
            self.images.take(classifier.weights, self.epoch)
            steps = {epoch: epoch for epoch in self.images.steps}
            if not figures:  # the dashboard's slider stands at the last epoch of complete trials
                steps = dict.fromkeys((self.epoch, self.training.epochs), self.epoch)
            for step, epoch in steps.items():
                write_image(folder, self.images.draw(epoch), "weights", step)
        if not figures:
            return
        write_figure(folder / "figures/curves.png", curves_figure(self.curves, title=title))
        if classifier.image_shape is not None:
            figure = weights_figure(
                classifier.weights,
                classifier.class_names,
                classifier.image_shape,
                title=title,
                limit=None if self.images is None else self.images.limit,
            )
            write_figure(folder / "figures/class_weights.png", figure)


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


def metric_name(text: str) -> str:
    """Return `text` with what MLflow does not take in a metric's name replaced by `_`."""
    return re.sub(r"[^\w. -]", "_", text)[:80]
