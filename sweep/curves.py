"""What a trial measured after each epoch, under the names that the stores and figures use."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from sweep.config import StudyConfig
    from sweep_model.training import EpochResult

Curves: TypeAlias = dict[str, list[float]]
"""For each metric its value after every epoch: index i is epoch i + 1."""

METRICS = tuple(
    f"{rows}/{quantity}" for rows in ("train", "val") for quantity in ("loss", "cost", "accuracy")
)

NOUNS = {
    "val/accuracy": "validation accuracy",
    "val/loss": "validation loss",
    "val/balanced_accuracy": "balanced validation accuracy",
    "val/macro_f1": "validation macro F1",
    "val/top5_accuracy": "validation top-5 accuracy",
    "val/log_loss": "validation log loss",
    "val/weighted_accuracy": "weighted validation accuracy",
}
"""Objectives in words, by their curve."""


def metrics_of(config: StudyConfig) -> tuple[str, ...]:
    """Return the metrics that a study's trials have a curve of."""
    metrics = dict.fromkeys((*METRICS, config.metric, config.signal))
    if config.data.repeats == 1:
        return tuple(metrics)
    spread = dict.fromkeys(("val/loss", "val/accuracy", config.metric, config.signal))
    return (*metrics, *(f"{metric}_sd" for metric in spread))


def point(result: EpochResult) -> dict[str, float]:
    """Return one epoch's value of every metric, by its name."""
    return {
        f"{rows}/{quantity}": getattr(result.evaluations[rows], quantity)
        for rows in ("train", "val")
        for quantity in ("loss", "cost", "accuracy")
    } | {f"val/{name}": value for name, value in result.evaluations["val"].further.items()}


def final_metrics(result: EpochResult) -> dict[str, float]:
    """Return what the last epoch came to on all training rows, e.g. `final/train_loss`."""
    evaluations = result.evaluations
    final = evaluations.get("final", evaluations["train"])  # the curve may be of all of them
    return {
        f"final/train_{quantity}": getattr(final, quantity)
        for quantity in ("loss", "cost", "accuracy")
    }


def new_curves() -> Curves:
    """Return curves without a point."""
    return {metric: [] for metric in METRICS}


def append(curves: Curves, values: dict[str, float]) -> None:
    """Add one epoch to the curves, in place."""
    for metric, value in values.items():
        curves.setdefault(metric, []).append(value)


def best_epoch(curves: Curves) -> tuple[int, float]:
    """Return the epoch (from 1) of the highest validation accuracy, the first of equals, and it."""
    accuracies = curves["val/accuracy"]
    index = max(range(len(accuracies)), key=accuracies.__getitem__)
    return index + 1, accuracies[index]
