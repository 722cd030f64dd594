"""The tables of a report and what is said beside them, from its facts to text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from sweep.report.facts import UNKNOWN, between, counted, fixed, listed, number, percent, plain_name
from sweep.space import Range
from sweep.statistics.place import place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.analysis.boundary import Edge
    from sweep.analysis.confirmation import Confirmation, Confirmed
    from sweep.analysis.importance import Importance, Importances
    from sweep.comparison import Answers, Comparison, Difference
    from sweep.report.facts import Measure, StudyFacts, TrialRow
    from sweep.space import Axis, Number
    from sweep.statistics.intervals import Share

TIED = "\N{ALMOST EQUAL TO}"
STAR = "\N{BLACK STAR}"
SEARCH, SEEDS, TEST = LABELS = ("In the search", "On fresh seeds", "On the test rows")
OPEN = "not known yet"
SMALLEST_P = 1e-4
ROUNDING = 1e-9
"""Of a mean that equals a value."""

Kind: TypeAlias = Literal["plain", "selected", "aside"]
Look: TypeAlias = Literal["plain", "dense", "sheet"]
"""Dense tables are long; the cells of a sheet hold words, and may break."""


@dataclass(frozen=True)
class Heading:
    """The heading of a column; numbers stand to the right."""

    words: str
    numeric: bool = True


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
    """A line: its name stands under the first heading, its cells under the others."""

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
    return [_searched(study), _confirmed(study), _tested(study)]


def _searched(study: StudyFacts) -> Step:
    detail = f"trial {study.selected}, one of {counted(study.tally.finished, 'trial')}, on one seed"
    if study.validation is not None and study.measure.is_accuracy:
        detail += f"; {_interval(study.validation, 'validation row')}"
    value = study.in_search(study.selected or 0, study.search)
    unit = "" if study.search is None else f" {study.measure.unit}"
    return Step(SEARCH, value + unit, known=True, detail=detail)


def _confirmed(study: StudyFacts) -> Step:
    found, measure = study.confirmation, study.measure
    if found is None:
        return Step(SEEDS, OPEN, known=False, detail=f"sweep confirm {study.name}")
    detail = f"mean and standard error of {counted(len(found.seeds), 'seed')}"
    optimism = found.optimism(found.winner)
    if math.isfinite(optimism):
        word = "pessimistic" if optimism < -ROUNDING else "optimistic"
        detail += f"; the search was {word} by {measure.gap(abs(optimism))} {measure.gap_unit}"
    mean = measure.mean(found.winner.mean, found.winner.standard_error)
    return Step(SEEDS, mean, known=True, detail=detail)


def _tested(study: StudyFacts) -> Step:
    test = study.test
    if test is None:
        return Step(TEST, OPEN, known=False, detail=f"sweep test {study.name}")
    times = "once" if study.openings == 1 else f"{study.openings} times"
    detail = f"{_interval(test, 'row')}, which this study has opened {times}"
    return Step(TEST, f"{percent(test.value)} %", known=True, detail=detail)


def _interval(share: Share, noun: str) -> str:
    return (
        f"{percent(share.low)} to {percent(share.high)} % is the 95 % interval for "
        f"{counted(share.rows, noun)}"
    )


def overview(studies: Sequence[StudyFacts]) -> Table:
    """Return the steps of several studies side by side."""
    rows = [
        Row(
            study.name,
            [str(study.selected), *(step.value for step in steps(study))]
            if study.selected is not None
            else [UNKNOWN] * 4,
        )
        for study in studies
    ]
    return Table(
        "Studies",
        "The selected trial of each study, by three ways to tell how good it is; each is harder to "
        "fool than the one before.",
        [
            Heading("study", numeric=False),
            Heading("trial"),
            *(Heading(label.lower()) for label in LABELS),
        ],
        rows,
    )


def setting_table(study: StudyFacts) -> Table:
    """Return a line for each hyperparameter."""
    weights = {each.name: each for each in study.importances.ranked}
    headings = ("selected", "searched", "where it lies", "importance, %")
    return Table(
        "Setting",
        "Where the selected values lie is a share of the range on its own scale. Importance is "
        f"each hyperparameter's share in what decides the score after epoch {study.rung}, with "
        "95 % intervals over the trials that reached it.",
        [
            Heading("hyperparameter", numeric=False),
            *(Heading(words, numeric=words == "selected") for words in headings),
        ],
        [
            Row(
                plain_name(name),
                [
                    number(value),
                    searched(study.config.space.axes[name]),
                    _place(study.config.space.axes[name], value),
                    _weight(weights.get(name)),
                ],
            )
            for name, value in study.setting.items()
        ],
    )


def _place(axis: Axis, value: Number) -> Cell:
    place = place_of(axis, value)
    if place.low == place.high:
        return "not searched"
    if place.choices is not None:
        words = f"choice {place.choices.index(place.value) + 1} of {len(place.choices)}"
    else:
        words = f"{percent(place.unit, 0)} %"
    return Meter(place.unit, words)


def _weight(weight: Importance | None) -> str:
    if weight is None:
        return UNKNOWN
    return f"{percent(weight.share, 0)} {between(weight.low, weight.high, 0)}"


def searched(axis: Axis) -> str:
    """Return what was searched, e.g. `1e-5 to 1, log scale`."""
    if isinstance(axis, Range):
        scale = ", log scale" if axis.log else ""
        return f"{number(axis.low, 6)} to {number(axis.high, 6)}{scale}"
    return ", ".join(number(value, 6) for value in axis.values)


def remarks_of(study: StudyFacts) -> list[str]:
    """Return what is to be said of the setting besides the table."""
    boundary = (_at_boundary(edge, study.rung) for edge in study.boundary)
    return [*_importance(study.importances), *boundary]


def _importance(found: Importances) -> list[str]:
    if found.reason:
        return [f"Importance is not told: {found.reason}."]
    if not found.alike:
        return []
    pairs = [listed([plain_name(name) for name in pair]) for pair in found.alike]
    return [f"Not distinguishable by their importance: {'; '.join(pairs)}."]


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
    found, measure = study.confirmation, study.measure
    if found is None:
        return None

    def row(one: Confirmed) -> Row:
        winner, baseline = one is found.winner, one.is_baseline
        kind: Kind = "selected" if winner else "aside" if baseline else "plain"
        return Row(
            "baseline" if baseline else f"{one.trial} {STAR}" if winner else str(one.trial),
            [
                study.in_search(one.trial, one.search),
                measure.value(one.mean, fine=True),
                measure.gap(one.standard_error),
                measure.gap(found.optimism(one)),
                "" if winner else _behind(found, one, measure),
            ],
            kind,
        )

    return Table(
        "Confirmation",
        f"The top trials, trained again on {counted(len(found.seeds), 'fresh seed')} for "
        f"{counted(found.epochs, 'epoch')}: {measure.noun} in {measure.unit}, differences in "
        f"{measure.gap_unit} with 95 % intervals paired by seed. {TIED} marks what is not told "
        "from the winner.",
        [
            Heading("trial", numeric=False),
            *map(Heading, ("search", "mean", "standard error", "optimism", "behind")),
        ],
        [*map(row, found.trials), row(found.baseline)],
    )


def remarks_on_seeds(study: StudyFacts) -> list[str]:
    """Return what the fresh seeds say beyond the table, and what they cannot."""
    found, measure = study.confirmation, study.measure
    if found is None:
        return []
    floor = (
        "Noise floor: two trainings of the baseline, one each on two seeds, differ by up to "
        f"{measure.gap(found.noise_floor)} {measure.gap_unit}, 95 times in 100."
    )
    rows = (
        "The seeds are fresh, the validation rows are those of the search: by how much these are "
        "optimistic, only the test rows tell."
    )
    return [floor, rows] if math.isfinite(found.noise_floor) else [rows]


def _behind(found: Confirmation, one: Confirmed, measure: Measure) -> str:
    if one.diverged:
        return f"diverged on {one.diverged}"
    if found.winner.diverged:
        return UNKNOWN
    mean, low, high = found.behind(one)
    tied = f" {TIED}" if low <= 0 <= high else ""
    return f"{measure.gap(mean)} [{measure.gap(low)}, {measure.gap(high)}]{tied}"


def trials_table(study: StudyFacts) -> Table:
    """Return the trials, the best by the search on top."""
    names = list(study.config.space.axes)
    caption = f"Each trial after its last epoch; {STAR} is the selected one."
    if any(row.level for row in study.trials):
        floor = study.confirmation.noise_floor if study.confirmation is not None else math.nan
        caption += (
            f" {TIED} marks scores within the noise floor of the best, "
            f"{study.measure.gap(floor)} {study.measure.gap_unit}: one training each does not "
            "tell them apart."
        )
    if study.hidden:
        caption += f" The other {study.hidden:,}: sweep show {study.name}."
    measured = ["epochs", "val. accuracy, %", "val. loss, nats", "train. accuracy, %"]
    headings = [
        Heading("trial", numeric=False),
        Heading("status", numeric=False),
        *map(Heading, measured + [plain_name(name) for name in names]),
    ]
    return Table(
        "Trials", caption, headings, [_trial(row, names) for row in study.trials], look="dense"
    )


def _trial(row: TrialRow, names: Sequence[str]) -> Row:
    facts = row.facts
    cells: list[Cell] = [
        facts["status"],
        str(facts["epochs"]),
        percent(facts["val/accuracy"], 2),
        fixed(facts["val/loss"], 4),
        percent(facts["train/accuracy"], 2),
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


def settings_table(studies: Sequence[StudyFacts]) -> Table:
    """Return the config of each study."""
    return _table(
        "Config",
        "The config of each study, from which its trials follow.",
        studies,
        [_config(study) for study in studies],
    )


def _config(study: StudyFacts) -> dict[str, str]:
    config, data = study.config, study.config.data
    return {
        "loss": config.loss,
        "objective": config.objective,
        "trials": str(study.tally),
        "epochs": str(config.epochs),
        "sampler": config.sampler,
        "pruner": config.pruner,
        "seed": str(config.seed),
        "trials side by side": f"{config.slots}, in panels of {config.lanes}",
        **{plain_name(name): searched(axis) for name, axis in config.space.axes.items()},
        "data": data.name,
        "validation rows": f"{data.val_size:,}",
        "split seed": str(data.split_seed),
        "data digest": data.data_digest,
        "split digest": data.split_digest,
    }


def versions_table(studies: Sequence[StudyFacts]) -> Table:
    """Return with what, and on which machine, the selected trials were trained."""
    return _table(
        "Versions",
        "Versions and machine of each selected trial's training, and the commit of the folder in "
        "which its study was begun.",
        studies,
        [_versions(study) for study in studies],
    )


def _versions(study: StudyFacts) -> dict[str, str]:
    git = study.git
    if not git:
        return {**study.environment, "git commit": UNKNOWN}
    changed = ", with changes" if git.get("dirty") == "True" else ""
    return {**study.environment, "git commit": f"{git.get('commit', UNKNOWN)}{changed}"}


def _table(
    name: str, caption: str, studies: Sequence[StudyFacts], columns: Sequence[dict[str, str]]
) -> Table:
    names = dict.fromkeys(name for column in columns for name in column)
    return Table(
        name,
        caption,
        [
            Heading(name.lower(), numeric=False),
            *(Heading(study.name, numeric=False) for study in studies),
        ],
        [Row(plain_name(row), [column.get(row, UNKNOWN) for column in columns]) for row in names],
        look="sheet",
    )


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Return accuracies, paired differences and accuracies per class."""
    return [_accuracies(comparison), _differences(comparison), _classes(comparison)]


