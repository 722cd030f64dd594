"""The Markdown note on a study's MLflow run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.statistics.intervals import percent_with_interval
from sweep.study import attributes
from sweep.study.results import find_chosen, grounds, last_value, tally

if TYPE_CHECKING:
    from sweep.study.opening import OpenStudy


def study_note(study: OpenStudy) -> str:
    """Say what the study is, its best trial and the command that reproduces it."""
    settings, trials = study.settings, study.trials()
    best = find_chosen(study)
    what = (
        f"**{study.name}**: a search for the best setting of a linear classifier with the "
        f"{settings.loss} loss on {settings.data.name}, by {settings.objective} after "
        f"{settings.epochs} epochs ({settings.sampler} sampler, {settings.pruner} pruner, "
        f"seed {settings.seed})."
    )
    lines = [what, "", f"Trials: {tally(trials)}.", ""]
    if best is None:
        return "\n".join([*lines, "No trial is complete yet."])
    accuracy = percent_with_interval(last_value(best, "val/accuracy"), settings.data.val_size)
    result = (
        f"Chosen: trial {best.number}, {grounds(study)}: validation accuracy {accuracy} "
        f"(95 % interval for {settings.data.val_size} rows; the best of many trials flatters)."
    )
    lines += [
        result,
        "",
        "| hyperparameter | value |",
        "|---|---|",
        *(f"| {name} | {value:.6g} |" for name, value in best.params.items()),
        f"| seed | {best.user_attrs[attributes.SEAT]['seed']} |",
        "",
        "Reproduce it, bit for bit:",
        "",
        f"    sweep reproduce {study.name}",
    ]
    return "\n".join(lines)
