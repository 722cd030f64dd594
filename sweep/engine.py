"""Train many trials at once: stacks side by side, each on a thread of its own."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sweep.environment import BLAS_THREADS
from sweep.seeds import stack_seed
from sweep.space import Range
from sweep_model.blocking import Blocking
from sweep_model.losses import LOSSES
from sweep_model.mirror_rows import MirrorRows
from sweep_model.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sweep.data import Prepared
    from sweep.layout import Layout
    from sweep.settings import Settings
    from sweep.space import Space
    from sweep.timings import Timings
    from sweep_model.arrays import Floats
    from sweep_model.hyperparameters import Hyperparameters
    from sweep_model.results import DivergedError, EpochResult, SlotState


@dataclass(frozen=True, kw_only=True)
class Seat:
    """All that a trial's bits depend on besides its setting and the rows.

    Attributes
    ----------
    seed
        Of its stack.
    first_pass
        In which it begins; with the seed this decides the shuffles.
    slot
        Within its stack; with seed and passes this decides the flips.
    width
        Slots of its stack.
    micro_batch, block
        The stack's blocking, which decides the order of the sums.

    """

    seed: int
    first_pass: int
    slot: int
    width: int
    micro_batch: int
    block: int


class Engine:
    """The slots of a study. Slot s is slot s % width of stack s // width.

    One pass over the rows is an epoch of every trial. Stacks meet at the end of each pass, so
    what comes out does not depend on how many threads there are or how fast they run.

    Parameters
    ----------
    data
        Training and validation rows; `prepare(..., mirrored=True)` saves a copy of them.
    loss
        `softmax` or `bce`.
    layout
        How many slots, in stacks of which width, on how many threads.
    seeds
        One for each stack.
    blocking
        Which batch sizes can be trained, see `blocking_of`.
    timings
        Gets the seconds of `training`, `evaluation` and `waiting` (for the slowest stack).

    """

    def __init__(
        self,
        data: Prepared,
        *,
        loss: str,
        layout: Layout,
        seeds: Sequence[int],
        blocking: Blocking,
        timings: Timings,
    ) -> None:
        self.layout, self.blocking, self.timings = layout, blocking, timings
        self.next_pass = 0
        self.seeds = list(seeds)
        self.operations = 0.0
        self._operations_an_epoch = _operations_an_epoch(data)
        training, validation = mirrored(data)
        self._stacks = [
            Stack(
                training,
                validation,
                loss=LOSSES[loss],
                classes=len(data.class_names),
                slots=layout.width,
                seed=one,
                blocking=blocking,
            )
            for one in self.seeds
        ]
        self._threads = ThreadPoolExecutor(layout.workers, thread_name_prefix="trainer")

    def __enter__(self) -> Self:
        from threadpoolctl import threadpool_limits

        self._limits = threadpool_limits(BLAS_THREADS, user_api="blas")
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        self._limits.restore_original_limits()

    def seat(self, slot: int) -> Seat:
        """Return where a trial would sit that starts in this slot with the next pass."""
        stack, place = divmod(slot, self.layout.width)
        return Seat(
            seed=self.seeds[stack],
            first_pass=self.next_pass,
            slot=place,
            width=self.layout.width,
            micro_batch=self.blocking.micro_batch,
            block=self.blocking.block,
        )

    def start(self, slot: int, hyperparameters: Hyperparameters) -> None:
        """Put a trial in an empty slot; the next pass is its first epoch."""
        stack, place = divmod(slot, self.layout.width)
        self._stacks[stack].start(place, hyperparameters)

    def state(self, slot: int) -> SlotState:
        """Return where the trial in a slot stands, for `resume`."""
        stack, place = divmod(slot, self.layout.width)
        return self._stacks[stack].state(place)

    def resume(self, slot: int, hyperparameters: Hyperparameters, state: SlotState) -> Floats:
        """Put a trial back in the pass in which it left; return its weights in pixel order."""
        stack, place = divmod(slot, self.layout.width)
        return self._stacks[stack].resume(place, hyperparameters, state)

    def clear(self, slot: int) -> None:
        """Take the trial out of a slot."""
        stack, place = divmod(slot, self.layout.width)
        self._stacks[stack].clear(place)

    def run_pass(self) -> dict[int, EpochResult | DivergedError]:
        """Train and evaluate every trial for one epoch.

        Returns
        -------
        Per occupied slot, in ascending order, where its trial stands, or how it diverged; the
        slot of a diverged trial is empty then.
        """
        began = time.perf_counter()
        trials = sum(len(stack.occupied) for stack in self._stacks)
        self.next_pass += 1
        if not trials:
            list(map(Stack.run_pass, self._stacks))
            return {}
        found = list(self._threads.map(Stack.run_pass, self._stacks))
        self.operations += trials * self._operations_an_epoch
        self._account(time.perf_counter() - began)
        return {
            stack * self.layout.width + place: result
            for stack, results in enumerate(found)
            for place, result in results.items()
        }

    def _account(self, wall: float) -> None:
        """Split the wall time of a pass: what each thread did on average, and its waiting."""
        workers = self.layout.workers
        for part in ("training", "evaluation"):
            seconds = sum(stack.seconds[part] for stack in self._stacks) / workers
            self.timings.add(part, seconds)
            wall -= seconds
        self.timings.add("waiting", max(0.0, wall))


def make_engine(data: Prepared, settings: Settings, timings: Timings, first: int = 0) -> Engine:
    """Return the empty engine of a study; its stacks are numbered from `first`."""
    stacks = range(first, first + settings.layout.stacks)
    return Engine(
        data,
        loss=settings.loss,
        layout=settings.layout,
        seeds=[stack_seed(settings.seed, stack) for stack in stacks],
        blocking=blocking_of(settings.space),
        timings=timings,
    )


def train_alone(
    data: Prepared, hyperparameters: Hyperparameters, *, loss: str, epochs: int, seat: Seat
) -> Iterator[EpochResult]:
    """Train one trial where it sat, the other slots empty: it comes out the same, bit for bit.

    A DivergedError says in which epoch a cost or weight was not finite.
    """
    from threadpoolctl import threadpool_limits

    training, validation = mirrored(data)
    stack = Stack(
        training,
        validation,
        loss=LOSSES[loss],
        classes=len(data.class_names),
        slots=seat.width,
        seed=seat.seed,
        blocking=Blocking(seat.micro_batch, seat.block),
        next_pass=seat.first_pass,
    )
    stack.start(seat.slot, hyperparameters)
    for _ in range(epochs):
        with threadpool_limits(BLAS_THREADS, user_api="blas"):
            result = stack.run_pass()[seat.slot]
        if isinstance(result, Exception):
            raise result
        yield result


def blocking_of(space: Space) -> Blocking:
    """Return the blocking that suits every batch size of a space."""
    axis = space.axes["batch_size"]
    if isinstance(axis, Range):  # neighbouring sizes have no divisor but 1
        return Blocking(1, 1)
    return Blocking.of([int(size) for size in axis.values])


def mirrored(data: Prepared) -> tuple[MirrorRows, MirrorRows]:
    """Return the training and validation rows in the mirror basis; copied where they are not."""
    training = data.training
    if not isinstance(training, MirrorRows):
        training = MirrorRows.of(training, data.image_shape)
    return training, MirrorRows.of(data.validation, data.image_shape)


def _operations_an_epoch(data: Prepared) -> float:
    """4 n d k for training and 2 n d k to evaluate, floating-point operations of one trial."""
    n, features = data.training.rows.shape
    weights = features * len(data.class_names)
    return float(weights * (6 * n + 2 * len(data.validation.labels)))