def _accuracies(comparison: Comparison) -> Table:
    return Table(
        "Accuracies",
        f"Accuracies in percent; the test rows' are of {comparison.test_rows:,} rows, with 95 % "
        "intervals. The gap is from training to test rows, in points. The calibration error is "
        "the mean distance from the stated probability to the share of right answers, in points.",
        [
            Heading("study", numeric=False),
            *map(Heading, ("trial", "test", "validation", "training", "gap")),
            Heading("calibration error", numeric=False),
        ],
        [_accuracy(each, marked=_is_shown_best(each, comparison)) for each in comparison.answers],
    )


def _is_shown_best(answers: Answers, comparison: Comparison) -> bool:
    """Whether a study is shown to be better than all others; the best number shows nothing."""
    own = (each for each in comparison.differences if answers.study in (each.first, each.second))
    return all(each.better == answers.study for each in own)


def _accuracy(answers: Answers, *, marked: bool) -> Row:
    errors = [f"{each.name} {percent(each.calibration_error)}" for each in answers.outputs]
    return Row(
        answers.study,
        [
            str(answers.trial),
            _with_interval(answers.test),
            percent(answers.val.value),
            percent(answers.train_accuracy),
            percent(answers.gap),
            ", ".join(errors),
        ],
        "selected" if marked else "plain",
    )


