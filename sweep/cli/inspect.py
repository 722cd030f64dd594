"""Commands that read the record: list, show, best, space."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.options import (
    json_option,
    loss_option,
    normalise_option,
    open_in_folder,
    space_options,
    study_argument,
)
from sweep.config import LOSSES, NORMALISATIONS, normalisations_of
from sweep.curves import NOUNS
from sweep.formatting import between, fixed, number, percent
from sweep.search_space import BASELINES, NAMES, NORMALISE, read_space
from sweep.terminal import (
    BLOCKS,
    SELECTED,
    TIED,
    BlockScale,
    draws_blocks,
    make_console,
    print_table,
    say,
    shared_scale,
    sparkline,
    table_width,
    tied_mark,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sweep.analysis import HeldOutResult
    from sweep.config import StudyConfig
    from sweep.search import Course, StudyRecord, TrialRecord


@click.command("list")
@json_option
def list_studies(*, as_json: bool) -> None:
    """List the studies of this folder, each with its best trial and the selected one.

    The best is that of the search, with its values; `sweep confirm` may select another.
    """
    from sweep import study as api
    from sweep.analysis import find_selected
    from sweep.search import open_storage, other_studies, summarise
    from sweep.workspace import Workspace

    workspace, rows = Workspace(), []
    for study in api.list_studies(workspace, progress=True):
        selected = find_selected(study.record)
        number_of = None if selected is None else selected.number
        rows.append(summarise(study.record) | {"selected_trial": number_of})
    if as_json:
        click.echo(json.dumps(rows))
    else:
        columns = ("study", "data", "loss", "complete", "pruned", "failed")
        print_table(
            [*columns, "best", "val acc", "val loss", "selected"],
            [
                [
                    *(str(row[name]) for name in columns),
                    _trial(row["best_trial"]),
                    percent(row["val/accuracy"], unit="%"),
                    number(row["val/loss"]),
                    _trial(row["selected_trial"]),
                ]
                for row in rows
            ],
        )
    earlier, foreign = other_studies(open_storage(workspace), workspace)
    if earlier:
        click.echo(f"made by sweep 0.1, which reads them: {', '.join(earlier)}", err=True)
    if foreign:
        click.echo(f"made by other programs, left alone: {', '.join(foreign)}", err=True)


def _trial(trial: int | None) -> str:
    return "-" if trial is None else str(trial)


SORTS = ("result", "trial", "epochs", "val/loss", "train/accuracy", *NAMES, NORMALISE)
STYLES = {"pruned": "dim", "failed": "red", "running": "yellow"}
LEAST_BLOCKS, MOST_BLOCKS = 8, 40
"""Of a curve: with fewer it shows no shape, with more it shows nothing further."""
INTERVAL, EPOCHS, TRAIN = "95 %\ninterval", "epochs", "train\nacc"
GIVE_WAY = (INTERVAL, TRAIN, EPOCHS)
"""Columns that a narrow terminal does without, in this order: a curve shows its epochs, too."""
SETTINGS = ("l2", "learning\nrate", "decay\nperiod", "batch\nsize", "flip\nprob")
"""Headings of the hyperparameters, over two lines to save width."""


@click.command()
@study_argument
@click.option(
    "--sort",
    type=click.Choice(SORTS),
    default="result",
    show_default=True,
    help="Column to sort by; result puts complete trials first, then the longest, the best first.",
)
@click.option("--reverse", is_flag=True, help="Reverse the order.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Trials to show, from the first in this order; --json has all.",
)
@click.option("--reasons", is_flag=True, help="Print why each trial was pruned.")
@json_option
def show(
    study_name: str, sort: str, *, reverse: bool, top: int, reasons: bool, as_json: bool
) -> None:
    """Show the trials of STUDY, each with the curve of the objective.

    The numbers of a trial are those after its last epoch: compare a pruned trial with others of as
    many epochs only. Below them stands how the search went: how many trials reached each rung and
    went on, and the least and the most that pruned ones would have needed. All curves have one
    scale. A narrow terminal shows no intervals, no accuracy
    on the training rows and no epochs, in this order; a pipe gets lines of up to 200 characters.
    """
    from sweep.analysis import boundary_lines, find_selected, grounds
    from sweep.search import course_of, describe, ranked

    study = open_in_folder(study_name).record
    trials, selected = study.trials(), find_selected(study)
    course = course_of(study.config, trials)
    rows = [describe(trial) for trial in ranked(study.config, trials)]
    if sort != "result":
        rows.sort(key=lambda row: (row.get(sort) is None, row.get(sort)))
    if reverse:
        rows.reverse()
    marks, boundary = _marks(study, trials, selected), boundary_lines(study)
    if as_json:
        facts = {
            "config": study.config.record(),
            "selected_trial": None if selected is None else selected.number,
            "grounds": grounds(study),
            "not_distinguishable": [trial for trial, mark in marks.items() if mark == TIED],
            "search": course.record(),
            "boundary": boundary,
            "trials": rows,
        }
        click.echo(json.dumps(facts))
        return
    curves = {trial.number: trial.curves.get(study.config.metric, []) for trial in trials}
    _print_trials(study, rows[:top], rows[top:], marks, curves, reasons=reasons)
    _print_course(study.config, course)
    for line in boundary:
        click.echo(line)


def _marks(
    study: StudyRecord, trials: Sequence[TrialRecord], selected: TrialRecord | None
) -> dict[int, str]:
    """Return the mark of the selected trial, and of those that the noise floor cannot tell from it.

    The floor is known once the study is confirmed.
    """
    from sweep.analysis import confirmation_of
    from sweep.search import Status, complete

    if selected is None:
        return {}
    marks, confirmation = {selected.number: SELECTED}, confirmation_of(study)
    if confirmation is not None and selected.status == Status.COMPLETE:
        metric = study.config.metric
        value = selected.last(metric)
        near = (
            trial.number
            for trial in complete(trials)
            if abs(trial.last(metric) - value) < confirmation.noise_floor
        )
        marks = dict.fromkeys(near, TIED) | marks
    return marks


def _print_trials(
    study: StudyRecord,
    rows: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
    marks: Mapping[int, str],
    curves: Mapping[int, Sequence[float]],
    *,
    reasons: bool,
) -> None:
    """Print the trials of `rows`, how many `others` there are, and what the marks mean."""
    from sweep.analysis import grounds

    config = study.config
    written = {SELECTED: SELECTED, TIED: tied_mark()}
    table = trial_table(
        rows,
        {trial: written[mark] for trial, mark in marks.items()},
        curves,
        validation_rows=config.data.val_size,
        epochs=config.epochs,
        width=make_console().width,
        blocks=draws_blocks(),
    )
    print_table(
        list(table.columns),
        table.rows,
        title=f"{study.name}: {config.loss} on {_data_in_words(config)}, best by "
        f"{config.objective} after {config.epochs} epochs",
        styles=[
            "bold" if marks.get(row["trial"]) == SELECTED else STYLES.get(row["status"], "")
            for row in rows
        ],
    )
    if others:
        counts = Counter(row["status"] for row in others)
        listed = ", ".join(f"{count} {status}" for status, count in counts.items())
        every = len(rows) + len(others)
        say(
            f"not shown: {len(others)} of {every} trials ({listed}); --top {every} shows all, "
            "--json has them"
        )
    for row in rows:
        if row["reason"] and (reasons or row["status"] == "failed"):
            say(f"trial {row['trial']} {row['status']}: {row['reason']}")
    for trial, mark in marks.items():
        if mark == SELECTED:
            say(f"{SELECTED} selected: trial {trial}, {grounds(study)}")
    if TIED in marks.values():
        say(f"{tied_mark()} nearer to it than the noise floor of one training each")
    for line in table.legend(config.metric, config.data.val_size):
        say(line)


def _data_in_words(config: StudyConfig) -> str:
    repeats = config.data.repeats_in_words if config.data.few_shot else ""
    return config.data.name + (f", {repeats}" if repeats else "")


def _print_course(config: StudyConfig, course: Course) -> None:
    """Print which trials reached which rung, what the search spent, and what it gained."""
    if course.rungs:
        click.echo()
        print_table(
            ["after epoch", "reached", "went on", "best there", "needed"],
            [
                [
                    *(str(each) for each in (rung.epoch, rung.reached, rung.went_on)),
                    fixed(rung.best),
                    rung.needed_in_words(fixed),
                ]
                for rung in course.rungs
            ],
            title=f"the search: {config.sampler}, {config.pruner} with eta {config.eta}; "
            f"{config.signal} at each rung",
        )
    for name, words in course.lines().items():
        click.echo(f"{name}: {words}")


@dataclass(frozen=True, kw_only=True)
class TrialTable:
    """Columns that fit, and what has to be said below them.

    Attributes
    ----------
    columns
        Cells by heading, trial by trial.
    scale
        Of the curves; None where they are not shown.

    """

    columns: Mapping[str, Sequence[str]]
    scale: BlockScale | None

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells of each trial."""
        return list(zip(*self.columns.values(), strict=True))

    def legend(self, metric: str, rows: int) -> list[str]:
        """Return in lines how the curves and the intervals are to be read."""
        lines = []
        if self.scale is not None:
            low, high = number(self.scale.low), number(self.scale.high)
            ends = f"{BLOCKS[0]} {low} to {BLOCKS[-1]} {high}"
            lines.append(f"curve: {metric} by epoch, from {ends}, or beyond")
        if INTERVAL in self.columns:
            lines.append(
                f"95 % interval: of each accuracy by itself, on {rows:,} validation rows; the best "
                "of many is optimistic"
            )
        else:
            error = 100 * (0.25 / rows) ** 0.5
            lines.append(
                f"One standard error of an accuracy near 50 % on {rows:,} rows is "
                f"{error:.1f} points."
            )
        return lines


