"""What a run's numbers rest on: data digests, versions, BLAS, threads and git state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sweep.environment import environment, git_state

if TYPE_CHECKING:
    from sweep.data import Prepared
    from sweep.settings import DataChoice
    from sweep.tracking.news import Inputs
    from sweep.tracking.run import Run

DIGEST_CHARACTERS = 36
"""MLflow's limit for the digest of an input; the whole one stands in the tags."""


def log_provenance(run: Run, choice: DataChoice, data: Prepared) -> None:
    """Log the data as inputs and everything else as tags."""
    run.tags(
        {
            "data": choice.name,
            "data_digest": choice.data_digest,
            "split_digest": choice.split_digest,
            **{f"environment.{name}": value for name, value in environment().items()},
            **{f"git.{name}": value for name, value in git_state().items()},
        }
    )
    run.inputs(_inputs(choice, data))


def _inputs(choice: DataChoice, data: Prepared) -> Inputs:
    """Return both sets of rows as MLflow's datasets."""
    source = json.dumps({"source": choice.source, "data_digest": choice.data_digest})
    return [
        {
            "name": f"{choice.name}-{context}",
            "digest": choice.split_digest[:DIGEST_CHARACTERS],
            "source": source,
            "profile": json.dumps({"rows": len(part.labels), "features": part.rows.shape[1]}),
            "context": context,
        }
        for context, part in (("training", data.training), ("validation", data.validation))
    ]
