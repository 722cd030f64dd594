"""What the comparison of some studies found, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.report.table import Heading, Row, Table
from sweep.report.words import UNKNOWN, between, number, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.comparison.comparison import Answers, Comparison, Difference
    from sweep.report.table import Cell
    from sweep.statistics.share import Share

SMALLEST_P = 1e-4


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
        "chosen" if marked else "plain",
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
