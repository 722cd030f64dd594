"""The Markdown descriptions that MLflow shows on an experiment and on its runs."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from sweep.config import run_command
from sweep.formatting import fixed, number
from sweep.search.course import course_of
from sweep.search.trials import Status, tally
from sweep.search_space import Range
from sweep.statistics import percent_with_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweep.config import StudyConfig
    from sweep.data import Prepared
    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord
    from sweep.search_space import Axis


SPECIAL = re.compile(r"[\\`*{}\[\]|~@]|(?<![^\W_])_|_(?![^\W_])")
"""An underscore within a word is only that."""
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
LONGEST = 600
"""Characters of one text: MLflow refuses a description of more than 5,000."""
SPACE = "&emsp;"
"""Between columns: the page leaves no room of its own."""
FILLED = 48
"""Characters after which a command goes on in the next line, so that it does not widen the page."""


def plain(text: object) -> str:
    """Return `text` on one line, so that Markdown shows just these characters, in a table too.

    What is too long ends in an ellipsis.
    """
    line = " ".join(str(text).split())
    if len(line) > LONGEST:
        line = line[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
    line = SPECIAL.sub(lambda found: f"\\{found[0]}", line)
    for sign, entity in ENTITIES.items():
        line = line.replace(sign, entity)
    return line


def section(title: str, *paragraphs: str) -> str:
    """Return paragraphs under a title in bold; the page shows headings as plain text."""
    return "\n\n".join([f"**{title}**", *paragraphs])


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table whose cells show just what they are given."""
    lines = [f"{SPACE} | ".join(map(plain, row)) for row in (head, *rows)]
    lines.insert(1, " | ".join(["---"] * len(head)))
    return "\n".join(f"| {line} |" for line in lines)


def commands(*lines: tuple[str, str]) -> str:
    """Return a block of code: commands, each below what it does."""
    shown = [line for command, purpose in lines for line in (f"# {purpose}", _wrapped(command))]
    return "\n".join(["```sh", *shown, "```"])


def _wrapped(command: str) -> str:
    """Return a command that begins a new line before an option where the line is filled."""
    lines = [""]
    for word in shlex.split(command):
        if word.startswith("--") and len(lines[-1]) > FILLED:
            lines.append("   ")
        lines[-1] += f" {shlex.quote(word)}"
    return " \\\n".join(lines).strip()


RUNS = (
    ("a study's name", "a search: its space, history, importances and answer"),
    ("trial-000, trial-001, ...", "below it: one training each, with curves and weights"),
    ("confirm", "below it: the best trials again, on seeds that the search never used"),
    ("trial-...-in-full", "below it: a selected trial that was pruned, trained to its end"),
    ("reproduce-trial-...", "a trial trained again from its record and compared with it"),
    ("compare ...", "selected trials of several studies on the same test rows"),
    ("train-...", "one setting of somebody's own"),
)
MOST = 4
"""Studies that the commands name: a description has an end."""
VIEWS = (
    "Each study has a finished dashboard among the saved views of this page (at its upper right): "
    "**NAME: dashboard** shows its trials, the best first, with charts of settings and results, "
    "learning curves and weight images."
)


def experiment_note(data: Prepared, studies: Sequence[str] = ()) -> str:
    """Say what an experiment holds, where to look at it and how to go on.

    The commands are for the studies of these names, or for placeholders.
    """
    names = [*studies, *("STUDY", "STUDY_B")[len(studies) :]][:MOST]
    question = (
        f"Which linear classifier is best on **{plain(data.name)}**, with which loss and setting, "
        "by how much, and does it come out the same again?"
    )
    features = f"{data.validation.rows.shape[1]:,}"
    if data.image_shape is not None:
        channels, height, width = data.image_shape
        features += f": images of {height} x {width} pixels, {channels} to a pixel"
    facts = [
        ("training rows", f"{len(data.training.labels):,}"),
        ("validation rows", f"{len(data.validation.labels):,}"),
        ("features", features),
        (f"{len(data.class_names)} classes", ", ".join(data.class_names)),
        ("SHA-256 of the rows", data.data_digest),
    ]
    lines = [
        ("sweep list", "the studies of this folder, each with its best trial"),
        (f"sweep ui {names[0]}", "its dashboard"),
        (f"sweep compare {names[0]} {names[1]}", "which is better, on the same test rows"),
        (f"sweep report {' '.join(names)}", "all of it on one page"),
    ]
    parts = [
        question,
        section("Data", table(["", ""], facts)),
        section("Runs", table(["name", "what it is"], RUNS)),
        section("Views", VIEWS),
        section("How to go on", commands(*lines)),
    ]
    return "\n\n".join(parts)


# In the notes of runs the result comes first: the page shows the first lines alone


