"""Attending to loops that Ray has placed, until all of them have ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweep.errors import StoreUnreachableError, SweepError
from sweep.study.interrupts import SIGNALS, InterruptedStudyError
from sweep.workers.ray_connection import node_cores
from sweep.workers.ray_loop import Outcome

if TYPE_CHECKING:
    from sweep.study.interrupts import Interrupts
    from sweep.study.listener import Listener
    from sweep.workers.watch import Watch

LOOK_SECONDS = 1.0
SILENT_SECONDS = 15.0
"""A loop that does not say for so long where it is has no machine."""
STOP_SECONDS = 60.0
"""Until the loops have given back their trials; they stop at the end of a pass."""
STOPPED = tuple(128 + number for number in SIGNALS)
"""Exit codes of a loop that was asked to stop."""


@dataclass
class Placed:
    """The actors of one run, and what its loops returned."""

    shelf: Any
    loops: dict[Any, Any]
    """For each loop that has not ended, by what will be its outcome."""
    outcomes: list[Outcome] = field(default_factory=list)


class Attendance:
    """Waits for the loops, shows how the study stands, and stops them when asked to.

    Parameters
    ----------
    ray
        The package, connected.
    placed
        The loops.
    watch, listener
        Tell how the study and the cluster are.

    """

    def __init__(self, ray: Any, placed: Placed, watch: Watch, listener: Listener) -> None:
        self._ray, self._placed, self._watch, self._listener = ray, placed, watch, listener
        self._silence = _Silence(ray)
        self._machines = len(node_cores(ray))

    def see_through(self, interrupts: Interrupts) -> str:
        """Wait for the end, and say in a phrase why it came."""
        deadline = None
        while self._placed.loops:
            self._collect()
            self._count_machines()
            self._watch.look()
            if interrupts.received is not None and deadline is None:
                deadline = time.monotonic() + STOP_SECONDS
                for loop in self._placed.loops.values():
                    loop.stop.remote(int(interrupts.received))
            late = deadline is not None and time.monotonic() > deadline
            if late or ((deadline or self._placed.outcomes) and self._nobody_answers()):
                break  # what is left has no machine: others have done its work, or will
        self._watch.look()
        if interrupts.received is not None:
            raise InterruptedStudyError(self._stopped_line(interrupts), interrupts.received)
        return self._conclusion()

    def _collect(self) -> None:
        ray, loops = self._ray, self._placed.loops
        ended, _ = ray.wait(list(loops), num_returns=len(loops), timeout=LOOK_SECONDS)
        for ref in ended:
            del loops[ref]
            outcome = self._outcome(ref)
            self._placed.outcomes.append(outcome)
            if outcome.exit_code not in (0, *STOPPED):
                self._listener.warned(f"a loop ended: {outcome.text}")

    def _count_machines(self) -> None:
        now = len(node_cores(self._ray))
        if now < self._machines:
            self._listener.warned(f"a machine of the Ray cluster is gone; {now} are left")
        self._machines = now

    def _outcome(self, ref: Any) -> Outcome:
        errors = self._ray.exceptions
        try:
            outcome = self._ray.get(ref)
            assert isinstance(outcome, Outcome)  # noqa: S101 - it is what `run` returns
        except errors.RayTaskError as error:
            what = f"{type(error.cause).__name__}: {error.cause}"
            return Outcome(text=f"{what.splitlines()[0]}; this is a defect of sweep", exit_code=1)
        except errors.RayError as error:
            last = [line for line in str(error).splitlines() if line.strip()][-1].strip()
            return Outcome(
                text=f"{type(error).__name__}: {last}; is sweep installed on every machine, in "
                "this version?",
                exit_code=1,
            )
        return outcome

    def _nobody_answers(self) -> bool:
        silent = [self._silence.lasts(loop) for loop in self._placed.loops.values()]
        return all(silent)

    def _stopped_line(self, interrupts: Interrupts) -> str:
        assert interrupts.received is not None  # noqa: S101 - asked before
        return (
            f"by {interrupts.received.name} with {self._watch.counts.finished} finished trials; "
            "the same command goes on with it"
        )

    def _conclusion(self) -> str:
        outcomes = self._placed.outcomes
        done = [outcome for outcome in outcomes if outcome.exit_code == 0]
        if not done:
            first = outcomes[0]
            away = first.exit_code == StoreUnreachableError.exit_code
            raise (StoreUnreachableError if away else SweepError)(first.text)
        return f"{done[0].text}; {self._reading()}"

    def _reading(self) -> str:
        """Say how often the rows were read, and on how many machines."""
        try:
            reads: dict[str, int] = self._ray.get(
                self._placed.shelf.reads.remote(), timeout=SILENT_SECONDS
            )
        except self._ray.exceptions.RayError:
            return "who read the rows is not known"
        machines = "1 machine" if len(reads) == 1 else f"each of {len(reads)} machines"
        more = sum(reads.values()) - len(reads)
        return f"the rows were read once on {machines}" + (f", and {more} times anew" * bool(more))


class _Silence:
    """Asks loops where they are, and knows for how long they have not answered."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._asked: dict[Any, tuple[Any, float]] = {}

    def lasts(self, loop: Any) -> bool:
        """Whether a loop has not answered for long."""
        if loop not in self._asked:
            self._asked[loop] = loop.node.remote(), time.monotonic()
        answer, since = self._asked[loop]
        answered, _ = self._ray.wait([answer], timeout=0)
        if answered:
            del self._asked[loop]
            return False
        return time.monotonic() - since > SILENT_SECONDS
