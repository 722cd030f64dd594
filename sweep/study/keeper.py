"""Keeps a running study so that a death at any moment costs seconds and changes nothing.

Every few seconds, between two passes, the state of all trials in training is written to one
file, and what they measured since goes to MLflow. Both or neither must count: a point that went
out before its state was safe would be measured, and sent, a second time. So the letter is
written first but held back, the checkpoint names its number, and only then it is released.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sweep.environment import environment
from sweep.study import attributes
from sweep.study.checkpoint import Checkpoint, TrialState, load, save
from sweep.study.storage import FOLDER
from sweep.tracking.courier import Courier
from sweep.tracking.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sweep.study.opening import OpenStudy
    from sweep.tracking.run import Run
    from sweep.tracking.tracker import Tracker

SECONDS = 2.0
"""Between two checkpoints; an epoch of fifty trials on CIFAR-10 takes four."""


def outbox_folder(study: str) -> Path:
    """Return where the letters of a study wait for MLflow."""
    return FOLDER / "outbox" / study


class Keeper:
    """The checkpoint and the outbox of one study, whose lock the caller holds.

    Parameters
    ----------
    study
        The study.
    tracker
        The MLflow store that gets the letters.
    warned
        Told in a line what went wrong without ending the study.

    """

    def __init__(
        self, study: OpenStudy, tracker: Tracker, warned: Callable[[str], None] = lambda _: None
    ) -> None:
        self.study, self._warned = study, warned
        self.path = FOLDER / "checkpoints" / f"{study.name}.npz"
        self.found = self._load()
        """What the process before left; None where there is nothing to go on from."""
        released = 0 if self.found is None else self.found.released
        outbox = Outbox(
            outbox_folder(study.name),
            released=released,
            recorded={trial.user_attrs.get(attributes.LETTER, 0) for trial in study.trials()},
        )
        self.courier = Courier(tracker, outbox, warned)
        self._kept = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last checkpoint is old enough for another one."""
        return time.monotonic() - self._kept >= SECONDS

    def found_states(self) -> dict[int, TrialState]:
        """Return where the trials stand that were left in training, by their number."""
        return {} if self.found is None else dict(self.found.trials)

    def keep(self, trials: Mapping[int, TrialState], runs: Sequence[Run]) -> None:
        """Write a checkpoint of these trials, and send what is new of these runs."""
        letter = [news for run in runs if (news := run.take_news())]
        self._kept = time.monotonic()
        if not letter:
            return

        def record(number: int) -> None:
            checkpoint = Checkpoint(
                study_id=self.study.identity,
                environment=environment(),
                released=number,
                trials=dict(trials),
            )
            save(checkpoint, self.path)

        self.courier.post(letter, record)

    def forget(self) -> None:
        """Remove the checkpoint of a study of which nothing trains any more."""
        self.path.unlink(missing_ok=True)

    def _load(self) -> Checkpoint | None:
        try:
            found = load(self.path)
        except (OSError, ValueError) as error:
            self._warned(f"{error}; the trials that were in training begin anew")
            return None
        if found is None or found.study_id != self.study.identity:
            return None
        if found.environment != environment():
            self._warned(
                "the trials that were in training begin anew: they would not come out the same "
                "with other versions"
            )
            return None
        return found
