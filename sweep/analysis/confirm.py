"""Train the top trials of a study again on seeds that the search never saw, and rank the means.

The best of many trials was selected by its score, so its score is optimistic. Scores on fresh seeds
were not selected by anything; their mean is what to expect of the setting on the validation rows.
These are the search's own, so what luck a setting has with them stays: test rows tell. The best
mean is again the best of a few, which is optimistic by part of its standard error.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from sweep.analysis.runs import in_full, in_full_files
from sweep.engine import open_engine
from sweep.errors import SweepError
from sweep.formatting import counted, fixed
from sweep.search import (
    CONFIRMATION,
    CONFIRMING,
    IN_FULL,
    Interrupts,
    Status,
    TrainingLog,
    TrialRecord,
    nan_to_none,
    outlasting,
    ranked,
    study_lock,
    tally,
    train_alone,
    train_list,
    training_of,
)
from sweep.search_space import BASELINES
from sweep.statistics import t_half_width
from sweep.tracking import RunState
from sweep_model.rng import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from sweep.data import Prepared
    from sweep.search import StudyRecord
    from sweep.timings import Timings
    from sweep_model.training import Training

Values: TypeAlias = "dict[str, dict[str, float | None]]"
"""The objective by seed and trial, as text for JSON; None where the training diverged."""
NOISE_SEEDS = 5
"""With fewer seeds than this the spread of the baseline says too little."""
NO_TRIAL = LIMIT - 1
"""The number that the baseline trains with where no trial has its setting."""


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """A setting and what it came to.

    Attributes
    ----------
    trial : the number of the trial that found it; None for the baseline setting, which need not be
        one.
    search : the objective's value in the search; NaN for the baseline, and for a trial that was
        pruned.
    values : the objective's value on each seed; NaN where it diverged.
    """

    trial: int | None
    search: float
    values: list[float]

    @property
    def is_baseline(self) -> bool:
        """Whether it is the baseline setting."""
        return self.trial is None

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

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON, which has no NaN; `from_record` reads them back."""
        values = [nan_to_none(value) for value in self.values]
        return {"trial": self.trial, "search": nan_to_none(self.search), "values": values}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Confirmed:
        """Read back what `record` returned."""
        search, *values = (
            math.nan if value is None else value for value in (record["search"], *record["values"])
        )
        return cls(trial=record["trial"], search=search, values=values)


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The top trials of a study on the same fresh seeds, the best mean first.

    All settings share the row order of a seed, so they are compared in pairs.

    Attributes
    ----------
    metric, direction : the objective, `val/accuracy` or `val/loss`, and which way is better.
    epochs : of every training.
    seeds : one for each value of a setting.
    finished : how many trials of the study were finished at the time.
    trials : the settings that were confirmed.
    baseline : the report's own setting, for the noise floor.
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
            trials,
            key=lambda result: (result.diverged, 0 if result.diverged else sign * result.mean),
        )

    @property
    def winner(self) -> Confirmed:
        """The setting with the best mean."""
        return self.trials[0]

    @property
    def selected(self) -> int:
        """The number of the trial with the best mean."""
        assert self.winner.trial is not None  # noqa: S101 - the baseline is not ranked
        return self.winner.trial

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.direction == "maximize" else -1

    def optimism(self, setting: Confirmed) -> float:
        """Return by how much the search showed a setting better than it is."""
        return self.sign * (setting.search - setting.mean)

    def behind(self, setting: Confirmed) -> tuple[float, float, float]:
        """Return by how much a setting is worse than the winner, with a 95 % interval.

        Paired by seed: the t interval of the mean of the differences. It takes no account of the
        winner having been picked as the best of these few.
        """
        pairs = zip(self.winner.values, setting.values, strict=True)
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
            "trials": [setting.record() for setting in self.trials],
            "baseline": self.baseline.record(),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Confirmation:
        """Read back what `record` returned."""
        trials = [Confirmed.from_record(setting) for setting in record["trials"]]
        baseline = replace(Confirmed.from_record(record["baseline"]), trial=None)
        return cls(**{**record, "trials": trials, "baseline": baseline})


