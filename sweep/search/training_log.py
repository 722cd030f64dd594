"""What one training leaves behind: curves while it runs, its classifier and files at its end."""

from __future__ import annotations

import math
import re
import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.curves import append, final_metrics, new_curves, point
from sweep.environment import BLAS_THREADS, environment
from sweep.io import NO_ROOM
from sweep.statistics import Estimate, estimates, mean_estimates
from sweep.tracking import CLASSIFIER
from sweep_model.classifier import LinearClassifier
from sweep_model.losses import LOSSES
from sweep_model.metrics import per_class_accuracy
from sweep_model.npz import ABOUT, pack, read_arrays, unpack, write_arrays
from sweep_model.preprocessing import MirrorBasis
from sweep_model.rng import initial_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from PIL.Image import Image

    from sweep.curves import Curves
    from sweep.data import Prepared
    from sweep.environment import Environment
    from sweep.search.trials import Status, TrialRecord
    from sweep_model import Floats, Labels
    from sweep_model.hyperparameters import Hyperparameters
    from sweep_model.panels import LaneState
    from sweep_model.training import EpochResult, Training


LEARNING_RATE = "train/learning_rate"
AT_END = "val_at_end/"
"""What the metrics of the validation rows at a trial's end begin with."""
MANY_CLASSES = 100
"""With more classes their accuracies are not recorded one by one."""
BLOCK = 4096
"""Validation rows that are scored at a time."""


