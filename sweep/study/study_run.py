"""The study as MLflow shows it: the parent run of its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.figures.history import history_figure
from sweep.figures.importance import importance_figure
from sweep.figures.parallel import parallel_figure
from sweep.figures.slices import slice_figure
from sweep.study.importance import importances
from sweep.study.note import study_note
from sweep.study.results import best_trial, last_value, tally
from sweep.tracking.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.trial import FrozenTrial

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

    found = tracker.runs(role="study", **study.tags)
    if found:
        run = Run(tracker, found[0].info.run_id)
        run.resume()
        return run
    run = Run.create(tracker, study.name, tags={"role": "study", **study.tags})
    run.parameters(_parameters(study))
    log_provenance(run, study.settings.data, data)
    ended = [trial for trial in study.trials() if trial.state.is_finished()]
    for count in range(1, len(ended) + 1):  # a store that is younger than the study
        _log_best(run, study, ended[:count])
    return run


def _parameters(study: OpenStudy) -> dict[str, object]:
    settings = study.settings
    names = ("loss", "epochs", "seed", "sampler", "pruner", "objective")
    return {
        **{name: getattr(settings, name) for name in names},
        "val_size": settings.data.val_size,
        "split_seed": settings.data.split_seed,
        **{f"space.{name}": str(axis) for name, axis in settings.space.axes.items()},
    }


def log_progress(run: Run, study: OpenStudy) -> None:
    """Log the best so far against the number of finished trials: the optimisation history."""
    _log_best(run, study, study.trials())


def _log_best(run: Run, study: OpenStudy, trials: Sequence[FrozenTrial]) -> None:
    best = best_trial(study.settings, trials)
    if best is not None:
        values = {
            f"best/{rows}": last_value(best, f"val/{rows.removeprefix('val_')}")
            for rows in ("val_accuracy", "val_loss")
        }
        run.metrics(values, tally(trials).finished)


def log_overview(run: Run, study: OpenStudy) -> None:
    """Log the figures over all trials and the note that says what the study is."""
    trials, settings = study.trials(), study.settings
    direction, objective = settings.direction, settings.metric
    best = best_trial(settings, trials)
    chosen = None if best is None else best.number
    for name, draw in OVERVIEW.items():
        with run.tracker.timings.part("figures"):
            figure = draw(trials, direction=direction, objective=objective, chosen=chosen)
        run.figure(figure, f"figures/{name}.png")
    shares = importance_figure(importances(study), objective=objective)
    run.figure(shares, "figures/importance.png")
    run.note(study_note(study))
