"""A store with one experiment, and all that it says of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sweep.tracking.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def tracker(workspace) -> Tracker:
    """Return an experiment of an MLflow store of its own."""
    del workspace
    return Tracker("digits")


@pytest.fixture
def in_store(tracker) -> Callable[[], dict[str, object]]:
    """Return a function that tells all that the store has of the experiment, by run name."""

    def tell() -> dict[str, object]:
        client, found = tracker.client, {}
        runs = client.search_runs([tracker.experiment_id])
        for run in runs:
            folder = Path(run.info.artifact_uri.removeprefix("file://"))
            inputs = run.inputs.dataset_inputs
            found[run.info.run_name] = {
                "status": run.info.status,
                "parameters": run.data.params,
                "latest": run.data.metrics,
                "points": {
                    name: [
                        (point.step, point.timestamp, point.value)
                        for point in client.get_metric_history(run.info.run_id, name)
                    ]
                    for name in run.data.metrics
                },
                "tags": {key: tag for key, tag in run.data.tags.items() if "run_key" not in key},
                "inputs": [(each.dataset.name, each.dataset.digest) for each in inputs],
                "files": {
                    str(path.relative_to(folder)): path.read_bytes()
                    for path in sorted(folder.rglob("*"))
                    if path.is_file()
                },
            }
        assert len(found) == len(runs), "no two runs have one name"
        return found

    return tell
