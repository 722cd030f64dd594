"""Looks at a shared study that cost what has changed since the last one, not what there is.

Optuna's own way reads every unfinished trial anew: with a thousand workers, each would read the
trials of all the others every two seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sweep.study.storage import backend_of, reaching_store
from sweep.workers.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Collection

    from optuna.trial import FrozenTrial, TrialState

    from sweep.study.opening import OpenStudy

LARGEST_ID = 2**31 - 1
AT_ONCE = 5_000
"""Trials in one query: databases bound its parameters."""


class Line(NamedTuple):
    """What a look reads of every trial that it does not know to be finished."""

    trial_id: int
    number: int
    state: TrialState


class Lookout:
    """Reads trials of all workers, each once as it begins, once with its setting, once at its end.

    Parameters
    ----------
    study
        A shared one.

    """

    def __init__(self, study: OpenStudy) -> None:
        settings = study.settings
        self.study = study
        self.finished = 0
        """How many trials count towards the budget."""
        self.failed: set[int] = set()
        """The numbers of those that failed."""
        # Random settings without pruning need nothing of what others found.
        self._curious = settings.sampler == "tpe" or settings.pruner != "none"
        self._racing = settings.pruner == "hyperband"  # judges trials by others in training
        self._first = 0  # all trials before this number are known to be finished
        self._next = 0  # trials from this number on were not seen yet
        self._ended: set[int] = set()
        self._set: set[int] = set()  # trials in training whose setting is known
        with reaching_store(study.storage):
            self._study_id = study.storage.get_study_id_from_name(study.name)

    @patiently
    def look(self, wanted: Collection[int] = ()) -> list[FrozenTrial]:
        """Return by number the trials that are new, newly set or newly ended, and the wanted.

        Of a new one that does not matter the number is all that is said.
        """
        with reaching_store(self.study.storage):
            lines = self._lines()
            read = [line for line in lines if line.number in wanted or self._is_news(line)]
            found = {trial.number: trial for trial in self._read(read)}
        for line in lines[max(0, self._next - self._first) :]:
            found.setdefault(line.number, _bare(line.number))
        self._set |= {number for number, trial in found.items() if trial.params}
        self._next = max(self._next, self._first + len(lines))
        self._note_ends(lines)
        return [found[number] for number in sorted(found)]

    def _note_ends(self, lines: list[Line]) -> None:
        for line in lines:
            if line.state.is_finished() and line.number not in self._ended:
                self._ended.add(line.number)
                self._set.discard(line.number)
                if line.state.name == "FAIL":
                    self.failed.add(line.number)
                else:
                    self.finished += 1
        while self._first in self._ended:
            self._ended.discard(self._first)
            self._first += 1

    def _lines(self) -> list[Line]:
        from optuna.storages._rdb.models import TrialModel
        from optuna.storages._rdb.storage import _create_scoped_session
        from sqlalchemy import select

        query = (
            select(TrialModel.trial_id, TrialModel.number, TrialModel.state)
            .where(TrialModel.study_id == self._study_id, TrialModel.number >= self._first)
            .order_by(TrialModel.number)
        )
        with _create_scoped_session(backend_of(self.study.storage).scoped_session) as session:
            return [Line(*row) for row in session.execute(query)]

    def _is_news(self, line: Line) -> bool:
        if not self._curious:
            return False
        if line.state.is_finished():
            return line.number not in self._ended
        return self._racing or line.number not in self._set

    def _read(self, lines: list[Line]) -> list[FrozenTrial]:
        found: list[FrozenTrial] = []
        for start in range(0, len(lines), AT_ONCE):
            ids = {line.trial_id for line in lines[start : start + AT_ONCE]}
            found += backend_of(self.study.storage)._get_trials(  # noqa: SLF001 - Optuna's cache asks so
                self._study_id, None, included_trial_ids=ids, trial_id_greater_than=LARGEST_ID
            )
        return found


def _bare(number: int) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    trial = create_trial(state=TrialState.RUNNING)
    trial.number = number
    return trial
