"""Views kept in MLflow, as experiment tags in a format that MLflow does not document."""

from __future__ import annotations

import hashlib
import json
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from sweep.errors import SweepError

if TYPE_CHECKING:
    from sweep.tracking.tracker import Tracker
    from sweep.tracking.views import View

TESTED_MLFLOW: Final = "3.17"
"""The minor version whose pages were looked at in a browser."""
TAG: Final = "mlflow.sharedViewState."
MAX_CHARACTERS: Final = 20_000
"""Of an experiment's tag; MLflow cuts longer ones."""
WRITER: Final = "sweep"
"""Holds the digest of the state that we wrote: a view that somebody changed has another, or none.
"""


def untested_mlflow() -> str | None:
    """Return the version of MLflow that is installed, if its views were never looked at."""
    installed = version("mlflow")
    return None if installed.startswith(f"{TESTED_MLFLOW}.") else installed


def save_view(tracker: Tracker, view: View, *, renew: bool = True) -> None:
    """Keep a view in the tracker's experiment; unless it has changed, nothing is written.

    Parameters
    ----------
    tracker
        The experiment.
    view
        What to keep.
    renew
        Whether an older state of ours is replaced. One that somebody else saved always stays.

    Raises
    ------
    SweepError
        A view that does not fit in a tag.

    """
    state = json.dumps(view.state, separators=(",", ":"))
    tag = f"{TAG}{view.key}"
    with tracker.reaching():
        experiment = tracker.client.get_experiment(tracker.experiment_id)
    before = _read(experiment.tags.get(tag, ""))
    if before and (before["state"] == state or not renew or not _is_ours(before)):
        return
    now = time.time_ns() // 1_000_000
    value = json.dumps(
        {
            "name": view.name,
            "createdAt": before.get("createdAt", now),
            "updatedAt": now,
            "state": state,
            WRITER: _digest(state),
        }
    )
    if len(value) > MAX_CHARACTERS:
        raise SweepError(
            f"the view {view.name!r} has {len(value):,} characters and MLflow keeps "
            f"{MAX_CHARACTERS:,}: the experiment {tracker.experiment!r} has too many studies; "
            "open one with `sweep ui STUDY`"
        )
    with tracker.reaching():
        tracker.client.set_experiment_tag(tracker.experiment_id, tag, value)


def _read(value: str) -> dict[str, Any]:
    """Return a view as it is kept; empty if there is none."""
    try:
        envelope = json.loads(value)
    except ValueError:
        return {}
    return envelope if isinstance(envelope, dict) and "state" in envelope else {}


def _is_ours(envelope: dict[str, Any]) -> bool:
    return bool(envelope.get(WRITER) == _digest(str(envelope["state"])))


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()[:16]
