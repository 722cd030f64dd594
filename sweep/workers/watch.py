"""What a listener is told of a study that others train, from looks at the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.errors import StoreUnreachableError
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.results import Tally, ending, tally
from sweep.study.standing import Standing

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from sweep.curves import Curves
    from sweep.study.listener import Listener
    from sweep.study.opening import OpenStudy


class Watch:
    """Looks at a study now and then, and tells what happened since.

    Parameters
    ----------
    study
        What is watched.
    listener
        Who is told.

    """

    def __init__(self, study: OpenStudy, listener: Listener) -> None:
        self._study, self._listener = study, listener
        trials = study.trials()
        self._standing = Standing(study.settings, trials)
        self._ended = {trial.number for trial in trials if trial.state.is_finished()}
        self._epochs: dict[int, int] = {}  # of the trials in training, as far as they were told
        self._away = self._under_way = False
        self.counts: Tally = tally(trials)

    def look(self) -> None:
        """Tell the news; while the store is away, once that it is."""
        try:
            trials = self._study.trials()
        except StoreUnreachableError as error:
            if not self._away:
                self._listener.warned(str(error))
            self._away = True
            return
        self._away, self.counts = False, tally(trials)
        for trial in trials:
            if trial.number not in self._ended:
                self._tell(trial)
        if self._under_way:  # before the first epoch nobody can say how long it will take
            self._listener.pass_ended(len(self._epochs))

    def _tell(self, trial: FrozenTrial) -> None:
        how = ending(trial)
        if trial.state.is_finished():
            curves: Curves = trial.user_attrs.get(attributes.CURVES, {})
            self._tell_epochs(trial.number, curves.get(self._study.settings.metric, []))
            self._tell_end(trial, how or Ending.ERROR, curves)
            return
        values = trial.intermediate_values
        self._tell_epochs(trial.number, [values[step] for step in sorted(values)])

    def _tell_epochs(self, number: int, values: list[float]) -> None:
        told = self._epochs.get(number)
        if told is None or len(values) < told:  # new, or another worker began it anew
            told = 0
            self._listener.trial_began(number)
        for epoch in range(told, len(values)):
            self._listener.epoch_ended(number, epoch + 1, values[epoch])
            self._under_way = True
        self._epochs[number] = len(values)

    def _tell_end(self, trial: FrozenTrial, how: Ending, curves: Curves) -> None:
        if how in (Ending.COMPLETE, Ending.PRUNED):
            self._standing.take(trial.number, how, curves)
        reason = str(trial.user_attrs.get(attributes.REASON, ""))
        self._listener.trial_ended(trial.number, how, reason, self._standing.best)
        self._ended.add(trial.number)
        del self._epochs[trial.number]
