"""The study as MLflow shows it: the parent run of its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.figures.history import history_figure
from sweep.figures.importance import importance_figure
from sweep.figures.parallel import parallel_figure
from sweep.figures.slices import slice_figure
from sweep.study import attributes
from sweep.study.dashboard import colour_runs, ensure_view
from sweep.study.importance import importances
from sweep.study.note import study_note
from sweep.study.results import ending, find_chosen
from sweep.study.standing import Standing
from sweep.tracking.run import Run

if TYPE_CHECKING:
    from sweep.data import Prepared
    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker

OVERVIEW = {
    "history": history_figure,
    "parallel_coordinates": parallel_figure,
    "slice": slice_figure,
}


def open_study_run(study: OpenStudy, tracker: Tracker, data: Prepared) -> Run:
    """Go on with the study's own run, or begin it where this store has none."""
    from sweep.tracking.provenance import log_provenance

    ensure_view(tracker, study)
    found = tracker.runs(role="study", **study.tags)
    if found:
        run = Run(tracker, found[0].info.run_id)
        run.resume()
        return run
    run = Run.create(tracker, study.name, tags={"role": "study", **study.tags})
    run.parameters(_parameters(study))
    log_provenance(run, study.settings.data, data)
    _log_history(run, study)
    run.flush()
    return run


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


def _log_history(run: Run, study: OpenStudy) -> None:
    """Log the best after each trial, for a store that is younger than the study."""
    standing = Standing(study.settings, [])
    for trial in study.trials():
        how = ending(trial)
        if how is not None:
            standing.take(trial.number, how, trial.user_attrs.get(attributes.CURVES, {}))
            log_progress(run, standing)


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