@dataclass(eq=False)
class TrainingLog:
    """Collects what a training measures.

    Attributes
    ----------
    data
        Rows that are normalised as the training's are, and in other ways, too; only those are kept.
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
    _ended_with: LaneState | None = None

    def __post_init__(self) -> None:
        self.data = self.data.normalised(self.training.normalise)

    @classmethod
    def begun(cls, training: Training, data: Prepared, loss: str) -> TrainingLog:
        """Return the log of a training before its first epoch."""
        log = cls(training, data, loss)
        if data.image_shape is not None:
            log.images = WeightImages(data.class_names, data.image_shape)
            features = data.validation.rows.shape[1]
            log.images.take(initial_weights(training.seed, len(data.class_names), features), 0)
        return log

    def clear(self) -> None:
        """Be the log of the training before its first epoch again."""
        vars(self).update(vars(self.begun(self.training, self.data, self.loss)))

    @property
    def epoch(self) -> int:
        """How many epochs are behind it."""
        return len(self.times)

    def wants_image(self, epoch: int) -> bool:
        """Whether the weights after an epoch are kept as an image."""
        return self.images is not None and epoch in IMAGE_EPOCHS

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
        """Return the weights (k, d) in pixel order; of folds or draws the mean."""
        weights = _mean_of_repeats(state.weights, 2)
        return MirrorBasis(weights.shape[1], self.data.image_shape).turn_back(weights)

    def classifier(self, state: LaneState) -> LinearClassifier:
        """Return the classifier that the training has come to.

        Of folds or draws it is the mean of theirs, whose scores are the mean of their scores.
        """
        self._ended_with = state
        return LinearClassifier(
            weights=self.pixels(state),
            bias=_mean_of_repeats(state.bias, 1),
            standardiser=self.data.standardiser,
            loss=LOSSES[self.loss],
            image_shape=self.data.image_shape,
            class_names=self.data.class_names,
        )

    def repeats(self, classifier: LinearClassifier) -> list[LinearClassifier]:
        """Return the classifiers of the folds or draws that `classifier` is the mean of."""
        state = self._ended_with
        assert state is not None  # noqa: S101 - see `classifier`
        basis = MirrorBasis(classifier.weights.shape[1], self.data.image_shape)
        return [
            replace(classifier, weights=weights, bias=bias)
            for weights, bias in zip(map(basis.turn_back, state.weights), state.bias, strict=True)
        ]

    def measure(self, classifier: LinearClassifier) -> None:
        """Add what the validation rows say at the end, with intervals, and of each class.

        With one BLAS thread, as local trainings have anyway: on a cluster it is the driver's turn.
        """
        from threadpoolctl import threadpool_limits

        with threadpool_limits(BLAS_THREADS, user_api="blas"):
            self._measure(classifier)

    def _measure(self, classifier: LinearClassifier) -> None:
        models = self.repeats(classifier) if self.data.draws else [classifier]
        found, shares = zip(*map(self._measured, models), strict=True)
        for name, estimate in mean_estimates(found).items():
            self.metrics |= estimate.metrics(AT_END + name)
        names = self.data.class_names
        if len(names) > MANY_CLASSES or self.epoch < self.training.epochs:
            return
        self.metrics |= {
            f"val_accuracy_of/{metric_name(name)}": float(share)
            for name, share in zip(names, np.mean(shares, axis=0), strict=True)
            if not math.isnan(share)  # a class without validation rows
        }

    def _measured(self, classifier: LinearClassifier) -> tuple[dict[str, Estimate], Floats]:
        """Return the metrics of the validation rows, and the accuracy on each class's, (k,)."""
        labels = self.data.validation.labels
        predicted: list[Labels] = []

        def scores() -> Iterator[Floats]:
            for start in range(0, len(labels), BLOCK):
                block = self._scores(classifier, slice(start, start + BLOCK))
                predicted.append(block.argmax(axis=1))
                yield block

        found = estimates(scores(), labels, classifier.loss)
        classes = len(self.data.class_names)
        return found, per_class_accuracy(np.concatenate(predicted), labels, classes)

    def _scores(self, classifier: LinearClassifier, block: slice) -> Floats:
        """Scores of validation rows; with folds, of each row that of the fold without it."""
        rows = self.data.validation.rows[block]
        if self.data.folds is None:
            return rows @ classifier.weights.T + classifier.bias
        folds, state = self.data.folds[block], self._ended_with
        assert state is not None  # noqa: S101 - see `classifier`
        scores: Floats = np.empty((len(rows), len(classifier.bias)), dtype=np.float32)
        for fold, (weights, bias) in enumerate(zip(state.weights, state.bias, strict=True)):
            held = folds == fold  # in the mirror basis, as rows are that train and validate
            scores[held] = rows[held] @ weights.T + bias
        return scores

    def ended(
        self,
        trial: TrialRecord,
        status: Status,
        *,
        reason: str = "",
        digest: str | None = None,
        where: Environment | None = None,
    ) -> TrialRecord:
        """Return the trial as it ends now, with all that was measured.

        `where` is the environment of what trained it; None: this process.
        """
        return replace(
            trial,
            status=status,
            reason=reason,
            curves=self.curves,
            times=self.times,
            metrics=self.metrics,
            weights_digest=digest,
            environment=where or environment(),
            ended=int(time.time() * 1000),
        )

    def write_files(
        self,
        folder: Path,
        classifier: LinearClassifier,
        *,
        title: str,
        figures: bool,
        draw: bool = True,
    ) -> str:
        """Write what becomes the run's artifacts, whole or not at all; return what went wrong.

        With `figures` all images of the weights and the figures, else the last image alone, which
        stands for the last epoch of the study, too. Without `draw` they wait for `draw_files`.

        Raises
        ------
        OSError
            The classifier cannot be written, or the disk is full.

        """
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        path = partial / CLASSIFIER
        path.parent.mkdir(parents=True)
        classifier.save(path)
        if self.images is not None:
            self.images.take(classifier.weights, self.epoch)
        images = {} if self.images is None else self.images.state()
        about = {
            "title": title,
            "figures": figures,
            "epochs": self.training.epochs,
            "curves": self.curves,
            "images": sorted(images),
        }
        write_arrays(_drawing(folder), {ABOUT: pack(about), **images})
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        return draw_files(folder) if draw else ""


def _mean_of_repeats(array: Floats, dimensions: int) -> Floats:
    """Return an array of so many dimensions as it is, and the mean of one of all repeats."""
    if array.ndim == dimensions:
        return array
    mean: Floats = array.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def draw_files(folder: Path) -> str:
    """Draw what waits to be drawn of a training's files; return what went wrong.

    Raises
    ------
    OSError
        The disk is full: it waits on.

    """
    from sweep.plots import DRAWING

    waiting, trouble = _drawing(folder), ""
    if not waiting.exists():
        return ""
    try:
        arrays = read_arrays(waiting)
        with DRAWING:
            _draw(folder, unpack(arrays), arrays)
    except Exception as error:  # a figure must not end a study
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise
        trouble = f"{type(error).__name__}: {error}"
    waiting.unlink(missing_ok=True)
    return trouble


def remove_files(folder: Path) -> None:
    """Remove what `write_files` wrote."""
    shutil.rmtree(folder, ignore_errors=True)
    _drawing(folder).unlink(missing_ok=True)


def _drawing(folder: Path) -> Path:
    return folder.with_name(f"drawing-{folder.name}.npz")


