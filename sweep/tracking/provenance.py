"""What a run's numbers rest on: data digests, versions, BLAS, threads and git state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sweep.environment import environment, git_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweep.config import DataConfig
    from sweep.data import Prepared

DIGEST_CHARACTERS = 36
"""MLflow's limit for the digest of an input; the whole one stands in the tags."""


def provenance(
    config: DataConfig, trained_with: Mapping[str, str] | None = None
) -> dict[str, object]:
    """Return tags that say on which rows, and with which versions, something was trained."""
    versions = environment() if trained_with is None else trained_with
    return {
        "data": config.name,
        "data_digest": config.data_digest,
        "split_digest": config.split_digest,
        **{f"environment.{name}": value for name, value in versions.items()},
        **{f"git.{name}": value for name, value in git_state().items()},
    }


def inputs(config: DataConfig, data: Prepared) -> list[dict[str, str]]:
    """Return both sets of rows as MLflow's datasets."""
    source = json.dumps({"source": config.source, "data_digest": config.data_digest})
    return [
        {
            "name": f"{config.name}-{context}",
            "digest": config.split_digest[:DIGEST_CHARACTERS],
            "source": source,
            "profile": json.dumps({"rows": len(part.labels), "features": part.rows.shape[1]}),
            "context": context,
        }
        for context, part in (("training", data.training), ("validation", data.validation))
    ]
