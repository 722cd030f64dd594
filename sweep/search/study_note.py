"""The Markdown description of a study's MLflow run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.search.markdown import commands, number_of, plain, section, table
from sweep.search.run_command import run_command
from sweep.search.trials import tally
from sweep.space import Range
from sweep.statistics.intervals import percent_with_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sweep.config import StudyConfig
    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord
    from sweep.space import Axis


def study_note(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    selected: TrialRecord | None = None,
    grounds: str = "",
) -> str:
    """Say what a study asks, what it found, where it searched and how to repeat it.

    The page shows the first lines alone until one asks for more: so the result comes first.

    Parameters
    ----------
    study
        The study.
    trials
        Its trials.
    selected, grounds
        The trial that it answers with, and why.

    """
    config = study.config
    question = (
        f"**{plain(study.name)}**: which setting of a linear classifier with the {config.loss} "
        f"loss is best on {plain(config.data.name)}, by {config.objective} after "
        f"{config.epochs} epochs?"
    )
    parts = [
        question,
        _result(study, trials, selected, grounds),
        section("Setting", table(["", ""], _setting(config)), _space(config, selected)),
        section("How to reproduce it", *_again(study, trials, selected)),
    ]
    return "\n\n".join(parts)


def _setting(config: StudyConfig) -> Iterator[tuple[str, str]]:
    data = config.data
    yield "data", data.name
    yield "SHA-256 of the rows", data.data_digest
    yield "validation rows", f"{data.val_size:,}, split seed {data.split_seed}"
    yield "sampler, pruner", f"{config.sampler}, {config.pruner}"
    yield "seed", str(config.seed)
    yield "trials side by side", f"{config.slots}, in panels of {config.lanes}"


def _space(config: StudyConfig, selected: TrialRecord | None) -> str:
    axes = config.space.axes.items()
    if selected is None:
        return table(
            ["hyperparameter", "searched"], [(name, searched(axis)) for name, axis in axes]
        )
    rows = [(name, searched(axis), number_of(selected.params[name])) for name, axis in axes]
    rows.append(("seed", "", str(config.training_seed)))
    return table(["hyperparameter", "searched", f"trial {selected.number}"], rows)


def searched(axis: Axis) -> str:
    """Return in words where a hyperparameter was searched."""
    if isinstance(axis, Range):
        scale = ", logarithmic" if axis.log else ""
        return f"{number_of(axis.low)} to {number_of(axis.high)}{scale}"
    values = ", ".join(map(number_of, axis.values))
    return values if len(axis.values) > 1 else f"{values}, not searched"


def _result(
    study: StudyRecord, trials: Sequence[TrialRecord], selected: TrialRecord | None, grounds: str
) -> str:
    counts = f"Trials: {tally(trials)}."
    if selected is None:
        return f"{counts} No trial is complete yet."
    rows = study.config.data.val_size
    accuracy = percent_with_interval(selected.last("val/accuracy"), rows)
    return (
        f"**Trial {selected.number}**, {grounds}, with a validation accuracy of {accuracy} "
        f"(95 % interval for {rows:,} rows; optimistic: the best of {len(trials)}). {counts}"
    )


def _again(
    study: StudyRecord, trials: Sequence[TrialRecord], selected: TrialRecord | None
) -> list[str]:
    finished = tally(trials).finished
    lines = [
        (run_command(study.config, max(1, finished)), "the whole study, in a folder of its own")
    ]
    if selected is None:
        return [commands(*lines)]
    lines = [
        (f"sweep reproduce {study.name}", "the selected trial again; every bit is compared"),
        (f"sweep confirm {study.name}", "the best trials on fresh seeds: which is it?"),
        *lines,
    ]
    return [commands(*lines)]
