"""A confirmation as MLflow shows it: a run beside the trials."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING

from sweep.figures.confirmation import Row, confirmation_figure
from sweep.study.champion import crown_chosen
from sweep.tracking.run import Run

if TYPE_CHECKING:
    from sweep.study.confirmation import Confirmation, Confirmed
    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker

ROLE = "confirm"


def log_confirmation(study: OpenStudy, found: Confirmation, tracker: Tracker) -> None:
    """Log the confirmation, unless this store has it, and register the winner as `champion`."""
    content = json.dumps(found.record(), sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()
    plan = {"role": ROLE, **study.tags, "confirmation_digest": digest}
    if not any(run.info.status == "FINISHED" for run in tracker.runs(**plan)):
        parents = tracker.runs(role="study", **study.tags)
        parent = Run(tracker, parents[0].info.run_id) if parents else None
        note = confirmation_note(found)
        run = Run.create(tracker, "confirm", tags=plan, parent=parent, note=note)
        with run.ended_if_broken():
            _log(run, study, found)
            run.end("FINISHED")
    crown_chosen(study, tracker)


def _log(run: Run, study: OpenStudy, found: Confirmation) -> None:
    run.parameters({"trials": len(found.trials), "seeds": len(found.seeds), "epochs": found.epochs})
    for one in [*found.trials, found.baseline]:
        for number, value in enumerate(one.values):
            if math.isfinite(value):
                run.metrics({f"confirmed/{name_of(one)}": value}, number)
    winner = found.winner
    if math.isfinite(winner.mean):
        run.metrics({f"best/{found.metric.replace('/', '_')}": winner.mean})
    rows = [Row(name_of(one), one.search, one.values) for one in found.trials]
    baseline = Row(name_of(found.baseline), math.nan, found.baseline.values)
    with run.tracker.timings.part("figures"):
        figure = confirmation_figure(
            [*rows, baseline],
            objective=found.metric,
            title=f"{study.name}: the top trials on {len(found.seeds)} fresh seeds",
        )
    run.figure(figure, "figures/confirmation.png")


def name_of(one: Confirmed) -> str:
    """Return what a setting is called on charts."""
    return "baseline" if one.trial < 0 else f"trial-{one.trial:03d}"


def confirmation_note(found: Confirmation) -> str:
    """Say in Markdown what was found."""
    what = (
        f"The top trials, trained again on {len(found.seeds)} seeds that the search never saw; "
        f"{found.metric} after {found.epochs} epochs."
    )
    lines = [
        what,
        "",
        "| trial | search | confirmed | standard error | flattered by |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.trial} | {one.search:.4f} | {one.mean:.4f} | {one.standard_error:.4f} "
        f"| {found.flattered(one):+.4f} |"
        for one in found.trials
    ]
    baseline = found.baseline
    lines.append(f"| baseline | | {baseline.mean:.4f} | {baseline.standard_error:.4f} | |")
    return "\n".join(lines)
