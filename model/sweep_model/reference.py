"""Train one trial in the plainest way: the oracle that `sweep_model.panels` is tested against."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sweep_model import AVERAGED
from sweep_model.losses import gradient, mean_loss, penalty
from sweep_model.metrics import accuracy, further_metrics
from sweep_model.preprocessing import check_images, mirror
from sweep_model.rng import flips, initial_weights, row_order
from sweep_model.training import (
    EpochResult,
    Evaluation,
    averaged_steps,
    check_labels,
    check_row_weights,
    divergence,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweep_model import Floats, ImageShape, Labels
    from sweep_model.losses import Loss
    from sweep_model.training import Rows, Training


def train(
    rows: Rows,
    evaluation: Mapping[str, Rows],
    training: Training,
    *,
    loss: Loss,
    classes: int,
    image_shape: ImageShape | None = None,
    further: Sequence[str] = (),
    class_weights: Floats | None = None,
) -> Iterator[tuple[EpochResult, Floats, Floats]]:
    """Mini-batch gradient descent on the cost, one shuffle and one set of flips per epoch.

    Every set is evaluated by the `further` metrics, too, see `further_metrics`.

    Yields
    ------
    After each epoch its result on the `evaluation` sets, the weights (k, d) and the bias (k,).

    Raises
    ------
    ValueError
        The arguments do not fit together; at once, not at the first epoch.
    DivergedError
        While iterating: the cost of an epoch, or a weight, is not finite.
    """
    setting, features = training.hyperparameters, rows.rows.shape[1]
    for name, one in [("training", rows), *evaluation.items()]:
        check_labels(name, one.labels, classes)
        if one.rows.shape[1] != features:
            raise ValueError(f"{name} rows must be (n, {features}), got {one.rows.shape}")
    check_row_weights(training.row_weights, len(rows.labels))
    check_images(features, setting.flip_probability, image_shape)

    averaged = [name.removeprefix(AVERAGED) for name in further if name.startswith(AVERAGED)]
    names = dict.fromkeys(name.removeprefix(AVERAGED) for name in further)
    asked = partial(
        evaluate,
        l2=setting.l2,
        loss=loss,
        further=[name for name in names if name not in ("loss", "accuracy")],
        class_weights=class_weights,
    )

    def results() -> Iterator[tuple[EpochResult, Floats, Floats]]:
        weights = initial_weights(training.seed, classes, features)
        bias: Floats = np.zeros(classes, dtype=np.float32)
        counted = averaged_steps(math.ceil(len(rows.labels) / setting.batch_size))
        for epoch in range(training.epochs):
            mean_weights, mean_bias = np.zeros_like(weights), np.zeros_like(bias)
            batches = _batches(rows, training, epoch, image_shape)
            for step, (batch, labels, shares) in enumerate(batches):
                if shares is None or shares.any():
                    with np.errstate(over="ignore", invalid="ignore"):  # seen by its cost, below
                        down_weights, down_bias = gradient(
                            weights,
                            bias,
                            batch,
                            labels,
                            l2=setting.l2,
                            loss=loss,
                            row_weights=shares,
                        )
                        weights = weights - setting.rate(epoch) * down_weights
                        bias = bias - setting.rate(epoch) * down_bias
                if step in counted:
                    mean_weights += weights / len(counted)
                    mean_bias += bias / len(counted)
            result = EpochResult(
                epoch=epoch + 1,
                learning_rate=setting.rate(epoch),
                evaluations={
                    name: _with_averaged(
                        asked(weights, bias, one), asked(mean_weights, mean_bias, one), averaged
                    )
                    if averaged
                    else asked(weights, bias, one)
                    for name, one in evaluation.items()
                },
            )
            finite = bool(np.isfinite(weights).all() and np.isfinite(bias).all())
            error = divergence(result, finite=finite)
            if error is not None:
                raise error
            yield result, weights.copy(), bias.copy()

    return results()


@np.errstate(over="ignore", invalid="ignore")  # a cost that is not finite is the caller's to see
def evaluate(
    weights: Floats,
    bias: Floats,
    rows: Rows,
    *,
    l2: float,
    loss: Loss,
    further: Sequence[str] = (),
    class_weights: Floats | None = None,
) -> Evaluation:
    """Evaluate W (k, d) and b (k,) on the rows as they are."""
    scores = rows.rows @ weights.T + bias
    mean = mean_loss(scores, rows.labels, loss)
    return Evaluation(
        loss=mean,
        cost=mean + penalty(weights, l2),
        accuracy=accuracy(scores.argmax(axis=1), rows.labels),
        further=further_metrics(further, scores, rows.labels, loss, class_weights),
    )


def _with_averaged(evaluation: Evaluation, of_mean: Evaluation, names: Sequence[str]) -> Evaluation:
    """Add metrics of the mean weights to those of the last ones."""
    added = {AVERAGED + name: of_mean.value(name) for name in names}
    return replace(evaluation, further={**evaluation.further, **added})


def _batches(
    rows: Rows, training: Training, epoch: int, image_shape: ImageShape | None
) -> Iterator[tuple[Floats, Labels, Floats | None]]:
    """The batches of an epoch: rows (m, d), some of them mirrored, labels and row weights (m,).

    The last batch may be short.
    """
    n, setting = len(rows.labels), training.hyperparameters
    order = row_order(training.seed, training.first_pass + epoch, n)
    mirrored = flips(training.seed, training.number, epoch, n, setting.flip_probability)
    for start in range(0, n, setting.batch_size):
        at = order[start : start + setting.batch_size]
        batch = rows.rows[at]
        if image_shape is not None:
            batch[mirrored[at]] = mirror(batch[mirrored[at]], image_shape)
        yield (
            batch,
            rows.labels[at],
            None if training.row_weights is None else training.row_weights[at],
        )
