"""Drive one training to its end, whatever that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.study.ending import Ending
from sweep_model.reference import DivergedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sweep.study.interrupts import Interrupts
    from sweep.timings import Timings
    from sweep_model.reference import EpochResult


def drive(
    epochs: Iterator[EpochResult],
    take: Callable[[EpochResult], str | None],
    interrupts: Interrupts,
    timings: Timings,
) -> tuple[Ending, str]:
    """Hand each epoch to `take`, which may answer why to prune; return the ending and its reason.

    Only problems that the user can put right are raised; a defect of one training is an ending.
    """
    try:
        while True:
            if interrupts.received is not None:
                return Ending.INTERRUPTED, f"stopped by {interrupts.received.name}"
            with timings.part("training"):
                result = next(epochs, None)
            if result is None:
                return Ending.COMPLETE, ""
            reason = take(result)
            if reason is not None:
                return Ending.PRUNED, reason
    except DivergedError as error:
        return Ending.DIVERGED, str(error)
    except SweepError:
        raise
    except Exception as error:  # noqa: BLE001 - one broken trial must not end a study
        return Ending.ERROR, f"{type(error).__name__}: {error}"
