"""Replays searches on the recorded problems: what each policy spends, and what it loses by it.

    python benchmarks/search.py [--small] [--only TEXT] [--orders N]

A search is 50 trials: the report's own setting, then 49 that are drawn from the 200 recorded
settings of the default space, in an order of its own. The project's `Scheduler` decides, pass by
pass, from the curves on the selecting rows. The answer is the complete trial with the best
selecting accuracy at its last epoch; its loss is the judging accuracy of what the same trials, all
trained in full, would have answered, minus its own, in points. Policies differ in who ends trials,
and in the signal that trials are compared by. Replays choose among recorded settings, so they say
how much halving costs, and nothing about the sampler.

The tables show the mean over problems with its standard error, where each problem counts once; the
90th percentile is of the losses of all orders of all problems.
"""

from __future__ import annotations

import argparse
import os
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import Table
from problems import BASELINE, DEFAULT, DEFAULTS, EPOCHS, WIDE, Problem, load

from sweep.config import DataConfig, StudyConfig, default_lanes, default_slots
from sweep.search.halving import Halving, Pruner, Trial, make_pruner
from sweep.search.scheduler import Outcome, Scheduler
from sweep.search.trials import Status
from sweep.search_space import DEFAULT_SPACES
from sweep_model.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sweep_model import Floats

TRIALS, ORDERS, SMALL_ORDERS = 50, 50, 4
LATE = 10
"""Decay periods above it, half of the default space, are late."""
TOP = 1.02
"""No accuracy comes near it: what is left to gain is up to here."""
TERCILES = ((2, 5), (6, 17), (18, 50))
"""Decay periods in three parts of the default space, as likely as each other."""


# Signals: what trials are compared by after each epoch, (settings, epochs), more is better.


def accuracy(problem: Problem) -> Floats:
    """The accuracy on the selecting rows."""
    return problem.select.accuracy


def minus_loss(problem: Problem) -> Floats:
    """The loss on the selecting rows, less is better."""
    return -problem.select.loss


def smoothed(problem: Problem, epochs: int = 3) -> Floats:
    """The mean accuracy of the last epochs."""
    sums = np.cumsum(problem.select.accuracy, axis=1)
    sums[:, epochs:] -= sums[:, :-epochs].copy()
    return sums / np.minimum(np.arange(1, EPOCHS + 1), epochs)


def highest(problem: Problem) -> Floats:
    """The best accuracy so far."""
    return np.maximum.accumulate(problem.select.accuracy, axis=1)


def averaged(problem: Problem) -> Floats:
    """The accuracy of the mean of the epoch's weights, but of the last ones at the end."""
    return np.c_[problem.averaged[:, :-1], problem.select.accuracy[:, -1]]


def rates(problem: Problem) -> Floats:
    """The learning rate in each epoch, (settings, epochs)."""
    made = [Hyperparameters(**setting) for setting in problem.settings]
    return np.array([[one.rate(epoch) for epoch in range(EPOCHS)] for one in made])


def gain_features(problem: Problem) -> Floats:
    """What the gain after an epoch is guessed from, (settings, epochs, features)."""
    rate = rates(problem)
    steps = problem.rows / np.array([setting["batch_size"] for setting in problem.settings])
    share = 1 / problem.classes if problem.loss == "bce" else 1.0
    descent = np.log10(share * steps[:, None] * np.cumsum(rate, axis=1))
    left = np.log10(share * steps[:, None] * rate.sum(axis=1, keepdims=True)) - descent
    decays = np.log2(rate / rate[:, -1:])
    heat = np.log10(share * rate * problem.eigenvalues[0])
    value = smoothed(problem, 2)
    rise = np.diff(value, axis=1, prepend=value[:, :1])
    l2 = np.log10([setting["l2"] for setting in problem.settings])[:, None] + 0 * rate
    base = [decays / 5, left, descent, heat, l2 / 3, value, rise * 10]
    products = [a * b for i, a in enumerate(base) for b in base[i:]]
    return np.stack([np.ones_like(rate), *base, *products], axis=-1)


