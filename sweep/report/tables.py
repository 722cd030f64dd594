"""The tables of a report and the remarks beside them, from its facts to text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sweep.formatting import (
    UNKNOWN,
    between,
    counted,
    fixed,
    listed,
    number,
    p_value,
    percent,
    plain_name,
)
from sweep.search import needed, range_in_words
from sweep.search_space import Choices, Words
from sweep.statistics import Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.analysis import Answers, Comparison, Confirmation, Confirmed, Difference, Edge
    from sweep.report.facts import Measure, StudyFacts, TrialRow
    from sweep.search_space import Axis

TIED = "\N{ALMOST EQUAL TO}"
STAR = "\N{BLACK STAR}"
SEARCH, SEEDS, TEST = LABELS = ("In the search", "On fresh seeds", "On the test rows")
OPEN = "not known yet"
ROUNDING = 1e-9
"""Of a mean that equals a value."""

Kind: TypeAlias = Literal["plain", "selected", "aside"]
Look: TypeAlias = Literal["plain", "dense", "sheet"]
"""Dense tables are long; the cells of a sheet hold words, and may break."""


@dataclass(frozen=True)
class Heading:
    """The heading of a column; numbers are aligned to the right."""

    words: str
    numeric: bool = True


def _words(*headings: str) -> list[Heading]:
    """Return the headings of columns that hold words."""
    return [Heading(heading, numeric=False) for heading in headings]


def _numbers(*headings: str) -> list[Heading]:
    return [Heading(heading) for heading in headings]


@dataclass(frozen=True)
class Meter:
    """A cell that says where a value lies in its range, as a share of it from the low end."""

    share: float
    words: str

    def __str__(self) -> str:
        return self.words


Cell: TypeAlias = str | Meter


@dataclass(frozen=True)
class Row:
    """A line: its name is under the first heading, its cells under the others."""

    name: str
    cells: list[Cell]
    kind: Kind = "plain"


@dataclass(frozen=True)
class Table:
    """Rows under headings; the name says what it is, the caption how to read it."""

    name: str
    caption: str
    headings: list[Heading]
    rows: list[Row]
    look: Look = "plain"


@dataclass(frozen=True)
class Step:
    """How good the selected setting is, by one of the ways to tell; each is harder to fool."""

    label: str
    value: str
    known: bool
    detail: str


def steps(study: StudyFacts) -> list[Step]:
    """Return what the search, fresh seeds and the test rows say of the selected setting."""
    return [_in_search(study), _confirmed(study), _tested(study)]


def _in_search(study: StudyFacts) -> Step:
    number = 0 if study.selected is None else study.selected.number
    detail = f"trial {number}, one of {counted(study.tally.finished, 'trial')}, on one seed"
    value = study.in_search(number, study.search)
    if study.search is not None:
        value += f" {study.measure.unit}"
        if study.measure.is_share:
            rows = study.config.data.val_size
            detail += f"; {_interval(Share.of(round(study.search * rows), rows), 'validation row')}"
            if repeats := study.config.data.repeats_in_words:
                detail += (
                    f"; the mean of {repeats}" if study.config.data.draws else f" in {repeats}"
                )
    return Step(SEARCH, value, known=True, detail=detail)


def _confirmed(study: StudyFacts) -> Step:
    confirmation, measure = study.confirmation, study.measure
    if confirmation is None:
        return Step(SEEDS, OPEN, known=False, detail=f"sweep confirm {study.name}")
    winner = confirmation.winner
    detail = f"mean and standard error of {counted(len(confirmation.seeds), 'seed')}"
    optimism = confirmation.optimism(winner)
    if math.isfinite(optimism):
        word = "pessimistic" if optimism < -ROUNDING else "optimistic"
        detail += f"; the search was {word} by {measure.fine(abs(optimism))} {measure.gap_unit}"
    mean = measure.mean(winner.mean, winner.standard_error)
    return Step(SEEDS, mean, known=True, detail=detail)


def _tested(study: StudyFacts) -> Step:
    test = study.test
    if test is None:
        return Step(TEST, OPEN, known=False, detail=f"sweep test {study.name}")
    times = "once" if study.openings == 1 else f"{study.openings} times"
    detail = f"{_interval(test, 'row')}, which this study has opened {times}"
    if study.refit:
        detail += "; the setting trained again on training and validation rows"
    if study.test_sd is not None:
        repeats = study.config.data.repeats_in_words
        detail += f"; the mean of {repeats}, with a standard deviation of {percent(study.test_sd)}"
    return Step(TEST, f"{percent(test.value)} %", known=True, detail=detail)


def _interval(share: Share, noun: str) -> str:
    return (
        f"{percent(share.low)} to {percent(share.high)} % is the 95 % interval for "
        f"{counted(share.rows, noun)}"
    )


def overview(studies: Sequence[StudyFacts]) -> Table:
    """Return the steps of several studies side by side."""

    def cells(study: StudyFacts) -> list[Cell]:
        if study.selected is None:
            return [UNKNOWN] * 4
        return [str(study.selected.number), *(step.value for step in steps(study))]

    return Table(
        "Studies",
        "The selected trial of each study, by three ways to tell how good it is; each is harder to "
        "fool than the one before.",
        [*_words("study"), *_numbers("trial", *(label.lower() for label in LABELS))],
        [Row(study.name, cells(study)) for study in studies],
    )


def setting_table(study: StudyFacts) -> Table:
    """Return a line for each hyperparameter."""
    axes = study.config.space.axes
    importance = {
        each.name: f"{percent(each.share, 0)} {between(each.low, each.high, 0)}"
        for each in study.importances.ranked
    }
    return Table(
        "Setting",
        "Where the selected values lie is a share of the range on its own scale. Importance is "
        f"each hyperparameter's share in what decides the score after epoch {study.rung}, with "
        "95 % intervals over the trials that reached it.",
        [
            *_words("hyperparameter"),
            *_numbers("selected"),
            *_words("searched", "where it lies", "importance, %"),
        ],
        [
            Row(
                plain_name(name),
                [
                    number(value),
                    range_in_words(axes[name]),
                    _position(axes[name], value),
                    importance.get(name, UNKNOWN),
                ],
            )
            for name, value in study.setting.items()
        ],
    )


def _position(axis: Axis, value: Any) -> Cell:
    """Return where a value lies on the axis of its hyperparameter."""
    if isinstance(axis, Words):
        return f"one of {len(axis.values)}"
    if isinstance(axis, Choices):
        choices = sorted(axis.values)
        if len(choices) == 1:
            return "not searched"
        i = choices.index(value)
        return Meter(i / (len(choices) - 1), f"choice {i + 1} of {len(choices)}")
    if axis.low == axis.high:
        return "not searched"
    low, high, at = (math.log(x) if axis.log else x for x in (axis.low, axis.high, value))
    share = (at - low) / (high - low)
    return Meter(share, f"{percent(share, 0)} %")


def remarks_of(study: StudyFacts) -> list[str]:
    """Return what the table does not say of the setting."""
    remarks = []
    if study.importances.reason:
        remarks.append(f"Importance is not known: {study.importances.reason}.")
    elif study.importances.alike:
        pairs = [listed([plain_name(name) for name in pair]) for pair in study.importances.alike]
        remarks.append(f"Not distinguishable by their importance: {'; '.join(pairs)}.")
    return [*remarks, *(_at_boundary(edge, study.rung) for edge in study.boundary)]


def _at_boundary(edge: Edge, rung: int) -> str:
    best = "the best trial of the search, " if edge.best_at_bound else ""
    return (
        f"At a boundary: the {edge.side} end of the {plain_name(edge.name)}, "
        f"{number(edge.bound, 6)}. There lie {best}{edge.top_there} of the top {edge.top} and "
        f"{edge.all_there} of all {counted(edge.compared, 'trial')}, compared after epoch {rung}; "
        "better may lie beyond."
    )


def confirmation_table(study: StudyFacts) -> Table | None:
    """Return what fresh seeds made of the top trials; None where they were not confirmed."""
    confirmation, measure = study.confirmation, study.measure
    if confirmation is None:
        return None

    def row(trial: Confirmed) -> Row:
        winner = trial is confirmation.winner
        name = "baseline" if trial.is_baseline else str(trial.trial)
        return Row(
            f"{name} {STAR}" if winner else name,
            [
                study.in_search(trial.trial, trial.search),
                measure.fine(trial.mean),
                measure.fine(trial.standard_error),
                measure.fine(confirmation.optimism(trial)),
                "" if winner else _behind(confirmation, trial, measure),
            ],
            "selected" if winner else "aside" if trial.is_baseline else "plain",
        )

    return Table(
        "Confirmation",
        f"The top trials, trained again on {counted(len(confirmation.seeds), 'fresh seed')} for "
        f"{counted(confirmation.epochs, 'epoch')}: {measure.noun} in {measure.unit}, differences "
        f"in {measure.gap_unit} with 95 % intervals paired by seed. {TIED} marks what is not told "
        "from the winner.",
        [*_words("trial"), *_numbers("search", "mean", "standard error", "optimism", "behind")],
        [*map(row, confirmation.trials), row(confirmation.baseline)],
    )


def remarks_on_seeds(study: StudyFacts) -> list[str]:
    """Return what the fresh seeds say beyond the table, and what they cannot."""
    if study.confirmation is None:
        return []
    measure, noise = study.measure, study.confirmation.noise_floor
    rows = (
        "The seeds are fresh, the validation rows are those of the search: by how much these are "
        "optimistic, only the test rows tell."
    )
    if not math.isfinite(noise):
        return [rows]
    floor = (
        "Noise floor: two trainings of the baseline, one each on two seeds, differ by up to "
        f"{measure.fine(noise)} {measure.gap_unit}, 95 times in 100."
    )
    return [floor, rows]


def _behind(confirmation: Confirmation, trial: Confirmed, measure: Measure) -> str:
    if trial.diverged:
        return f"diverged on {trial.diverged}"
    if confirmation.winner.diverged:
        return UNKNOWN
    mean, low, high = confirmation.behind(trial)
    tied = f" {TIED}" if low <= 0 <= high else ""
    return f"{measure.fine(mean)} [{measure.fine(low)}, {measure.fine(high)}]{tied}"


def rungs_table(study: StudyFacts) -> Table | None:
    """Return how many trials reached each rung and went on; None where there is no rung."""
    config, measure = study.config, study.measure
    if not study.course.rungs:
        return None
    return Table(
        "Rungs",
        f"Where trials were compared by {config.pruner} (eta {config.eta}): {measure.noun} in "
        f"{measure.unit} by the mean of an epoch's weights, the best there, and the least and the "
        "most that a pruned trial would have needed to go on. Trial 0 always goes on.",
        [*_words("after epoch"), *_numbers("reached", "went on", "best there", "needed")],
        [
            Row(
                str(rung.epoch),
                [
                    str(rung.reached),
                    str(rung.went_on),
                    measure.value(rung.best),
                    rung.needed_in_words(measure.value),
                ],
            )
            for rung in study.course.rungs
        ],
    )


def trials_table(study: StudyFacts) -> Table:
    """Return the trials, the best by the search on top."""
    names = list(study.config.space.axes)
    caption = f"Each trial after its last epoch; {STAR} is the selected one."
    if study.tally.pruned:
        caption += (
            f" To go on, a pruned one would have needed a {study.measure.noun} of what stands "
            "there, by the mean of the epoch's weights where trials are halved; of equals the "
            "lower validation loss goes on."
        )
    if study.confirmation is not None and any(row.level for row in study.trials):
        floor = study.measure.fine(study.confirmation.noise_floor)
        caption += (
            f" {TIED} marks scores within the noise floor of the best, "
            f"{floor} {study.measure.gap_unit}: one training each does not tell them apart."
        )
    if study.hidden:
        caption += f" The other {study.hidden:,}: sweep show {study.name}."
    measured = ("epochs", "val. accuracy, %", "val. loss, nats", "train. accuracy, %")
    return Table(
        "Trials",
        caption,
        [
            *_words("trial", "status"),
            *_numbers(*measured, "needed", *map(plain_name, names)),
        ],
        [_trial(row, names, study.measure) for row in study.trials],
        look="dense",
    )


def _trial(row: TrialRow, names: Sequence[str], measure: Measure) -> Row:
    facts = row.facts
    cells: list[Cell] = [
        facts["status"],
        str(facts["epochs"]),
        percent(facts["val/accuracy"], 2),
        fixed(facts["val/loss"], 4),
        percent(facts["train/accuracy"], 2),
        measure.fine(needed(facts["reason"])),
        *(number(facts.get(name)) for name in names),
    ]
    mark = STAR if row.selected else TIED if row.level else ""
    whole = facts["status"] == "complete"
    kind: Kind = "selected" if row.selected else "plain" if whole else "aside"
    return Row(f"{facts['trial']} {mark}".strip(), cells, kind)


def failures_of(study: StudyFacts) -> list[str]:
    """Return why each failed trial of the table failed."""
    return [
        f"Trial {row.facts['trial']}: {row.facts['reason']}"
        for row in study.trials
        if row.facts["status"] == "failed"
    ]


def config_table(studies: Sequence[StudyFacts]) -> Table:
    """Return the config of each study."""
    caption = "The config of each study, from which its trials follow."
    return _sheet("Config", caption, studies, [_config(study) for study in studies])


def _config(study: StudyFacts) -> dict[str, str]:
    config, data = study.config, study.config.data
    return {
        "loss": config.loss,
        "objective": config.objective,
        "trials": str(study.tally),
        "epochs": str(config.epochs),
        "class weight": config.class_weight,
        "sampler": config.sampler,
        "pruner": config.pruner,
        "seed": str(config.seed),
        "trials side by side": f"{config.slots}, in panels of {config.lanes}",
        **{plain_name(name): range_in_words(axis) for name, axis in config.space.axes.items()},
        "data": data.name,
        "validation rows": ", ".join(filter(None, (f"{data.val_size:,}", data.repeats_in_words))),
        "split seed": str(data.split_seed),
        "normalise": data.normalise,
        "data digest": data.data_digest,
        "split digest": data.split_digest,
    }


def versions_table(studies: Sequence[StudyFacts]) -> Table:
    """Return with what, and on which machine, the selected trials were trained."""
    caption = (
        "Versions and machine of each selected trial's training, and the commit of the folder in "
        "which its study was begun."
    )
    return _sheet("Versions", caption, studies, [_versions(study) for study in studies])


def _versions(study: StudyFacts) -> dict[str, str]:
    changed = ", with changes" if study.git.get("dirty") == "True" else ""
    commit = f"{study.git.get('commit', UNKNOWN)}{changed}"
    environment = {} if study.selected is None else study.selected.environment
    return {**environment, "git commit": commit}


def _sheet(
    name: str, caption: str, studies: Sequence[StudyFacts], columns: Sequence[dict[str, str]]
) -> Table:
    names = dict.fromkeys(name for column in columns for name in column)
    return Table(
        name,
        caption,
        _words(name.lower(), *(study.name for study in studies)),
        [Row(plain_name(row), [column.get(row, UNKNOWN) for column in columns]) for row in names],
        look="sheet",
    )


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Return accuracies and paired differences; those of each class are a figure."""
    accuracies = Table(
        "Accuracies",
        f"Accuracies in percent; the test rows' are of {comparison.test_rows:,} rows, with 95 % "
        "intervals. The gap is from training to test rows, in points. The calibration error is "
        "the mean distance from the stated probability to the share of right answers, in points.",
        [
            *_words("study"),
            *_numbers("trial", "test", "validation", "training", "gap"),
            *_words("calibration error"),
        ],
        [_accuracy(each, marked=_is_shown_best(each, comparison)) for each in comparison.answers],
    )
    together = len(comparison.differences) > 1
    differences = Table(
        "Paired differences",
        "Paired differences on the test rows, in points: the first study's accuracy less the "
        "second's with the bootstrap's 95 % interval, on how many rows only one of them is right, "
        "and the p value of McNemar's exact test"
        + (" (intervals by Bonferroni, p by Holm, for all pairs together)." if together else "."),
        [
            *_words("pair"),
            *_numbers("difference", "only the first", "only the second", "p"),
            *_words("verdict"),
        ],
        [_difference(each) for each in comparison.differences],
    )
    return [accuracies, differences]


def _is_shown_best(answers: Answers, comparison: Comparison) -> bool:
    """Whether a study is shown to be better than all others; the best number shows nothing."""
    own = (each for each in comparison.differences if answers.study in (each.first, each.second))
    return all(each.better == answers.study for each in own)


def _accuracy(answers: Answers, *, marked: bool) -> Row:
    test = answers.test
    errors = [f"{each.name} {percent(each.calibration_error)}" for each in answers.outputs]
    return Row(
        answers.study,
        [
            str(answers.trial),
            f"{percent(test.value)} {between(test.low, test.high)}",
            percent(answers.val.value),
            percent(answers.train_accuracy),
            percent(answers.gap),
            ", ".join(errors),
        ],
        "selected" if marked else "plain",
    )


def _difference(difference: Difference) -> Row:
    paired, better = difference.paired, difference.better
    return Row(
        f"{difference.first} less {difference.second}",
        [
            f"{percent(paired.difference, 2)} {between(paired.low, paired.high, 2)}",
            f"{paired.first_only:,}",
            f"{paired.second_only:,}",
            p_value(difference.p_value),
            "no difference shown" if better is None else f"{better} is better",
        ],
    )