def trial_table(
    trials: Sequence[Mapping[str, Any]],
    marks: Mapping[int, str],
    curves: Mapping[int, Sequence[float]],
    *,
    validation_rows: int,
    epochs: int,
    width: int,
    blocks: bool,
) -> TrialTable:
    """Lay out the trials that are shown, each as `sweep.search.trials.describe` has it.

    Parameters
    ----------
    trials
        In the order of the rows.
    marks
        Of trials, by number.
    curves
        Of all trials of the study, by number: they share one scale.
    validation_rows
        On which the accuracies were measured.
    epochs
        Of a trial that is trained to its end.
    width
        Columns of the terminal.
    blocks
        Whether it can show curves.

    """
    columns = _columns(trials, marks, validation_rows)
    least = max(len("curve"), min(LEAST_BLOCKS, epochs))
    fitting = _fitting(columns, width - 1 - least)
    if not blocks or not any(curves.values()) or table_width(fitting) > width - 1 - least:
        return TrialTable(columns=_fitting(columns, width), scale=None)
    room = min(MOST_BLOCKS, width - 1 - table_width(fitting))
    scale = shared_scale(curves.values())
    drawn = [
        sparkline(curves.get(trial["trial"], ()), scale, epochs=epochs, width=room)
        for trial in trials
    ]
    return TrialTable(columns={**fitting, "curve": drawn}, scale=scale)