@cache
def examples() -> list[tuple[str, Floats, Floats]]:
    """Of each problem: where its rows come from, features and gains of settings at each epoch."""
    made = []
    for problem in load():
        kept = (problem.kinds != WIDE) & np.isfinite(problem.select.loss).all(axis=1)
        now, end = smoothed(problem, 2)[kept], problem.select.accuracy[kept, -1:]
        origin = problem.data.partition("-")[0]
        made.append((origin, gain_features(problem)[kept], (end - now) / (TOP - now)))
    return made


def extrapolated(problem: Problem) -> Floats:
    """The accuracy at the end as ridge regression on all other data foretells it."""
    origin = problem.data.partition("-")[0]
    others = [example for example in examples() if example[0] != origin]
    x, y = (np.concatenate([example[i] for example in others]) for i in (1, 2))
    value, known = smoothed(problem, 2), gain_features(problem)
    gains = np.empty_like(value)
    for epoch in range(EPOCHS):
        at, ridge = x[:, epoch], 1e-3 * len(x) * np.eye(x.shape[-1])
        gains[:, epoch] = known[:, epoch] @ np.linalg.solve(at.T @ at + ridge, at.T @ y[:, epoch])
    return value + (TOP - value) * gains


# Pruners beyond those of the project.


class Variant(Halving):
    """Halving with rungs of its own.

    Parameters
    ----------
    rungs : None for the project's.
    both : whether a trial must be among the best of its pass, too.
    spare : whether the best of those whose learning rate has not decayed goes on from each rung.
    """

    def __init__(
        self,
        config: StudyConfig,
        *,
        rungs: Sequence[int] | None = None,
        both: bool = True,
        spare: bool = False,
    ) -> None:
        super().__init__(config)
        self.rungs = self.rungs if rungs is None else list(rungs)
        self._both, self._spare = both, spare

    def judge(self, advanced: Sequence[Trial]) -> dict[int, str]:
        """Let more go on than halving does."""
        reasons = super().judge(advanced)
        for rung in self.rungs if self._spare else ():
            ended = [
                trial
                for trial in advanced
                if trial.epoch == rung and trial.index in reasons
                if trial.params["decay_period"] > rung
            ]
            if ended:
                spared = min(ended, key=lambda trial: trial.key(rung, self.config.sign))
                del reasons[spared.index]
        return reasons

    def _why(self, trial: Trial, rung: int, everyone: list[Any], wave: list[Any]) -> str | None:
        return super()._why(trial, rung, everyone, wave if self._both else everyone)


class Halves:
    """Halving among early and among late decays, each for itself."""

    def __init__(self, config: StudyConfig) -> None:
        self._early, self._late = Halving(config), Halving(config)

    def judge(self, advanced: Sequence[Trial]) -> dict[int, str]:
        """Compare each half."""
        late = [trial for trial in advanced if trial.params["decay_period"] > LATE]
        early = [trial for trial in advanced if trial.params["decay_period"] <= LATE]
        return self._early.judge(early) | self._late.judge(late)


@dataclass(frozen=True)
class Policy:
    """A way to search.

    Attributes
    ----------
    changes : to the config of a study with every default.
    """

    name: str
    signal: Callable[[Problem], Floats] = averaged
    changes: dict[str, Any] = field(default_factory=dict)
    pruner: Callable[[StudyConfig], Pruner] = make_pruner


FULL = Policy("all in full", changes={"pruner": "none"})
USUAL = Policy("default: eta 3, rungs 3/9/25")
MEDIAN = Policy("median", changes={"pruner": "median"})