def confirmation_of(study: StudyRecord) -> Confirmation | None:
    """Return what `sweep confirm` found; None where it did not run to its end yet."""
    record = study.attribute(CONFIRMATION)
    return None if record is None else Confirmation.from_record(record)


def pruned_at(study: StudyRecord) -> dict[int | None, int]:
    """Return after how many epochs the search pruned each trial that it pruned, by number.

    Their value at that epoch is not compared with one at the last epoch: tables name the epoch.
    """
    return {trial.number: trial.epochs for trial in study.trials() if trial.status == Status.PRUNED}


class Confirming:
    """Trains the `top` trials of a study on `seeds` fresh seeds, and the baseline beside them.

    The best come first: complete trials, then those that were pruned last, which are trained to
    their end. The trainings of a seed share its row order and initial weights, and a trial's flips
    go by its number, so a value is the same whatever else is confirmed. Seeds are recorded as they
    are done: the same command goes on from there, and asking for more seeds or trials adds what is
    missing.

    Parameters
    ----------
    study, data : the study and its rows.
    top, seeds : how many trials, and on how many seeds.
    timings : where the time goes.
    workers : threads; they do not affect results. None: one for each core.
    ray : the address of a Ray cluster to train on instead.
    warned : told what goes wrong there.

    Raises
    ------
    SweepError
        No trial is complete or pruned.

    """

    def __init__(
        self,
        study: StudyRecord,
        data: Prepared,
        *,
        top: int,
        seeds: int,
        timings: Timings,
        workers: int | None = None,
        ray: str | None = None,
        warned: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.study, self.data, self.timings = study, data, timings
        self.workers, self.ray, self.warned = workers, ray, warned
        trials = study.trials()
        ended = (Status.COMPLETE, Status.PRUNED)
        self.trials = [t for t in ranked(study.config, trials) if t.status in ended][:top]
        if not self.trials:
            raise SweepError(
                f"study {study.name!r} has no complete trial to confirm; "
                f"go on with `sweep run {study.name}`"
            )
        self._finished = tally(trials).finished
        baseline = dict(study.config.space.clip(BASELINES[study.config.loss]))
        same = (trial.number for trial in trials if trial.params == baseline)
        self._baseline = next(same, NO_TRIAL)
        self.settings = {trial.number: trial.params for trial in self.trials}
        """By the number that decides the flips."""
        self.settings.setdefault(self._baseline, baseline)
        # What is done is not thrown away, also where fewer seeds are asked for.
        numbers = range(max(seeds, len(self._recorded())))
        self.seeds = [study.config.fresh_seed(number) for number in numbers]

    @property
    def passes(self) -> int:
        """How many passes over the rows are missing."""
        return len(self._waiting(self._recorded())) * self.study.config.epochs

    def run(self, on_epoch: Callable[[int], None] = lambda _: None) -> Confirmation:
        """Train what is missing, record the confirmation and return it.

        A winner that the search had pruned is trained in full first, as the search would have: so
        a selected trial always has the weights of all epochs.

        `on_epoch` is told how many seeds have trained for one more epoch.

        Raises
        ------
        InterruptedStudyError
            After Ctrl-C or SIGTERM; the seeds that are done are kept.
        SweepError
            Another process runs the study, or the winner diverges on the search's own seed.

        """
        study = self.study
        with study_lock(study.workspace, study.name), Interrupts().listening() as interrupts:
            done = self._recorded()
            waiting = self._waiting(done)
            while waiting:
                values = self._train(waiting, done, interrupts, on_epoch)
                done |= {seed: {**done.get(seed, {}), **new} for seed, new in values.items()}
                study.set_attribute(CONFIRMING, done)
                waiting = self._waiting(done)
            confirmation = self._confirmation(done)
            winner = study.trial(confirmation.selected)
            if winner.status == Status.PRUNED:
                train_in_full(
                    study, winner, self.data, interrupts, ray=self.ray, warned=self.warned
                )
            study.set_attribute(CONFIRMATION, confirmation.record())
        return confirmation

    def _recorded(self) -> Values:
        return dict(self.study.attribute(CONFIRMING, {}))

    def _missing(self, seed: int, done: Values) -> list[int]:
        return [each for each in self.settings if str(each) not in done.get(str(seed), {})]

    def _waiting(self, done: Values) -> list[int]:
        return [seed for seed in self.seeds if self._missing(seed, done)]

    def _train(
        self,
        waiting: Sequence[int],
        done: Values,
        interrupts: Interrupts,
        on_epoch: Callable[[int], None],
    ) -> Values:
        """Train what the first of the waiting seeds miss, as many as fit side by side."""
        config = self.study.config
        unfinished = f"the same command goes on with confirming study {self.study.name!r}"

        def train() -> Values:
            seeds = waiting[: engine.workers]
            logs = {
                (str(seed), str(number)): TrainingLog(
                    replace(self._training(number), seed=seed), self.data, config.loss
                )
                for seed in seeds
                for number in self._missing(seed, done)
            }
            outcomes = train_list(
                engine,
                logs,
                interrupts,
                unfinished=unfinished,
                on_pass=lambda _: on_epoch(len(seeds)),
            )
            values: Values = defaultdict(dict)
            for (seed, number), log in logs.items():
                diverged = isinstance(outcomes[seed, number], str)
                values[seed][number] = None if diverged else log.curves[config.metric][-1]
            return values

        with open_engine(
            config,
            self.data,
            timings=self.timings,
            workers=self.workers,
            ray=self.ray,
            warned=self.warned,
            stopped=interrupts.came,
        ) as engine:
            return outlasting(train, interrupts, unfinished=unfinished, warned=self.warned)

    def _training(self, number: int) -> Training:
        params = self.settings[number]
        trial = TrialRecord(number=number, index=0, params=params, first_pass=0)
        return training_of(self.study.config, trial, self.data)

    def _confirmation(self, done: Values) -> Confirmation:
        config = self.study.config

        def on_seeds(number: int) -> list[float]:
            cells = (done[str(seed)][str(number)] for seed in self.seeds)
            return [math.nan if cell is None else cell for cell in cells]

        def in_search(trial: TrialRecord) -> float:
            """What the search said of a trial that it trained to the end."""
            return trial.last(config.metric) if trial.status == Status.COMPLETE else math.nan

        trials = [
            Confirmed(
                trial=setting.number, search=in_search(setting), values=on_seeds(setting.number)
            )
            for setting in self.trials
        ]
        baseline = on_seeds(self._baseline)
        return Confirmation(
            metric=config.metric,
            direction=config.direction,
            epochs=config.epochs,
            seeds=self.seeds,
            finished=self._finished,
            trials=Confirmation.ranked(trials, config.direction),
            baseline=Confirmed(trial=None, search=math.nan, values=baseline),
        )


def train_in_full(
    study: StudyRecord,
    trial: TrialRecord,
    data: Prepared,
    interrupts: Interrupts,
    *,
    ray: str | None = None,
    warned: Callable[[str], None] = lambda _: None,
) -> None:
    """Train a pruned trial to its end, unless that is on record: its first epochs are the same.

    Its files wait for MLflow, see `in_full_states`; the caller has the study's lock.

    Raises
    ------
    SweepError
        It diverged after the epoch at which it was pruned.

    """
    if in_full(study, trial).status == Status.COMPLETE:
        return
    what = f"trial {trial.number} of {study.name!r}, pruned at epoch {trial.epochs},"
    trained = train_alone(
        study.config,
        trial,
        TrainingLog.begun(training_of(study.config, trial, data), data, study.config.loss),
        interrupts,
        unfinished=f"the same command trains {what} to its end",
        ray=ray,
        warned=warned,
    )
    if trained.classifier is None:
        raise SweepError(
            f"{what} has no weights of all epochs: {trained.trial.reason}; confirm another --top"
        )
    title = f"{study.name} · trial {trial.number:03d} in full"
    complete = trained.write_files(in_full_files(study, trial.number), title=title)
    others = study.attribute(IN_FULL, {})
    study.set_attribute(IN_FULL, {**others, str(trial.number): vars(complete)})


def confirmation_key(study: StudyRecord, confirmation: Confirmation) -> str:
    """Return the key of the run of a confirmation: another one has another."""
    content = json.dumps(confirmation.record(), sort_keys=True).encode()
    return f"{study.identity}/confirm-{hashlib.sha256(content).hexdigest()[:32]}"


def confirmation_state(study: StudyRecord, confirmation: Confirmation, files: Path) -> RunState:
    """Return what MLflow is to know of a confirmation, a run beside the trials; draw its figure."""
    from sweep.tracking import write_figure

    now, winner = int(time.time() * 1000), confirmation.winner
    settings = [*confirmation.trials, confirmation.baseline]
    write_figure(files / "figures/confirmation.png", confirmation_chart(study.name, confirmation))
    mean = {f"best/{confirmation.metric.replace('/', '_')}": winner.mean}
    return RunState(
        key=confirmation_key(study, confirmation),
        name="confirm",
        parent=study.identity,
        parameters={
            "trials": len(confirmation.trials),
            "seeds": len(confirmation.seeds),
            "epochs": confirmation.epochs,
        },
        curves={
            f"confirmed/{name_of(setting)}": [
                v if math.isfinite(v) else None for v in setting.values
            ]
            for setting in settings
        },
        times=[now] * len(confirmation.seeds),
        metrics=mean if math.isfinite(winner.mean) else {},
        tags={"role": "confirm", **study.tags},
        note=confirmation_note(confirmation, pruned_at(study)),
        files=files,
        status="FINISHED",
        began=now,
        ended=now,
        final=True,
    )


def confirmation_chart(study: str, confirmation: Confirmation) -> Figure:
    """Draw what fresh seeds made of the top trials of a study, and of the baseline."""
    from sweep.plots import SeedValues, confirmation_figure

    settings = [*confirmation.trials, confirmation.baseline]
    return confirmation_figure(
        [SeedValues(name_of(setting), setting.search, setting.values) for setting in settings],
        objective=confirmation.metric,
        title=f"{study}: the top trials on {counted(len(confirmation.seeds), 'fresh seed')}",
    )


def name_of(setting: Confirmed) -> str:
    """Return what a setting is called on charts."""
    return "baseline" if setting.trial is None else f"trial-{setting.trial:03d}"


def confirmation_note(confirmation: Confirmation, pruned: Mapping[int | None, int]) -> str:
    """Say in Markdown what a confirmation came to; `pruned` is when trials were pruned."""

    def in_search(setting: Confirmed) -> str:
        epoch = pruned.get(setting.trial)
        return fixed(setting.search) if epoch is None else f"pruned at epoch {epoch}"

    seeds, metric, epochs = len(confirmation.seeds), confirmation.metric, confirmation.epochs
    lines = [
        f"The top trials, trained again on {seeds} fresh seeds; {metric} after {epochs} epochs.",
        "",
        "| trial | search | confirmed | standard error | optimism |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {setting.trial} | {in_search(setting)} | {setting.mean:.4f} "
        f"| {setting.standard_error:.4f} | {fixed(confirmation.optimism(setting), sign='+')} |"
        for setting in confirmation.trials
    ]
    baseline = confirmation.baseline
    lines.append(f"| baseline | | {baseline.mean:.4f} | {baseline.standard_error:.4f} | |")
    return "\n".join(lines)
