"""What a confirmation found: the top trials, trained again on seeds that the search never saw.

The best of many trials was selected by its score, so its score is optimistic. Scores on fresh seeds
were not selected by anything; their mean is what to expect of the setting on the validation rows.
These are the search's own, so what luck a setting has with them stays: test rows tell. The best
mean is again the best of a few, which is optimistic by part of its standard error.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sweep.search.record import CONFIRMATION
from sweep.search.trials import Status
from sweep.statistics.intervals import t_half_width

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sweep.search.record import StudyRecord

BASELINE = -1
"""In place of a trial's number."""
NOISE_SEEDS = 5
"""With fewer seeds than this the spread of the baseline says too little."""


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """A setting and what it came to.

    Attributes
    ----------
    trial
        The trial that found it; `BASELINE` for the baseline setting, which need not be a trial.
    search
        The objective's value in the search; NaN for the baseline, and for a trial that was pruned.
    values
        The objective's value on each seed; NaN where it diverged.

    """

    trial: int
    search: float
    values: list[float]

    @property
    def is_baseline(self) -> bool:
        """Whether it is the baseline setting."""
        return self.trial == BASELINE

    @property
    def diverged(self) -> int:
        """On how many seeds the training diverged."""
        return sum(math.isnan(value) for value in self.values)

    @property
    def mean(self) -> float:
        """The mean over the seeds; NaN where one of them diverged."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """The standard deviation between seeds; NaN for a single one."""
        if len(self.values) < 2 or self.diverged:  # noqa: PLR2004 - one value has no spread
            return math.nan
        return statistics.stdev(self.values)

    @property
    def standard_error(self) -> float:
        """The standard error of the mean."""
        return self.deviation / math.sqrt(len(self.values))


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The top trials of a study on the same fresh seeds, the best mean first.

    All settings share the row order of a seed, so they are compared in pairs.

    Attributes
    ----------
    metric, direction
        The objective, `val/accuracy` or `val/loss`, and which way is better.
    epochs
        Of every training.
    seeds
        One for each value of a setting.
    finished
        How many trials of the study were finished at the time.
    trials
        The settings that were confirmed.
    baseline
        The report's own setting, for the noise floor.

    """

    metric: str
    direction: str
    epochs: int
    seeds: list[int]
    finished: int
    trials: list[Confirmed]
    baseline: Confirmed

    @classmethod
    def ranked(cls, trials: Iterable[Confirmed], direction: str) -> list[Confirmed]:
        """Return settings, the best mean first and what diverged on a seed last.

        Ties keep their order, which is that of the search.
        """
        sign = -1 if direction == "maximize" else 1
        return sorted(
            trials, key=lambda one: (one.diverged, 0 if one.diverged else sign * one.mean)
        )

    @property
    def winner(self) -> Confirmed:
        """The setting with the best mean."""
        return self.trials[0]

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.direction == "maximize" else -1

    def optimism(self, one: Confirmed) -> float:
        """Return by how much the search showed a setting better than it is."""
        return self.sign * (one.search - one.mean)

    def behind(self, one: Confirmed) -> tuple[float, float, float]:
        """Return by how much a setting is worse than the winner, with a 95 % interval.

        Paired by seed: the t interval of the mean of the differences. It takes no account of the
        winner having been picked as the best of these few.
        """
        pairs = zip(self.winner.values, one.values, strict=True)
        gaps = [self.sign * (best - value) for best, value in pairs]
        mean, half = statistics.fmean(gaps), t_half_width(gaps)
        if half == 0 and mean != 0:  # steps of one row in few seeds, not certainty
            half = math.nan
        return mean, mean - half, mean + half

    @property
    def noise_floor(self) -> float:
        """The difference that two trainings of one setting exceed once in twenty times.

        t * sqrt(2) * s, with s the baseline's standard deviation between seeds and t the 97.5 %
        point of Student's distribution. A setting with a larger learning rate may vary more. NaN
        where there are too few seeds to tell.
        """
        from scipy.stats import t

        n = len(self.baseline.values)
        if n < NOISE_SEEDS:
            return math.nan
        return float(t.ppf(0.975, n - 1)) * math.sqrt(2) * self.baseline.deviation

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON, which has no NaN; `from_record` reads them back."""
        return asdict(self) | {
            "trials": [_record(one) for one in self.trials],
            "baseline": _record(self.baseline),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Confirmation:
        """Read back what `record` returned."""
        parts = {
            "trials": [_read(one) for one in record["trials"]],
            "baseline": _read(record["baseline"]),
        }
        return cls(**{**record, **parts})


def confirmation_of(study: StudyRecord) -> Confirmation | None:
    """Return what `sweep confirm` found; None where it did not run to its end yet."""
    record = study.attribute(CONFIRMATION)
    return None if record is None else Confirmation.from_record(record)


def pruned_at(study: StudyRecord) -> dict[int, int]:
    """Return after how many epochs the search pruned each trial that it pruned, by number.

    Their value at that epoch is not compared with one at the last epoch: tables name the epoch.
    """
    return {trial.number: trial.epochs for trial in study.trials() if trial.status == Status.PRUNED}


def _record(one: Confirmed) -> dict[str, Any]:
    def plain(value: float) -> float | None:
        return None if math.isnan(value) else value

    return {
        "trial": one.trial,
        "search": plain(one.search),
        "values": [plain(value) for value in one.values],
    }


def _read(record: dict[str, Any]) -> Confirmed:
    def number(value: float | None) -> float:
        return math.nan if value is None else value

    return Confirmed(
        trial=record["trial"],
        search=number(record["search"]),
        values=[number(value) for value in record["values"]],
    )