def policies() -> Iterator[Policy]:
    """What is tried, one line of the table each."""
    yield FULL
    yield USUAL
    yield Policy("hyperband", changes={"pruner": "hyperband"})
    yield MEDIAN
    for eta in (2, 4):
        yield Policy(f"eta {eta}", changes={"eta": eta})
    for eta, rungs in (
        (3, (6, 17)), (3, (2, 6, 17)), (3, (3, 8, 20)), (3, (4, 12)), (3, (2, 4, 8, 17)),
        (2, (2, 4, 8, 17)), (2, (2, 4, 8, 16, 32)), (2, (2, 3, 6, 12, 25)), (2, (1, 2, 4, 8, 17)),
        (2, (2, 5, 12, 25)), (4, (2, 8, 25)), (4, (3, 12)),
    ):  # fmt: skip
        named = "/".join(map(str, rungs))
        yield Policy(
            f"eta {eta}, rungs {named}", pruner=partial(Variant, rungs=rungs), changes={"eta": eta}
        )
    for name, signal in (
        ("accuracy of the last weights", accuracy),
        ("loss", minus_loss),
        ("mean of the last 2 epochs", partial(smoothed, epochs=2)),
        ("mean of the last 3 epochs", smoothed),
        ("best so far", highest),
        ("extrapolated", extrapolated),
    ):
        yield Policy(f"by {name}", signal)
    yield Policy("no comparison within a pass", pruner=partial(Variant, both=False))
    yield Policy("spare the best that has not decayed", pruner=partial(Variant, spare=True))
    yield Policy("early and late decays apart", pruner=Halves)
    for slots in (8, 16, 24, 50):
        yield Policy(f"{slots} slots", changes={"slots": slots})


# Replay.


@dataclass(frozen=True)
class Replay:
    """What a search came to.

    Attributes
    ----------
    chosen : the number of the setting that it answers with.
    """

    trial_epochs: int
    passes: int
    chosen: int


class Replayed(Scheduler):
    """A scheduler with a policy's own pruner."""

    def __init__(self, config: StudyConfig, problem: Problem, policy: Policy) -> None:
        largest = {config.data.normalise: float(problem.eigenvalues[0])}
        super().__init__(config, rows=problem.rows, classes=problem.classes, eigenvalues=largest)
        self._pruner = policy.pruner(config)


def config_of(problem: Problem, trials: int, changes: dict[str, Any]) -> StudyConfig:
    """Return the config of a study on a problem with every default, apart from the changes."""
    data = DataConfig(
        source="arrays", directory=None, name=problem.data, val_size=problem.select_rows,
        split_seed=0, data_digest="", split_digest="",
    )  # fmt: skip
    slots = default_slots(trials)
    usual = {
        "study": problem.name, "loss": problem.loss, "epochs": EPOCHS, "seed": 0,
        "sampler": "tpe", "pruner": "halving", "objective": "val-accuracy", "data": data,
        "space": DEFAULT_SPACES[problem.loss], "slots": slots,
        "lanes": default_lanes(problem.classes, slots),
    }  # fmt: skip
    return StudyConfig(**usual | changes)


def replay(
    problem: Problem, policy: Policy, signal: Floats, order: Sequence[int], trials: int
) -> Replay:
    """Search among recorded settings, in an order, until so many trials have finished."""
    scheduler = Replayed(config_of(problem, trials, policy.changes), problem, policy)
    loss = problem.select.loss
    while True:
        scheduler.begin(trials, given=lambda index: problem.settings[order[index]])
        if not scheduler.running:
            break
        outcomes: dict[int, Outcome | str] = {}
        for trial in scheduler.running:
            at = order[trial.index], trial.epoch
            diverged = np.isnan(loss[at])
            outcomes[trial.index] = "diverged" if diverged else Outcome(signal[at], loss[at])
        scheduler.take(outcomes)
    complete = [order[t.index] for t in scheduler.trials if t.status == Status.COMPLETE]
    return Replay(
        trial_epochs=sum(trial.epoch for trial in scheduler.trials),
        passes=scheduler.next_pass,
        chosen=best(problem, complete),
    )


def best(problem: Problem, numbers: Sequence[int]) -> int:
    """Return the setting with the best selecting accuracy at the last epoch; ties: its loss."""
    right, loss = problem.select.accuracy[:, -1], problem.select.loss[:, -1]
    return min(numbers, key=lambda number: (-right[number], loss[number], number))


