"""One training outside any search, logged as a run from its setting to its ending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweep.study.drive import drive
from sweep.study.ending import Ending
from sweep.study.interrupts import Interrupts
from sweep.study.training_run import TrainingRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sweep.data import Prepared
    from sweep.settings import DataChoice
    from sweep.tracking.run import Run
    from sweep_model.results import EpochResult


def log_training(
    run: Run,
    data: Prepared,
    choice: DataChoice,
    trained: Iterator[EpochResult],
    *,
    given: Mapping[str, Any],
    title: str,
    unfinished: str,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda *_: None,
) -> tuple[TrainingRun, Ending, str]:
    """Train and log; return the training, how it ended and why. The run is left open.

    `trained` trains, epoch by epoch; `given` are the run's
    parameters; `unfinished` opens the
    line that an interruption is reported with.

    Raises
    ------
    InterruptedStudyError
        After Ctrl-C or SIGTERM; the run is ended and says so.

    """
    with Interrupts().listening() as interrupts, run.ended_if_broken():
        training = TrainingRun.begun(run, data, choice, given)

        def take(result: EpochResult) -> None:
            on_epoch(result.epoch, training.record(result))
            run.flush_when_due()

        how, reason = drive(trained, take, interrupts, run.tracker.timings)
        training.log_ending(how, reason, title=title)
        if how == Ending.INTERRUPTED:
            interrupts.raise_received(f"{unfinished} {reason}")
    return training, how, reason
