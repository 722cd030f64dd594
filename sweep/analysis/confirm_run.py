"""A confirmation as MLflow shows it: a run beside the trials."""

from __future__ import annotations

import hashlib
import json
import math
import time
from typing import TYPE_CHECKING

from sweep.analysis.champion import register_champion
from sweep.analysis.confirmation import pruned_at
from sweep.analysis.in_full import in_full, in_full_state
from sweep.disks import scratch_folder
from sweep.figures.confirmation import Row, confirmation_figure
from sweep.search.study_run import study_key
from sweep.tracking.images import write_figure
from sweep.tracking.mirror import Mirror, RunState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweep.analysis.confirmation import Confirmation, Confirmed
    from sweep.search.record import StudyRecord
    from sweep.tracking.tracker import Tracker


def log_confirmation(study: StudyRecord, found: Confirmation, tracker: Tracker) -> None:
    """Log the confirmation, unless this store has it, and register the winner as `champion`."""
    content = json.dumps(found.record(), sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()
    mirror = Mirror(tracker)
    key = f"{study.identity}/confirm-{digest[:32]}"
    if key not in mirror.complete(role="confirm", **study.tags):
        _log(study, found, mirror, key, digest)
    winner = study.trial(found.winner.trial)
    if in_full(study, winner) != winner:
        mirror.update(in_full_state(study, winner, None))
    register_champion(study, mirror)


def _log(study: StudyRecord, found: Confirmation, mirror: Mirror, key: str, digest: str) -> None:
    now = int(time.time() * 1000)
    rows = [Row(name_of(one), one.search, one.values) for one in found.trials]
    baseline = Row(name_of(found.baseline), math.nan, found.baseline.values)
    figure = confirmation_figure(
        [*rows, baseline],
        objective=found.metric,
        title=f"{study.name}: the top trials on {len(found.seeds)} fresh seeds",
    )
    winner = found.winner
    mean = {f"best/{found.metric.replace('/', '_')}": winner.mean}
    with scratch_folder() as folder:
        write_figure(folder / "files/figures/confirmation.png", figure)
        mirror.update(
            RunState(
                key=key,
                name="confirm",
                parent=study_key(study),
                parameters={
                    "trials": len(found.trials),
                    "seeds": len(found.seeds),
                    "epochs": found.epochs,
                },
                curves={
                    f"confirmed/{name_of(one)}": [
                        value if math.isfinite(value) else None for value in one.values
                    ]
                    for one in [*found.trials, found.baseline]
                },
                times=[now] * len(found.seeds),
                metrics=mean if math.isfinite(winner.mean) else {},
                tags={"role": "confirm", **study.tags, "confirmation_digest": digest},
                note=confirmation_note(found, pruned_at(study)),
                files=folder / "files",
                status="FINISHED",
                began=now,
                ended=now,
                complete=True,
            )
        )


def name_of(one: Confirmed) -> str:
    """Return what a setting is called on charts."""
    return "baseline" if one.is_baseline else f"trial-{one.trial:03d}"


def confirmation_note(found: Confirmation, pruned: Mapping[int, int]) -> str:
    """Say in Markdown what was found; `pruned` is when the search pruned trials, by number."""

    def in_search(one: Confirmed) -> str:
        epoch = pruned.get(one.trial)
        return _shown(one.search) if epoch is None else f"pruned at epoch {epoch}"

    what = (
        f"The top trials, trained again on {len(found.seeds)} seeds that the search never used; "
        f"{found.metric} after {found.epochs} epochs."
    )
    lines = [
        what,
        "",
        "| trial | search | confirmed | standard error | optimism |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.trial} | {in_search(one)} | {one.mean:.4f} | {one.standard_error:.4f} "
        f"| {_shown(found.optimism(one), '+.4f')} |"
        for one in found.trials
    ]
    baseline = found.baseline
    lines.append(f"| baseline | | {baseline.mean:.4f} | {baseline.standard_error:.4f} | |")
    return "\n".join(lines)


def _shown(value: float, number: str = ".4f") -> str:
    return f"{round(value, 4) + 0.0:{number}}" if math.isfinite(value) else ""
