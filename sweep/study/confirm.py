"""Train the top trials of a study again on fresh seeds, side by side, and rank them by the mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sweep.curves import point
from sweep.engine import Engine, blocking_of
from sweep.errors import SweepError
from sweep.layout import Layout
from sweep.seeds import fresh_seed
from sweep.space import BASELINES
from sweep.study import attributes
from sweep.study.confirmation import Confirmation, Confirmed
from sweep.study.ending import Ending
from sweep.study.interrupts import Interrupts
from sweep.study.lock import study_lock
from sweep.study.results import ending, ranked, tally
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.results import DivergedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optuna.trial import FrozenTrial

    from sweep.data import Prepared
    from sweep.study.opening import OpenStudy
    from sweep.timings import Timings


class Confirming:
    """Trains the `top` trials of a study on `seeds` fresh seeds, and the baseline beside them.

    One stack per seed holds all of them, so a seed's shuffles are the same for all and those of
    no other seed. A few seeds train at a time and are recorded when they are done: the same
    command again goes on from there, and asking for more seeds adds the missing ones. Flips are
    drawn by the place among the settings, so with another `top` a setting comes out a little other.

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

    Raises
    ------
    SweepError
        No trial is complete.

    """

    def __init__(
        self, study: OpenStudy, data: Prepared, *, top: int, seeds: int, timings: Timings
    ) -> None:
        self.study, self.data, self.timings = study, data, timings
        complete = [trial for trial in ranked(study) if ending(trial) == Ending.COMPLETE]
        if not complete:
            raise SweepError(
                f"study {study.name!r} has no complete trial to confirm; "
                "go on with `sweep run` as before"
            )
        self.trials: list[FrozenTrial] = complete[:top]
        self._finished = tally(study.trials()).finished
        baseline = study.settings.space.clip(BASELINES[study.settings.loss])
        self.settings: list[dict[str, Any]] = [trial.params for trial in self.trials]
        if baseline not in self.settings:
            self.settings.append(dict(baseline))
        self._baseline = self.settings.index(baseline)
        # What is done is not thrown away, also where fewer seeds are asked for.
        seeds = max(seeds, len(self._recorded()))
        self.seeds = [fresh_seed(study.settings.seed, number) for number in range(seeds)]

    @property
    def passes(self) -> int:
        """How many passes over the rows are missing."""
        return (len(self.seeds) - len(self._recorded())) * self.study.settings.epochs

    def run(self, on_epoch: Callable[[int], None] = lambda _: None) -> Confirmation:
        """Train what is missing, record the confirmation and return it.

        `on_epoch` is told how many seeds have trained for one more epoch.

        Raises
        ------
        InterruptedStudyError
            After Ctrl-C or SIGTERM; the seeds that are done are kept.
        SweepError
            Another process runs the study.

        """
        workers = self.study.settings.layout.workers
        study = self.study
        with study_lock(study.name), Interrupts().listening() as interrupts:
            values = self._recorded()
            while len(values) < len(self.seeds):
                missing = self.seeds[len(values) :]
                values += self._train(missing[:workers], interrupts, on_epoch)
                self.study.set_attribute(
                    attributes.CONFIRMING, {"plan": self._plan(), "values": values}
                )
            found = self._confirmation(values)
            self.study.set_attribute(attributes.CONFIRMATION, found.record())
        return found

    def _train(
        self, seeds: Sequence[int], interrupts: Interrupts, on_epoch: Callable[[int], None]
    ) -> list[list[float | None]]:
        """Return the objective's value per seed and setting; None where a training diverged."""
        settings, width = self.study.settings, len(self.settings)
        values: list[list[float | None]] = [[None] * width for _ in seeds]
        engine = Engine(
            self.data,
            loss=settings.loss,
            layout=Layout(slots=width * len(seeds), width=width, workers=len(seeds)),
            seeds=seeds,
            blocking=blocking_of(settings.space),
            timings=self.timings,
        )
        with engine:
            for slot in range(width * len(seeds)):
                engine.start(slot, Hyperparameters(**self.settings[slot % width]))
            for epoch in range(1, settings.epochs + 1):
                interrupts.raise_received(
                    f"the confirmation of study {self.study.name!r} was stopped; "
                    "the same command goes on from here;"
                )
                for slot, result in engine.run_pass().items():
                    if epoch == settings.epochs and not isinstance(result, DivergedError):
                        seed, place = divmod(slot, width)
                        values[seed][place] = point(result)[settings.metric]
                on_epoch(len(seeds))
        return values

    def _plan(self) -> dict[str, Any]:
        """What the values depend on besides the study's settings; slots are in its order."""
        return {"trials": [trial.number for trial in self.trials], "width": len(self.settings)}

    def _recorded(self) -> list[list[float | None]]:
        """The values of the seeds that are done, of earlier runs of this very plan."""
        record = self.study.attribute(attributes.CONFIRMING, {})
        values: list[list[float | None]] = record.get("values", [])
        return list(values) if record.get("plan") == self._plan() else []

    def _confirmation(self, values: Sequence[Sequence[float | None]]) -> Confirmation:
        settings = self.study.settings

        def confirmed(number: int, search: float, place: int) -> Confirmed:
            cells = (row[place] for row in values)
            column = [math.nan if cell is None else cell for cell in cells]
            return Confirmed(trial=number, search=search, values=column)

        trials = [
            confirmed(trial.number, trial.value or 0.0, place)
            for place, trial in enumerate(self.trials)
        ]
        return Confirmation(
            metric=settings.metric,
            direction=settings.direction,
            epochs=settings.epochs,
            seeds=self.seeds,
            finished=self._finished,
            trials=Confirmation.ranked(trials, settings.direction),
            baseline=confirmed(-1, math.nan, self._baseline),
        )
