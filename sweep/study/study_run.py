"""The study as MLflow shows it: the parent run of its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.figures.history import history_figure
from sweep.figures.importance import importance_figure
from sweep.figures.parallel import parallel_figure
from sweep.figures.slices import slice_figure
from sweep.study import attributes
from sweep.study.dashboard import colour_runs, ensure_view
from sweep.study.ending import Ending
from sweep.study.experiment_note import experiment_note
from sweep.study.importance import importances
from sweep.study.note import study_note
from sweep.study.position import settled
from sweep.study.results import epochs_trained, find_chosen
from sweep.study.standing import Standing
from sweep.tracking.provenance import log_provenance
from sweep.tracking.run import Run

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from sweep.data import Prepared
    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker

GIVEN = "sweep.data_digest"
"""A tag that a run has once it has all that it was given."""
OVERVIEW = {
    "history": history_figure,
    "parallel_coordinates": parallel_figure,
    "slice": slice_figure,
}


def open_study_run(study: OpenStudy, tracker: Tracker, data: Prepared) -> Run:
    """Go on with the study's own run, or begin it where this store has none."""
    ensure_view(tracker, study)
    studies = tracker.runs(role="study")
    names = {run.info.run_name for run in studies} | {study.name}
    tracker.describe(experiment_note(data, sorted(names)))
    found = [run for run in studies if run.data.tags.get("sweep.study_id") == study.identity]
    if found:
        run = Run(tracker, found[0].info.run_id)
        if GIVEN not in found[0].data.tags:  # its process died as it began
            _tell_given(run, study, data)
        run.resume()
        return run
    run = Run.create(
        tracker, study.name, tags={"role": "study", **study.tags}, note=study_note(study)
    )
    _tell_given(run, study, data)
    run.flush()
    return run


def _tell_given(run: Run, study: OpenStudy, data: Prepared) -> None:
    """Log the study's settings and what its numbers rest on."""
    run.parameters(_parameters(study))
    log_provenance(run, study.settings.data, data)


def _parameters(study: OpenStudy) -> dict[str, object]:
    settings = study.settings
    names = ("loss", "epochs", "seed", "sampler", "pruner", "objective")
    return {
        **{name: getattr(settings, name) for name in names},
        "val_size": settings.data.val_size,
        "split_seed": settings.data.split_seed,
        "slots": settings.layout.slots,
        "width": settings.layout.width,
        "workers": settings.layout.workers,
        **{f"space.{name}": str(axis) for name, axis in settings.space.axes.items()},
    }


def complete_progress(run: Run, study: OpenStudy) -> None:
    """Log what the store lacks of the best so far, in the order in which the trials ended.

    It waits with what else is logged.
    """
    there = run.steps("best/val_loss")
    standing = Standing(study.settings, [])
    for trial in sorted(settled(study.trials()), key=_end):
        curves = trial.user_attrs.get(attributes.CURVES, {})
        counts = standing.take(trial.number, Ending(trial.user_attrs[attributes.ENDING]), curves)
        if counts and standing.finished not in there:
            log_progress(run, standing)


def _end(trial: FrozenTrial) -> tuple[int, int]:
    """Return when a trial ended in logical time: after which pass, and in which slot."""
    known = trial.user_attrs
    if attributes.SEAT not in known:
        return trial.number, 0
    return known[attributes.SEAT]["first_pass"] + epochs_trained(trial), known[attributes.SLOT]


def log_progress(run: Run, standing: Standing) -> None:
    """Log the best so far against the number of finished trials: the optimisation history."""
    best = standing.best
    if best is not None:
        values = {"best/val_accuracy": best.val_accuracy, "best/val_loss": best.val_loss}
        run.metrics(values, standing.finished)


def log_overview(run: Run, study: OpenStudy) -> None:
    """Log the figures over all trials, the note and the dashboard that say what the study is."""
    trials, settings = study.trials(), study.settings
    direction, objective = settings.direction, settings.metric
    best = find_chosen(study)
    chosen = None if best is None else best.number
    for name, draw in OVERVIEW.items():
        with run.tracker.timings.part("figures"):
            figure = draw(trials, direction=direction, objective=objective, chosen=chosen)
        run.figure(figure, f"figures/{name}.png")
    with run.tracker.timings.part("figures"):
        found = importances(study)
        figure = importance_figure(
            found.shares,
            objective=objective,
            intervals=found.intervals,
            alike=found.alike,
            reason=found.reason,
        )
    run.figure(figure, "figures/importance.png")
    run.note(study_note(study))
    ensure_view(run.tracker, study, found.shares)
    colour_runs(run.tracker, study)
    run.flush()