def _differences(comparison: Comparison) -> Table:
    together = len(comparison.differences) > 1
    return Table(
        "Paired differences",
        "Paired differences on the test rows, in points: the first study's accuracy less the "
        "second's with the bootstrap's 95 % interval, on how many rows only one of them is right, "
        "and the p value of McNemar's exact test"
        + (" (intervals by Bonferroni, p by Holm, for all pairs together)." if together else "."),
        [
            Heading("pair", numeric=False),
            *map(Heading, ("difference", "only the first", "only the second", "p")),
            Heading("verdict", numeric=False),
        ],
        [_difference(each) for each in comparison.differences],
    )


def _difference(difference: Difference) -> Row:
    paired, better = difference.paired, difference.better
    return Row(
        f"{difference.first} less {difference.second}",
        [
            f"{percent(paired.difference, 2)} {between(paired.low, paired.high, 2)}",
            f"{paired.first_only:,}",
            f"{paired.second_only:,}",
            "< 0.0001" if difference.p_value < SMALLEST_P else number(difference.p_value, 2),
            "no difference shown" if better is None else f"{better} is better",
        ],
    )


def _classes(comparison: Comparison) -> Table:
    answers = comparison.answers
    return Table(
        "Accuracy of each class",
        "Accuracy on the test rows of each class, in percent, with 95 % intervals.",
        [Heading("class", numeric=False), *(Heading(each.study) for each in answers)],
        [
            Row(name, _shares([each.per_class[place] for each in answers]))
            for place, name in enumerate(comparison.class_names)
        ],
        look="dense",
    )


def _shares(shares: Sequence[Share | None]) -> list[Cell]:
    return [UNKNOWN if share is None else _with_interval(share) for share in shares]


def _with_interval(share: Share) -> str:
    return f"{percent(share.value)} {between(share.low, share.high)}"