def _columns(
    trials: Sequence[Mapping[str, Any]], marks: Mapping[int, str], validation_rows: int
) -> dict[str, list[str]]:
    """Return the cells of each column, by its heading."""
    return {
        "trial": [marks.get(trial["trial"], "") + str(trial["trial"]) for trial in trials],
        "status": [trial["status"] for trial in trials],
        EPOCHS: [str(trial["epochs"]) for trial in trials],
        "val\nacc": [percent(trial["val/accuracy"], unit="%") for trial in trials],
        INTERVAL: [_interval(trial["val/accuracy"], validation_rows) for trial in trials],
        "val\nloss": [number(trial["val/loss"]) for trial in trials],
        TRAIN: [percent(trial["train/accuracy"], unit="%") for trial in trials],
        **{
            heading: [number(trial.get(name)) for trial in trials]
            for heading, name in zip(SETTINGS, NAMES, strict=True)
        },
        **(
            {NORMALISE: [trial[NORMALISE] for trial in trials]}
            if any(NORMALISE in trial for trial in trials)
            else {}
        ),
    }


def _fitting(columns: Mapping[str, Sequence[str]], width: int) -> dict[str, Sequence[str]]:
    """Return the columns without as many as have to give way."""
    kept = dict(columns)
    for heading in GIVE_WAY:
        if table_width(kept) > width:
            del kept[heading]
    return kept


