"""The Markdown description of a study's MLflow run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.space import Range
from sweep.statistics.intervals import percent_with_interval
from sweep.study import attributes
from sweep.study.markdown import commands, number_of, plain, section, table
from sweep.study.results import find_chosen, grounds, last_value, tally
from sweep.study.run_command import run_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.trial import FrozenTrial

    from sweep.settings import Settings
    from sweep.space import Axis
    from sweep.study.opening import OpenStudy


def study_note(study: OpenStudy) -> str:
    """Say what a study asks, what it found, where it searched and how to repeat it.

    The page shows the first lines alone until one asks for more: so the result comes first.
    """
    settings, chosen = study.settings, find_chosen(study)
    question = (
        f"**{plain(study.name)}**: which setting of a linear classifier with the {settings.loss} "
        f"loss is best on {plain(settings.data.name)}, by {settings.objective} after "
        f"{settings.epochs} epochs?"
    )
    parts = [
        question,
        _result(study, chosen),
        section("Setting", table(["", ""], _setting(settings)), _space(settings, chosen)),
        section("How to reproduce it", *_again(study, chosen)),
    ]
    return "\n\n".join(parts)


def _setting(settings: Settings) -> Iterator[tuple[str, str]]:
    data, layout = settings.data, settings.layout
    yield "data", data.name
    yield "SHA-256 of the rows", data.data_digest
    yield "validation rows", f"{data.val_size:,}, split seed {data.split_seed}"
    yield "sampler, pruner", f"{settings.sampler}, {settings.pruner}"
    yield "seed", str(settings.seed)
    yield "trials side by side", f"{layout.slots}, in stacks of {layout.width}"


def _space(settings: Settings, chosen: FrozenTrial | None) -> str:
    axes = settings.space.axes.items()
    if chosen is None:
        return table(
            ["hyperparameter", "searched"], [(name, searched(axis)) for name, axis in axes]
        )
    rows = [(name, searched(axis), number_of(chosen.params[name])) for name, axis in axes]
    rows.append(("seed", "", str(chosen.user_attrs[attributes.SEAT]["seed"])))
    return table(["hyperparameter", "searched", f"trial {chosen.number}"], rows)


def searched(axis: Axis) -> str:
    """Return in words where a hyperparameter was searched."""
    if isinstance(axis, Range):
        scale = ", logarithmic" if axis.log else ""
        return f"{number_of(axis.low)} to {number_of(axis.high)}{scale}"
    values = ", ".join(map(number_of, axis.values))
    return values if len(axis.values) > 1 else f"{values}, not searched"


def _result(study: OpenStudy, chosen: FrozenTrial | None) -> str:
    counts = f"Trials: {tally(study.trials())}."
    if chosen is None:
        return f"{counts} No trial is complete yet."
    rows = study.settings.data.val_size
    accuracy = percent_with_interval(last_value(chosen, "val/accuracy"), rows)
    return (
        f"**Trial {chosen.number}**, {grounds(study)}, with a validation accuracy of {accuracy} "
        f"(95 % interval for {rows:,} rows; the best of many trials flatters). {counts}"
    )


def _again(study: OpenStudy, chosen: FrozenTrial | None) -> list[str]:
    finished = tally(study.trials()).finished
    lines = [
        (run_command(study.settings, max(1, finished)), "the whole study, in a folder of its own")
    ]
    if chosen is None:
        return [commands(*lines)]
    lines = [
        (f"sweep reproduce {study.name}", "the chosen trial again; every bit is compared"),
        (f"sweep confirm {study.name}", "the best trials on fresh seeds: which is it?"),
        *lines,
    ]
    return [commands(*lines)]