def _draw(
    folder: Path, about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[np.generic]]
) -> None:
    from sweep.plots import curves_figure, weights_figure
    from sweep.tracking import write_figure, write_image

    classifier, curves = LinearClassifier.load(folder / CLASSIFIER), about["curves"]
    epochs, limit = len(curves["train/loss"]), None
    if classifier.image_shape is not None:
        state = {name: arrays[name] for name in about["images"]}
        images = WeightImages.restored(classifier.class_names, classifier.image_shape, state)
        limit = images.limit
        shown = {epoch: [epoch] for epoch in images.steps}
        if not about["figures"]:  # the dashboard's slider stands at the last epoch of complete ones
            shown = {epochs: sorted({epochs, about["epochs"]})}
        for epoch, steps in shown.items():
            write_image(folder, images.draw(epoch), "weights", *steps)
    if not about["figures"]:
        return
    title = about["title"]
    write_figure(folder / "figures/curves.png", curves_figure(curves, title=title))
    if classifier.image_shape is not None:
        figure = weights_figure(
            classifier.weights,
            classifier.class_names,
            classifier.image_shape,
            title=title,
            limit=limit,
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


CODES: Final = 127
IMAGE_EPOCHS: Final = frozenset({0, 1, 3, 10, 30, 100, 300, 1000})
"""After which the weights are kept as an image; the page's slider begins at the start."""
HEADROOM: Final = 2.0
"""What is kept reaches to twice the limit: of normal weights one in 10^8 lies beyond."""


class WeightImages:
    """Keeps the weights of one training at some epochs, and draws them when their scale is known.

    The largest limit of them counts (see `colour_limit`). The weights that it starts
    from count only until there are others: they are noise, often larger than all that is learnt.
    One byte is kept of each weight, so that fifty trainings on CIFAR-10 keep some 10 MB, and every
    image is drawn from that: it does not depend on when. A colour is off by at most 2 of 255 steps;
    on a smaller scale, which only the start can have, by as many more as that is smaller. Weights
    beyond twice their limit are drawn as twice their limit.

    Parameters
    ----------
    class_names
        One for each class.
    image_shape
        Channels, height, width.

    """

    def __init__(self, class_names: Sequence[str], image_shape: tuple[int, int, int]) -> None:
        self.class_names = tuple(class_names)
        self.image_shape = image_shape
        self._codes: dict[int, npt.NDArray[np.int8]] = {}
        self._limits: dict[int, float] = {}
        """Of each step alone."""

    @property
    def limit(self) -> float | None:
        """The size of weight with the full colour in all images so far; None before the first."""
        trained = [limit for step, limit in self._limits.items() if step > 0]
        return max(trained or self._limits.values(), default=None)

    def take(self, weights: Floats, step: int) -> None:
        """Keep the weights (k, d) after epoch `step`, 0 before the first."""
        from sweep.plots import colour_limit, weight_values

        values = weight_values(weights, self.image_shape)
        self._limits[step] = own = colour_limit(values)
        shares = np.nan_to_num(np.clip(values / (HEADROOM * own), -1, 1), nan=0.0)
        self._codes[step] = np.rint(CODES * shares).astype(np.int8)

    def draw(self, step: int) -> Image:
        """Draw what was kept of a step, on the scale that is known by now."""
        from sweep.plots import weights_montage

        limit = self.limit
        assert limit is not None  # noqa: S101 - `take` has told one
        values = self._codes[step] * np.float64(HEADROOM * self._limits[step] / CODES)
        return weights_montage(values, self.class_names, limit=limit)

    @property
    def steps(self) -> list[int]:
        """The steps that were kept."""
        return list(self._codes)

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what a training that goes on needs to draw the same pixels, as plain arrays."""
        steps = list(self._codes)
        shape = (0,) if not steps else self._codes[steps[0]].shape
        return {
            "steps": np.array(steps, np.int64),
            "codes": np.array(list(self._codes.values()), np.int8).reshape(len(steps), *shape),
            "limits": np.array([self._limits[step] for step in steps], np.float64),
        }

    @classmethod
    def restored(
        cls,
        class_names: Sequence[str],
        image_shape: tuple[int, int, int],
        state: Mapping[str, npt.NDArray[np.generic]],
    ) -> WeightImages:
        """Return the images as they were when `state` was asked for."""
        images = cls(class_names, image_shape)
        steps = [int(step) for step in state["steps"].tolist()]
        images._codes = dict(zip(steps, state["codes"].astype(np.int8), strict=True))
        images._limits = dict(zip(steps, state["limits"].tolist(), strict=True))
        return images