def _interval(accuracy: float | None, rows: int) -> str:
    from sweep.statistics import accuracy_interval

    if accuracy is None:
        return "-"
    low, high = accuracy_interval(accuracy, rows)
    return between(low, high)


@click.command()
@study_argument
@json_option
def best(study_name: str, *, as_json: bool) -> None:
    """Show the selected trial of STUDY.

    That is the winner of `sweep confirm` or, until that ran, the best by the objective; ties go
    to the lower validation loss.
    """
    from sweep.analysis import grounds
    from sweep.search import describe
    from sweep.statistics import accuracy_interval

    study = open_in_folder(study_name)
    trial = study.best
    if as_json:
        facts = describe(trial)
        rows = study.config.data.val_size
        facts["val/accuracy_interval"] = accuracy_interval(facts["val/accuracy"], rows)
        facts["grounds"] = grounds(study.record)
        facts["metrics"] = trial.metrics
        click.echo(json.dumps({"study": study.name, **facts}))
        return
    for line in best_lines(study.record, trial):
        click.echo(line)
    click.echo(f"next: {next_command(study.record)}")


def best_lines(study: StudyRecord, trial: TrialRecord) -> list[str]:
    """Return in lines what is selected, and how sure its value is."""
    from sweep.analysis import confirmation_of, grounds
    from sweep.statistics import percent_with_interval

    rows, confirmation = study.config.data.val_size, confirmation_of(study)
    if confirmation is None:
        value = f"validation accuracy {percent_with_interval(trial.last('val/accuracy'), rows)}"
        metric = study.config.metric
        if metric != "val/accuracy":
            value = f"{NOUNS[metric]} {_with_interval(trial, metric)}, {value}"
        repeats = study.config.data.repeats_in_words
        sure = f"95 % interval on {rows:,} rows"
        if study.config.data.few_shot:
            sd = percent(trial.last("val/accuracy_sd"))
            sure += f"; the mean of {repeats}, +- {sd} between them"
        elif repeats:
            sure += f" in {repeats}"
        sure += f"; optimistic: the best of {len(study.trials())}"
    else:
        winner = confirmation.winner
        value = f"{confirmation.metric} {winner.mean:.4f} +- {winner.standard_error:.4f}"
        searched = "pruned" if math.isnan(winner.search) else f"{winner.search:.4f}"
        sure = f"{grounds(study)}: mean and standard error; {searched} in the search"
    setting = ", ".join(
        f"{name} {value if isinstance(value, str) else f'{value:.4g}'}"
        for name, value in trial.params.items()
    )
    lines = [f"best: trial {trial.number}, {value}", f"      {setting}", f"sure: {sure}"]
    others = {
        metric: _with_interval(trial, metric)
        for metric in NOUNS
        if metric not in ("val/accuracy", study.config.metric) and _at_end(metric) in trial.metrics
    }
    return [*lines, *also_lines(others)]


def also_lines(values: Mapping[str, str]) -> list[str]:
    """Return further values in lines, by the names of validation metrics."""
    starts = ["also: ", *["      "] * len(values)]
    named = (f"{NOUNS[name].replace('validation ', '')} {text}" for name, text in values.items())
    return [f"{start}{line}" for start, line in zip(starts, named, strict=False)]