def study_note(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    selected: TrialRecord | None = None,
    grounds: str = "",
) -> str:
    """Say what a study asks, what it found, where it searched and how to repeat it.

    `selected` is the trial that it answers with, and `grounds` why.
    """
    config, counts = study.config, tally(trials)
    rows, data = config.data.val_size, config.data
    question = (
        f"**{plain(study.name)}**: which setting of a linear classifier with the {config.loss} "
        f"loss is best on {plain(data.name)}, by {config.objective} after {config.epochs} epochs?"
    )
    setting = [
        ("data", data.name),
        ("SHA-256 of the rows", data.data_digest),
        ("validation rows", f"{rows:,}, split seed {data.split_seed}"),
        *(
            [("trainings", f"{words}: curves are means")]
            if (words := data.repeats_in_words)
            else []
        ),
        ("sampler, pruner", f"{config.sampler}, {config.pruner}"),
        ("seed", config.seed),
        ("trials side by side", f"{config.slots}, in panels of {config.lanes}"),
    ]
    space = [
        (name, range_in_words(axis) + ("" if name in config.space.varied() else ", not searched"))
        for name, axis in config.space.axes.items()
    ]
    again = run_command(config, max(1, counts.finished)), "the whole study, in a folder of its own"
    if selected is None:
        result = f"Trials: {counts}. No trial is complete yet."
        searched_table = table(["hyperparameter", "searched"], space)
        lines = [again]
    else:
        accuracy = percent_with_interval(selected.last("val/accuracy"), rows)
        result = (
            f"**Trial {selected.number}**, {grounds}, with a validation accuracy of {accuracy} "
            f"(95 % interval for {rows:,} rows; optimistic: the best of {len(trials)}). "
            f"Trials: {counts}."
        )
        searched_and_selected = [(*row, number(selected.params[row[0]], 6)) for row in space]
        searched_and_selected.append(("seed", "", str(config.training_seed)))
        head = ["hyperparameter", "searched", f"trial {selected.number}"]
        searched_table = table(head, searched_and_selected)
        lines = [
            (f"sweep reproduce {study.name}", "the selected trial again; every bit is compared"),
            (f"sweep confirm {study.name}", "the best trials on fresh seeds: which is it?"),
            again,
        ]
    parts = [
        question,
        result,
        *_search(config, trials),
        section("Setting", table(["", ""], setting), searched_table),
        section("How to reproduce it", commands(*lines)),
    ]
    return "\n\n".join(parts)


def _search(config: StudyConfig, trials: Sequence[TrialRecord]) -> list[str]:
    """Say how the search went, once a trial has ended."""
    course = course_of(config, trials)
    if not course.spent:
        return []
    tables = [table(["", ""], course.lines().items())]
    if course.rungs:
        head = ["after epoch", "reached", "went on", f"best {config.signal}", "needed"]
        rungs = [
            (r.epoch, r.reached, r.went_on, fixed(r.best), r.needed_in_words(fixed))
            for r in course.rungs
        ]
        tables.append(table(head, rungs))
    return [section("Search", *tables)]


def range_in_words(axis: Axis) -> str:
    """Return where a hyperparameter was searched, e.g. `1e-5 to 1, logarithmic`."""
    if isinstance(axis, Range):
        scale = ", logarithmic" if axis.log else ""
        return f"{number(axis.low, 6)} to {number(axis.high, 6)}{scale}"
    return ", ".join(number(value, 6) for value in axis.values)


def trial_note(config: StudyConfig, trial: TrialRecord) -> str:
    """Say what a trial asks, what came of it, what it was given and how to repeat it."""
    rows, name = config.data.val_size, config.study
    question = (
        f"**Trial {trial.number} of {plain(name)}**: how well does a linear classifier with "
        f"the {config.loss} loss do on {plain(config.data.name)} in the setting below? The "
        f"study searches for the best {config.objective} after {config.epochs} epochs."
    )
    status = "Training" if trial.status == Status.RUNNING else str(trial.status).capitalize()
    result = f"**{status}** after {trial.epochs} of {config.epochs} epochs"
    if trial.epochs:
        accuracy = percent_with_interval(trial.last("val/accuracy"), rows)
        result += f", with a validation accuracy of {accuracy} (95 % interval for {rows:,} rows)"
    result += f": {plain(trial.reason)}." if trial.reason else "."
    given = {**trial.params, "epochs": config.epochs, "seed": config.training_seed}
    again = ["The trial is training: its result will stand here at its end."]
    if trial.status != Status.RUNNING:
        command = f"sweep reproduce {name} --trial {trial.number}"
        again = [
            commands((command, "exit code 0: it matches; 3: it does not")),
            (
                f"It trains the trial alone, from pass {trial.first_pass} on, and compares its "
                "curves and weights: bit for bit on the same machine with the same versions."
            ),
        ]
    caveat = (
        "This is one training among many: another seed gives a slightly different result, and "
        "whichever trial is selected by its validation result looks better on these rows than it "
        f"is. `sweep confirm {name}` trains the best on seeds that the search never used. "
        "The test rows stay sealed until `sweep test` opens them."
    )
    values = [(name, number(value, 6)) for name, value in given.items()]
    parts = [
        question,
        result,
        section("Setting", table(["hyperparameter", "value"], values)),
        section("How to reproduce it", *again),
        section("Keep in mind", caveat),
    ]
    return "\n\n".join(parts)