def draw_orders(problem: Problem, count: int) -> list[list[int]]:
    """Return orders of all settings of the default space, the report's own setting first."""
    rng = np.random.default_rng(zlib.crc32(problem.name.encode()))
    (baseline,) = np.flatnonzero(problem.kinds == BASELINE)
    default = np.flatnonzero(problem.kinds == DEFAULT)
    return [[int(baseline), *map(int, rng.permutation(default))] for _ in range(count)]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Of one policy on one problem, an entry for each order.

    Attributes
    ----------
    lost : points of judging accuracy, against the first 50 trials in full.
    periods : the decay period of the setting that is chosen in full.
    """

    problem: str
    trial_epochs: Floats
    passes: Floats
    lost: Floats
    periods: Floats


def measure(problem: Problem, policy: Policy, *, orders: int, trials: int = TRIALS) -> Outcomes:
    """Replay a policy on a problem."""
    signal = policy.signal(problem)
    judged = 100 * problem.judge.accuracy[:, -1]
    found, lost, periods = [], [], []
    for order in draw_orders(problem, orders):
        found.append(replay(problem, policy, signal, order, trials))
        in_full = best(problem, [n for n in order[:TRIALS] if np.isfinite(judged[n])])
        lost.append(judged[in_full] - judged[found[-1].chosen])
        periods.append(problem.settings[in_full]["decay_period"])
    return Outcomes(
        problem=problem.name,
        trial_epochs=np.array([one.trial_epochs for one in found]),
        passes=np.array([one.passes for one in found]),
        lost=np.array(lost),
        periods=np.array(periods),
    )


# Tables.


def spread(values: Sequence[float]) -> str:
    """The mean with its standard error."""
    error = np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):.2f} +- {error:.2f}"


def policy_line(name: str, outcomes: Sequence[Outcomes]) -> list[str]:
    """The cells of a policy in the table of policies."""
    lost = np.concatenate([one.lost for one in outcomes])
    periods = np.concatenate([one.periods for one in outcomes])
    spent = np.mean([one.trial_epochs.mean() for one in outcomes])
    parts = [lost[(low <= periods) & (periods <= high)] for low, high in TERCILES]
    return [
        name,
        f"{spent:,.0f}",
        f"{TRIALS * EPOCHS / spent:.1f}",
        f"{np.mean([one.passes.mean() for one in outcomes]):.0f}",
        spread([one.lost.mean() for one in outcomes]),
        f"{np.percentile(lost, 90):.2f}",
        *(f"{part.mean():.2f}" for part in parts),
    ]


def problem_line(problem: Problem, usual: Outcomes, more: Outcomes) -> list[str]:
    """The cells of a problem in the table of the default policy."""
    return [
        problem.name,
        f"{problem.rows:,}",
        f"{problem.judge_rows:,}",
        f"{usual.trial_epochs.mean():,.0f}",
        spread(usual.lost),
        f"{np.percentile(usual.lost, 90):.2f}",
        f"{more.trial_epochs.mean():,.0f}",
        spread(-more.lost),
    ]


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--small", action="store_true", help="few orders of the default policy and two others"
    )
    parser.add_argument("--only", default="", help="policies whose name has this text")
    parser.add_argument("--orders", type=int, help="searches of each policy on each problem")
    asked = parser.parse_args()
    orders = asked.orders or (SMALL_ORDERS if asked.small else ORDERS)
    problems = load()
    tried = [FULL, USUAL, MEDIAN] if asked.small else list(policies())
    tried = [policy for policy in tried if asked.only in policy.name]
    print(
        f"{len(problems)} problems, {orders} orders each; lost: points of judging accuracy, "
        f"against all {TRIALS} in full\n"
    )
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        run = partial(measure, orders=orders)
        waiting = [(one, [pool.submit(run, each, one) for each in problems]) for one in tried]
        settings = partial(measure, orders=orders, trials=DEFAULTS + 1)
        per_problem = [
            (each, pool.submit(run, each, USUAL), pool.submit(settings, each, USUAL))
            for each in problems
        ]
        table = Table(
            policy=-36, trial_epochs=12, fewer=5, passes=6, points_lost=15, p90=6,
            early=6, middle=6, late=6,
        )  # fmt: skip
        for policy, futures in waiting:
            table.line(*policy_line(policy.name, [future.result() for future in futures]))
        print("\nThe default on each problem, and with all settings in place of 50\n")
        table = Table(
            problem=-30, rows=6, judging=7, trial_epochs=12, points_lost=15, p90=6,
            all_epochs=10, gained=15,
        )  # fmt: skip
        for problem, usual, more in per_problem:
            table.line(*problem_line(problem, usual.result(), more.result()))


if __name__ == "__main__":
    main()