def held_out_lines(result: HeldOutResult) -> list[str]:
    """Return the further metrics of the test rows in lines."""
    further = {f"val/{name}": each for name, each in result.further.items()}
    return also_lines({name: _in_words(name, *further[name]) for name in NOUNS if name in further})


def held_out_accuracy(result: HeldOutResult) -> str:
    """Return e.g. `41.3 % [40.3, 42.3]`; of draws with their standard deviation."""
    return _in_words("test/accuracy", *result.estimate)


def _at_end(metric: str) -> str:
    """Return the name of what a trial's end came to by an objective."""
    from sweep.search import AT_END

    return metric.replace("val/", AT_END)


def _with_interval(trial: TrialRecord, metric: str) -> str:
    """Return e.g. `95.9 % [93.0, 98.1]`, a loss in nats."""
    name, value = _at_end(metric), trial.last(metric)
    value = trial.metrics.get(name, math.nan) if math.isnan(value) else value
    low, high, sd = (trial.metrics.get(f"{name}_{end}") for end in ("low", "high", "sd"))
    return _in_words(metric, value, low, high, sd)


def _in_words(
    metric: str, value: float, low: float | None, high: float | None, sd: float | None = None
) -> str:
    is_loss = metric.endswith("loss")
    spread = "" if sd is None else f", +- {fixed(sd) if is_loss else percent(sd)} between draws"
    if is_loss:
        return fixed(value) + ("" if low is None else f" [{fixed(low)}, {fixed(high)}]{spread}")
    return percent(value, unit=" %") + ("" if low is None else f" {between(low, high)}{spread}")


def next_command(study: StudyRecord) -> str:
    """Return the command that makes the answer surer, or one possible."""
    from sweep.analysis import confirmation_of, find_selected

    if find_selected(study) is None:
        return f"sweep run {study.name}"
    return f"sweep {'confirm' if confirmation_of(study) is None else 'test'} {study.name}"


@click.command()
@loss_option
@space_options
@normalise_option
@json_option
def space(
    *,
    loss: str | None,
    space_file: Path | None,
    overrides: tuple[str, ...],
    normalise: str | None,
    as_json: bool,
) -> None:
    """Show the search space that a new study would have with the same options.

    And what its first wave begins with: settings that were good on other data sets, in terms that
    mean the same on all data.
    """
    from sweep.search import portfolio

    loss = loss or LOSSES[0]
    ways = normalisations_of(normalise or NORMALISATIONS[0])
    searched = read_space(loss, space_file, overrides).with_normalisations(ways)
    baseline, advised = searched.clip(BASELINES[loss]), portfolio()
    if as_json:
        wave = {"data": advised.data, "settings": [asdict(each) for each in advised.settings]}
        shown = {"loss": loss, "space": searched.record(), "trial_0": baseline}
        click.echo(json.dumps(shown | {"first_wave": wave}))
        return
    print_table(
        ["hyperparameter", "values", "trial 0"],
        [[name, str(axis), number(baseline[name], 6)] for name, axis in searched.axes.items()],
        title=f"{loss} search space",
    )
    click.echo()
    print_table(
        ["log10 descent", "l2", "decay period", "batch size", "flips"],
        [
            [
                f"{each.descent:g}",
                f"{each.l2:g}",
                f"{100 * each.decay:g} %",
                number(searched.axes["batch_size"].clip(each.batch_size)),
                number(searched.axes["flip_probability"].clip(each.flip_probability)),
            ]
            for each in advised.settings
        ],
        title="the first trials after trial 0; the space clips what rows and epochs make of them",
    )
    click.echo(
        f"learned on {', '.join(advised.data)} by `python benchmarks/portfolio.py learn`\n"
        "descent: learning rate x steps x the square root of the rows' largest eigenvalue\n"
        "l2: of softmax, bce has a K-th of it; decay period: as a share of the epochs"
    )
