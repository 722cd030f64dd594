"""Trials and curves as .csv, for pandas, R and spreadsheets; every float reads back the same."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from sweep.archive.trial_record import trial_record
from sweep.curves import METRICS
from sweep.space import NAMES
from sweep.study.results import epochs_trained

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from optuna.trial import FrozenTrial

SEAT = ("seed", "first_pass", "width")
LAST = ("weights_digest", "started", "ended", "reason")


def trials_table(trials: Sequence[FrozenTrial]) -> str:
    """Return a row per trial: its ending, last metrics, setting, seat and times.

    The objective stands where a trial is complete, the others have none.
    """
    head = ["trial", "ending", "epochs", "objective", *METRICS, *NAMES]
    return _csv([*head, "position", "attempt", "slot", *SEAT, *LAST], map(_row, trials))


def curves_table(trials: Sequence[FrozenTrial]) -> str:
    """Return a row per trial and epoch, from 1: the metrics after it."""
    rows = (
        [record["trial"], epoch, *points]
        for record in map(trial_record, trials)
        for epoch, points in enumerate(_points(record), start=1)
    )
    return _csv(["trial", "epoch", *METRICS], rows)


def _row(trial: FrozenTrial) -> list[Any]:
    record = trial_record(trial)
    points = _points(record)
    setting, seat = record["setting"] or {}, record["seat"] or {}
    return [
        trial.number,
        record["ending"],
        epochs_trained(trial),
        trial.value,
        *(points[-1] if points else [None] * len(METRICS)),
        *(setting.get(name) for name in NAMES),
        *(record[name] for name in ("position", "attempt", "slot")),
        *(seat.get(name) for name in SEAT),
        *(record[name] for name in LAST),
    ]


def _points(record: dict[str, Any]) -> list[tuple[float, ...]]:
    """Return the metrics after each epoch, in the order of `METRICS`."""
    curves = record["curves"]
    return [] if curves is None else list(zip(*(curves[name] for name in METRICS), strict=True))


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(head)
    table.writerows(rows)
    return written.getvalue()
