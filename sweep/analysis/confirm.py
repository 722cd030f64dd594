"""Train the top trials of a study again on fresh seeds, and rank them by the mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from sweep.analysis.confirmation import BASELINE, Confirmation, Confirmed
from sweep.analysis.in_full import train_in_full
from sweep.curves import point
from sweep.engine import LocalEngine, available_cores, train_all
from sweep.errors import SweepError
from sweep.search.interrupts import Interrupts
from sweep.search.lock import study_lock
from sweep.search.record import CONFIRMATION, CONFIRMING
from sweep.search.trials import Status, ranked, tally
from sweep.space import BASELINES
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.rng import LIMIT
from sweep_model.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from sweep.data import Prepared
    from sweep.engine import Results
    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord
    from sweep.timings import Timings

NO_TRIAL = LIMIT - 1
"""The number that the baseline trains with where no trial has its setting."""


class Setting(NamedTuple):
    """A setting that is confirmed, with the number that decides its flips."""

    number: int
    params: dict[str, Any]


class Confirming:
    """Trains the `top` trials of a study on `seeds` fresh seeds, and the baseline beside them.

    The best come first: complete trials, then those that were pruned last, which are trained to
    their end. The trainings of a seed share its row order and initial weights, and a trial's flips
    go by its number, so a value is the same whatever else is confirmed. Seeds are recorded as they
    are done: the same command goes on from there, and asking for more seeds or trials adds what is
    missing.

    Parameters
    ----------
    study
        The study.
    data
        Its rows.
    top, seeds
        How many trials, and on how many seeds.
    timings
        Where the time goes.
    workers
        Threads; they do not affect results. None: one for each core.

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
    ) -> None:
        self.study, self.data, self.timings = study, data, timings
        self.workers = workers or available_cores()
        trials = study.trials()
        ended = (Status.COMPLETE, Status.PRUNED)
        self.trials = [t for t in ranked(study.config, trials) if t.status in ended][:top]
        if not self.trials:
            raise SweepError(
                f"study {study.name!r} has no complete trial to confirm; "
                "go on with `sweep run` as before"
            )
        self._finished = tally(trials).finished
        baseline = dict(study.config.space.clip(BASELINES[study.config.loss]))
        known = [trial.number for trial in trials if trial.params == baseline]
        self._baseline = Setting(known[0] if known else NO_TRIAL, baseline)
        top_settings = [Setting(trial.number, trial.params) for trial in self.trials]
        others = [] if self._baseline in top_settings else [self._baseline]
        self.settings = [*top_settings, *others]
        # What is done is not thrown away, also where fewer seeds are asked for.
        done = self._recorded()
        numbers = range(max(seeds, len(done)))
        self.seeds = [study.config.fresh_seed(number) for number in numbers]

    @property
    def passes(self) -> int:
        """How many passes over the rows are missing."""
        done = self._recorded()
        missing = sum(bool(self._missing(seed, done)) for seed in self.seeds)
        return missing * self.study.config.epochs

    def run(self, on_epoch: Callable[[int], None] = lambda _: None) -> Confirmation:
        """Train what is missing, record the confirmation and return it.

        A winner that the search had pruned is trained in full, as the search would have.

        `on_epoch` is told how many seeds have trained for one more epoch.

        Raises
        ------
        InterruptedStudyError
            After Ctrl-C or SIGTERM; the seeds that are done are kept.
        SweepError
            Another process runs the study.

        """
        study = self.study
        with study_lock(study.workspace, study.name), Interrupts().listening() as interrupts:
            done = self._recorded()
            waiting = [seed for seed in self.seeds if self._missing(seed, done)]
            while waiting:
                wave, waiting = waiting[: self.workers], waiting[self.workers :]
                for seed, values in self._train(wave, done, interrupts, on_epoch).items():
                    done[str(seed)] = {**done.get(str(seed), {}), **values}
                study.set_attribute(CONFIRMING, done)
            found = self._confirmation(done)
            study.set_attribute(CONFIRMATION, found.record())
            winner = study.trial(found.winner.trial)
            if winner.status == Status.PRUNED:
                train_in_full(study, winner, self.data, self.timings, interrupts)
        return found

    def _recorded(self) -> dict[str, dict[str, float | None]]:
        """The values that are known, by seed and trial; None where a training diverged."""
        recorded: dict[str, dict[str, float | None]] = self.study.attribute(CONFIRMING, {})
        return dict(recorded)

    def _missing(self, seed: int, done: dict[str, dict[str, float | None]]) -> list[Setting]:
        return [each for each in self.settings if str(each.number) not in done.get(str(seed), {})]

    def _train(
        self,
        seeds: Sequence[int],
        done: dict[str, dict[str, float | None]],
        interrupts: Interrupts,
        on_epoch: Callable[[int], None],
    ) -> dict[int, dict[str, float | None]]:
        """Return the objective's value by seed and trial; None where a training diverged."""
        config = self.study.config
        trainings: dict[Hashable, Training] = {
            (seed, each.number): Training(
                hyperparameters=Hyperparameters(**each.params),
                epochs=config.epochs,
                seed=seed,
                number=each.number,
            )
            for seed in seeds
            for each in self._missing(seed, done)
        }
        values: dict[Hashable, float | None] = dict.fromkeys(trainings)

        def on_pass(results: Results) -> bool:
            for key, result in results.items():
                if not isinstance(result, Exception) and result.epoch == config.epochs:
                    values[key] = point(result)[config.metric]
            on_epoch(len(seeds))
            interrupts.raise_received(
                f"the confirmation of study {self.study.name!r} was stopped; "
                "the same command goes on from here"
            )
            return False

        engine = LocalEngine(
            self.data,
            loss=config.loss,
            lanes=config.lanes,
            train_curve=config.train_curve,
            workers=self.workers,
            timings=self.timings,
        )
        with engine:
            train_all(engine, trainings, on_pass)
        return {
            seed: {
                str(each.number): values[seed, each.number] for each in self._missing(seed, done)
            }
            for seed in seeds
        }

    def _confirmation(self, done: dict[str, dict[str, float | None]]) -> Confirmation:
        config = self.study.config

        def confirmed(number: int, trial: int, search: float) -> Confirmed:
            cells = (done[str(seed)][str(number)] for seed in self.seeds)
            column = [math.nan if cell is None else cell for cell in cells]
            return Confirmed(trial=trial, search=search, values=column)

        def in_search(trial: TrialRecord) -> float:
            """What the search said of a trial that it trained to the end."""
            return trial.last(config.metric) if trial.status == Status.COMPLETE else math.nan

        trials = [confirmed(trial.number, trial.number, in_search(trial)) for trial in self.trials]
        return Confirmation(
            metric=config.metric,
            direction=config.direction,
            epochs=config.epochs,
            seeds=self.seeds,
            finished=self._finished,
            trials=Confirmation.ranked(trials, config.direction),
            baseline=confirmed(self._baseline.number, BASELINE, math.nan),
        )
