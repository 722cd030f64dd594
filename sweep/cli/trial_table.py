"""The table of `sweep show`: what of a trial's numbers and its curve fits into the width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.cli.sparkline import BLOCKS, Scale, shared_scale, sparkline
from sweep.cli.tables import number, percent, table_width
from sweep.space import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST_BLOCKS, MOST_BLOCKS = 8, 40
"""Of a curve: with fewer it shows no shape, with more it shows nothing further."""
INTERVAL, EPOCHS, TRAIN = "95 %\ninterval", "epochs", "train\nacc"
GIVE_WAY = (INTERVAL, EPOCHS, TRAIN)
"""Columns that a narrow terminal does without, in this order: a curve tells its epochs, too."""
SETTINGS = ("l2", "learning\nrate", "decay\nperiod", "batch\nsize", "flip\nprob")
"""Headings of the hyperparameters, over two lines to save width."""


@dataclass(frozen=True, kw_only=True)
class TrialTable:
    """Columns that fit, and what has to be said below them.

    Attributes
    ----------
    columns
        Cells by heading, trial by trial.
    scale
        Of the curves; None where they are not shown.

    """

    columns: Mapping[str, Sequence[str]]
    scale: Scale | None

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells of each trial."""
        return list(zip(*self.columns.values(), strict=True))

    def legend(self, metric: str, rows: int) -> list[str]:
        """Return in lines how the curves and the intervals are to be read."""
        lines = []
        if self.scale is not None:
            low, high = number(self.scale.low), number(self.scale.high)
            ends = f"{BLOCKS[0]} {low} to {BLOCKS[-1]} {high}"
            lines.append(f"curve: {metric} by epoch, from {ends}, or beyond")
        if INTERVAL in self.columns:
            lines.append(
                f"95 % interval: of each accuracy by itself, on {rows:,} validation rows; the best "
                "of many flatters"
            )
        else:
            error = 100 * (0.25 / rows) ** 0.5
            lines.append(
                f"One standard error of an accuracy near 50 % on {rows:,} rows is "
                f"{error:.1f} points."
            )
        return lines


def trial_table(
    trials: Sequence[Mapping[str, Any]],
    marks: Mapping[int, str],
    curves: Mapping[int, Sequence[float]],
    *,
    validation_rows: int,
    epochs: int,
    width: int,
    blocks: bool,
) -> TrialTable:
    """Lay out the trials that are shown, each as `study.results.describe` has it.

    Parameters
    ----------
    trials
        In the order of the rows.
    marks
        Of trials, by number.
    curves
        Of all trials of the study, by number: they share one scale.
    validation_rows
        On which the accuracies were measured.
    epochs
        Of a trial that is trained to its end.
    width
        Columns of the terminal.
    blocks
        Whether it can show curves.

    """
    columns = _columns(trials, marks, validation_rows)
    least = max(len("curve"), min(LEAST_BLOCKS, epochs))
    fitting = _fitting(columns, width - 1 - least)
    if not blocks or not any(curves.values()) or table_width(fitting) > width - 1 - least:
        return TrialTable(columns=_fitting(columns, width), scale=None)
    room = min(MOST_BLOCKS, width - 1 - table_width(fitting))
    scale = shared_scale(curves.values())
    drawn = [
        sparkline(curves.get(trial["trial"], ()), scale, epochs=epochs, width=room)
        for trial in trials
    ]
    return TrialTable(columns={**fitting, "curve": drawn}, scale=scale)


def _columns(
    trials: Sequence[Mapping[str, Any]], marks: Mapping[int, str], validation_rows: int
) -> dict[str, list[str]]:
    """Return the cells of each column, by its heading."""
    return {
        "trial": [marks.get(trial["trial"], "") + str(trial["trial"]) for trial in trials],
        "ending": [trial["ending"] for trial in trials],
        "val\nacc": [percent(trial["val/accuracy"]) for trial in trials],
        INTERVAL: [_interval(trial["val/accuracy"], validation_rows) for trial in trials],
        "val\nloss": [number(trial["val/loss"]) for trial in trials],
        TRAIN: [percent(trial["train/accuracy"]) for trial in trials],
        EPOCHS: [str(trial["epochs"]) for trial in trials],
        **{
            heading: [number(trial.get(name)) for trial in trials]
            for heading, name in zip(SETTINGS, NAMES, strict=True)
        },
    }


def _fitting(columns: Mapping[str, Sequence[str]], width: int) -> dict[str, Sequence[str]]:
    """Return the columns without as many as have to give way."""
    kept = dict(columns)
    for heading in GIVE_WAY:
        if table_width(kept) > width:
            del kept[heading]
    return kept


def _interval(accuracy: float | None, rows: int) -> str:
    from sweep.statistics.intervals import accuracy_interval

    if accuracy is None:
        return "-"
    low, high = accuracy_interval(accuracy, rows)
    return f"[{100 * low:.1f}, {100 * high:.1f}]"
