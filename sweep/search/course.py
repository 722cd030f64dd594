"""How a search went: which trials reached which rung, what it spent, what it gained on trial 0."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.formatting import UNKNOWN, counted
from sweep.search.halving import BASELINE, needed, rungs_of
from sweep.search.trials import Status, TrialRecord, best_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sweep.config import StudyConfig


@dataclass(frozen=True)
class Rung:
    """An epoch after which trials were compared.

    Attributes
    ----------
    reached, went_on : how many trials.
    best : the best value there; None where nobody reached it.
    needed : the least and the most that a pruned trial would have needed; None where none was.
    """

    epoch: int
    reached: int
    went_on: int
    best: float | None
    needed: tuple[float, float] | None

    def needed_in_words(self, words: Callable[[float], str]) -> str:
        """Return e.g. `0.8533 to 0.9367`, with numbers as `words` writes them."""
        if self.needed is None:
            return UNKNOWN
        return " to ".join(dict.fromkeys(words(value) for value in self.needed))


@dataclass(frozen=True, kw_only=True)
class Course:
    """The course of a study's search, of the trials that have ended.

    Attributes
    ----------
    metric : the objective's name.
    rungs : in order; none where the pruner knows none.
    trials : how many have begun.
    running : how many of them have not ended: rungs do not count them.
    spent, in_full : trial-epochs until the last trial ended, and of as many trials without pruning.
    best_so_far : after each pass in which trials were compared or complete, the trial-epochs spent
        and the best of those that were still in the search, by their values at their last rung.
    best, baseline : the best complete trial, and the study's first, which has the report's own
        setting; None where it is not complete.
    lead : how much better the best is than that; None where it is not known.
    """

    metric: str
    rungs: list[Rung]
    trials: int
    running: int
    spent: int
    in_full: int
    best_so_far: list[tuple[int, float]]
    best: TrialRecord | None
    baseline: TrialRecord | None
    lead: float | None

    def lines(self) -> dict[str, str]:
        """Return what it spent and gained in words, each under its name."""
        spent = f"{self.spent:,} trial-epochs"
        if self.running:
            spent += f"; {counted(self.running, 'trial')} in training, which no rung counts yet"
        elif self.spent < self.in_full:
            times = f"{self.in_full / max(1, self.spent):.1f} times as many"
            spent += f"; {counted(self.trials, 'trial')} in full are {self.in_full:,}, {times}"
        return {"spent": spent, "lead over trial 0": self._lead()}

    def _lead(self) -> str:
        best, baseline = self.best, self.baseline
        if best is None or baseline is None or self.lead is None:
            return "not known, trial 0 is not complete"
        if best is baseline:
            return "none, it is the best"
        values = [f"{trial.last(self.metric):.4f}" for trial in (best, baseline)]
        return (
            f"{self.lead:.4f} ({self.metric} {values[0]} of trial {best.number}, {values[1]} of "
            f"trial {baseline.number})"
        )

    def record(self) -> dict[str, Any]:
        """Return plain values, under stable names."""
        return {
            "rungs": [vars(rung) for rung in self.rungs],
            "trial_epochs": self.spent,
            "trial_epochs_in_full": self.in_full,
            "best_so_far": self.best_so_far,
            "lead_over_trial_0": self.lead,
        }


def course_of(config: StudyConfig, trials: Sequence[TrialRecord]) -> Course:
    """Return the course of a search from its trials on record."""
    best = best_trial(config, trials)
    baseline = best_trial(config, [trial for trial in trials if trial.index == BASELINE])
    lead = None
    if best is not None and baseline is not None:
        lead = config.sign * (baseline.last(config.metric) - best.last(config.metric))
    spent = spent_by_pass(trials)
    begun = [trial for trial in trials if trial.status != Status.FAILED]
    return Course(
        metric=config.metric,
        rungs=[_rung(config, trials, epoch) for epoch in rungs_of(config)],
        trials=len(begun),
        running=sum(trial.status == Status.RUNNING for trial in trials),
        spent=max(spent.values(), default=0),
        in_full=len(begun) * config.epochs,
        best_so_far=_best_so_far(config, trials, spent),
        best=best,
        baseline=baseline,
        lead=lead,
    )


def _rung(config: StudyConfig, trials: Sequence[TrialRecord], epoch: int) -> Rung:
    reached = [trial for trial in trials if trial.epochs >= epoch]
    pruned = [t for t in reached if t.status == Status.PRUNED and t.epochs == epoch]
    values = [trial.curves[config.signal][epoch - 1] for trial in reached]
    limits = [value for trial in pruned if (value := needed(trial.reason)) is not None]
    limits.sort(key=lambda value: -config.sign * value)
    return Rung(
        epoch,
        len(reached),
        len(reached) - len(pruned),
        _best(config, values) if values else None,
        (limits[0], limits[-1]) if limits else None,
    )


def spent_by_pass(trials: Sequence[TrialRecord]) -> dict[int, int]:
    """Return how many trial-epochs were spent by the end of each pass, until the last trial ended.

    A trial in training has had every pass since its first, whatever the record has of it.
    """
    ended = [trial for trial in trials if trial.status != Status.RUNNING]
    passes = max((trial.first_pass + trial.epochs for trial in ended), default=0)
    trained: Counter[int] = Counter()
    for trial in trials:
        last = passes if trial.status == Status.RUNNING else trial.first_pass + trial.epochs
        trained.update(range(trial.first_pass, last))
    spent, total = {}, 0
    for number in range(passes):
        total += trained[number]
        spent[number] = total
    return spent


def _best_so_far(
    config: StudyConfig, trials: Sequence[TrialRecord], spent: dict[int, int]
) -> list[tuple[int, float]]:
    """Return the best value after each pass in which trials were compared, see `Course`."""
    events: defaultdict[int, list[tuple[int, float | None]]] = defaultdict(list)
    for trial in trials:
        for epoch in (*rungs_of(config), config.epochs):
            if epoch <= trial.epochs:
                point = trial.number, trial.curves[config.metric][epoch - 1]
                events[trial.first_pass + epoch - 1].append(point)
        if trial.status in (Status.PRUNED, Status.FAILED):
            events[trial.first_pass + trial.epochs - 1].append((trial.number, None))
    course, standing = [], dict[int, float]()
    for number in sorted(events.keys() & spent):
        for trial_number, value in events[number]:
            if value is None:
                standing.pop(trial_number, None)
            else:
                standing[trial_number] = value
        if standing:
            course.append((spent[number], _best(config, standing.values())))
    return course


def _best(config: StudyConfig, values: Iterable[float]) -> float:
    return min(values, key=lambda value: config.sign * value)
