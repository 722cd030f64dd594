"""What the figures of a study have in common: which trials count, and what is said of them."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from optuna.trial import TrialState

from sweep.figures.lettering import label

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

Direction: TypeAlias = Literal["maximize", "minimize"]


class Result(NamedTuple):
    """A trial and the finite objective value that it is drawn at."""

    trial: FrozenTrial
    value: float

    def position(self, name: str) -> float:
        """The parameter as a number; for choices, the index of the choice."""
        return self.trial.distributions[name].to_internal_repr(self.trial.params[name])


def complete(trials: Iterable[FrozenTrial]) -> list[Result]:
    """The complete trials, by number.

    Optuna accepts an infinite objective; it is no result and is left out.
    """
    return [
        Result(trial, trial.value)
        for trial in sorted(trials, key=lambda trial: trial.number)
        if trial.state is TrialState.COMPLETE
        and trial.value is not None
        and math.isfinite(trial.value)
    ]


def pruned(trials: Iterable[FrozenTrial]) -> list[Result]:
    """The pruned trials at the last finite value that each reported, by number."""
    results = []
    for trial in sorted(trials, key=lambda trial: trial.number):
        reported = [value for _, value in sorted(trial.intermediate_values.items())]
        finite = [value for value in reported if math.isfinite(value)]
        if trial.state is TrialState.PRUNED and finite:
            results.append(Result(trial, finite[-1]))
    return results


def best(results: Sequence[Result], direction: Direction, selected: int | None = None) -> Result:
    """The selected trial's result, else the best of at least one, of equals the first."""
    for result in results:
        if result.trial.number == selected:
            return result
    choose = max if direction == "maximize" else min
    return choose(results, key=lambda result: result.value)


def caption(
    trials: Sequence[FrozenTrial],
    direction: Direction,
    objective: str,
    selected: int | None = None,
    epoch: int | None = None,
) -> str:
    """How many trials ended how, and the best: "36 complete, 13 pruned, 1 failed. Best: ...".

    With `epoch` the trials are those that were compared after it, however they ended later.
    """
    finished = complete(trials)
    if epoch is None:
        states = Counter(trial.state for trial in trials)
        counts = (
            f"{states[TrialState.COMPLETE]} complete, {states[TrialState.PRUNED]} pruned, "
            f"{states[TrialState.FAIL]} failed"
        )
    else:
        counts = f"{len(finished)} trials, compared after epoch {epoch}"
    if not finished:
        return counts
    value = best(finished, direction, selected).value
    told = name_of_best(finished, direction, selected)
    return f"{counts}. {told.capitalize()}, {label(objective)} {value:.4g}"


def name_of_best(results: Sequence[Result], direction: Direction, selected: int | None) -> str:
    """What the result of `best` is: "best: trial 7"; "selected" where another value is better."""
    winner, highest = best(results, direction, selected), best(results, direction)
    word = "best" if winner.value == highest.value else "selected"
    return f"{word}: trial {winner.trial.number}"


def varied(results: Sequence[Result]) -> dict[str, BaseDistribution]:
    """The parameters that took more than one value, or could have where there is one trial."""
    distributions = {
        name: distribution
        for result in results
        for name, distribution in result.trial.distributions.items()
    }
    return {
        name: distribution
        for name, distribution in distributions.items()
        if not distribution.single()
        and (len(results) == 1 or len({r.trial.params.get(name) for r in results}) > 1)
    }
