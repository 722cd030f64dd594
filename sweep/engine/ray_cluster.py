"""The engine of many machines: panels of trainings in the actors of a Ray cluster.

An actor is a process with one BLAS thread that holds panels, and trains them for a pass when it is
told to. The rows lie in Ray's object store, once on each machine, and are read there without a
copy. This process alone decides which training stands in which panel, and which actor has it.
Results come back as arrays, 88 bytes or less for each training; weights travel where they are asked
for, and from actor to actor where panels are dealt out anew.
"""

from __future__ import annotations

import math
import socket
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

import numpy as np

from sweep.config import MAX_SLOTS, default_lanes
from sweep.engine.local import (
    LaneChecks,
    LocalEngine,
    available_cores,
    operations_an_epoch,
    shared_rows,
)
from sweep.engine.placement import Actor, Placement
from sweep.engine.protocol import TrainersLostError
from sweep.engine.ray_calls import (
    INSTALL,
    POLL_SECONDS,
    ActorFailedError,
    ActorLostError,
    RayCluster,
    head_is_gone,
)
from sweep.engine.repeats import RepeatedEngine
from sweep.environment import BLAS_THREADS, differences, environment
from sweep.errors import StoreUnreachableError, SweepError
from sweep.formatting import counted
from sweep_model.panels import LaneState, Panels
from sweep_model.training import DivergedError, EpochResult, Evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from sweep.config import StudyConfig
    from sweep.data import Prepared
    from sweep.engine.local import SharedRows
    from sweep.engine.placement import Member
    from sweep.engine.protocol import Results
    from sweep.environment import Environment
    from sweep.timings import Timings
    from sweep_model import Floats
    from sweep_model.training import Training

HEAD_SECONDS = 30.0
"""So long the head may be away. Ray itself ends the process without a word after 60."""
START_SECONDS = 20.0
"""Within which an actor is ready where a core is free."""
FREE_CORE_SECONDS = 600.0
"""How long a cluster may have no free core at all."""
MOST_LOSSES = 5
"""In a row, before a pass is reached that was not before; then it is no accident."""
SEEDS = 10
"""Trained side by side at least: to begin anew for each of them would take longer."""
BITS = ("python", "numpy", "scipy", "sweep", "kernels", "blas", "machine")
"""Entries of the environment that machines are compared by."""


class Answer(NamedTuple):
    """What a pass of one trainer comes to.

    Attributes
    ----------
    numbers : (n,) of the trainings.
    values : (n, sets, 3) loss, cost and accuracy; NaN for sets that were not evaluated.
    further : (n, m) further metrics of the validation rows.
    diverged : by number the epoch and the reason.
    training, evaluation : seconds.
    lanes_agree : see `LaneChecks`.
    """

    numbers: npt.NDArray[np.int64]
    values: Floats
    further: Floats
    diverged: dict[Hashable, tuple[int, str]]
    training: float
    evaluation: float
    lanes_agree: bool


class Trainer:
    """What an actor is: panels on one thread. Trainings go by number."""

    def __init__(self, rows: SharedRows, lanes: int) -> None:
        from threadpoolctl import threadpool_limits

        threadpool_limits(BLAS_THREADS, user_api="blas")
        self._problems, self._width, self._further = rows.problems(), lanes, rows.further
        self.clear()

    def clear(self) -> None:
        """Forget all trainings."""
        self._panels = Panels(*self._problems, lanes=self._width)
        self._lanes = LaneChecks(self._panels)

    def about(self) -> tuple[str, Environment]:
        """Return the name of the machine, and what bits depend on there."""
        return socket.gethostname(), environment()

    def start(self, next_pass: int, trainings: Mapping[int, Training]) -> None:
        """Begin trainings with the next pass."""
        self._panels.next_pass = next_pass
        for number, training in trainings.items():
            self._lanes.check(training)
            self._panels.start(number, training)

    def drop(self, numbers: Iterable[int]) -> None:
        """Take trainings out."""
        for number in numbers:
            self._panels.drop(number)

    def states(self, numbers: Iterable[int]) -> tuple[Floats, Floats]:
        """Return weights (n, k, d) and biases (n, k)."""
        return _stacked([self._panels.state(number) for number in numbers])

    def restore(
        self, next_pass: int, trainings: Mapping[int, Training], states: tuple[Floats, Floats]
    ) -> None:
        """Go on with trainings from what `states` returned."""
        self._panels.next_pass = next_pass
        for (number, training), weights, bias in zip(trainings.items(), *states, strict=True):
            self._lanes.check(training)
            self._panels.restore(number, training, LaneState(weights, bias))

    def run_pass(self) -> Answer:
        """Train and evaluate each training for one epoch."""
        results, (seconds,) = self._panels.run_pass()
        names = self._problems[0].sets
        values = np.full((len(results), len(names), 3), np.nan)
        further = np.zeros((len(results), len(self._further)))
        diverged: dict[Hashable, tuple[int, str]] = {}
        for place, (number, result) in enumerate(results.items()):
            if isinstance(result, DivergedError):
                diverged[number] = result.epoch, result.reason
                continue
            for name, one in result.evaluations.items():
                values[place, names.index(name)] = one.loss, one.cost, one.accuracy
            further[place] = [result.evaluations["val"].further[name] for name in self._further]
        numbers = np.array(list(results), np.int64)
        return Answer(numbers, values, further, diverged, *seconds, self._lanes.agree)


class RayEngine:
    """An `Engine` whose panels train in actors; enter it to train.

    It asks for as many actors as there are panels. Where the cluster has fewer cores the others
    wait for cores that come later, which also lets an autoscaled cluster grow.

    Parameters
    ----------
    cluster : where the actors are.
    rows : training and validation rows.
    lanes : of every panel: part of what a training's bits depend on.
    timings : gets the seconds of `training` and `evaluation` (the mean of the actors that train),
        `waiting` (for the slowest of them), `driver` (all else of a pass) and `cluster` (until
        there are actors, and to end them).
    first_pass : the number of the first pass.
    noted, warned : told in a line what the cluster offers, and what is wrong with it.
    stopped : whether to wait no longer for a free core.
    clock : seconds.

    Attributes
    ----------
    operations : useful floating-point operations so far.
    workers : how many seeds to train side by side: as many as may have a core, and a few.
    machines : actors by the name of their machine.
    """

    def __init__(
        self,
        cluster: RayCluster,
        rows: SharedRows,
        *,
        lanes: int,
        timings: Timings,
        first_pass: int = 0,
        noted: Callable[[str], None] = lambda _: None,
        warned: Callable[[str], None] = lambda _: None,
        stopped: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.next_pass, self.timings, self.operations = first_pass, timings, 0.0
        self.lanes_agree = True
        self._cluster, self._rows, self._lanes = cluster, rows, lanes
        self.workers = max(cluster.cores(), SEEDS)
        self._first_pass, self._clock = first_pass, clock
        self._noted, self._warned, self._stopped = noted, warned, stopped
        problem = rows.problems()[0]
        self._sets = problem.sets
        self._operations = operations_an_epoch(problem)
        self._reference: Any = None
        self._actors: list[Actor] = []
        self._coming: list[Actor] = []
        self._placement = Placement(lanes)
        self._calls: list[tuple[Actor, Any]] = []
        self._environments: dict[str, Environment] = {}
        self._offered, self._waited = "", 0.0
        self._furthest, self._losses = first_pass, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.timings.part("cluster"):
            for actor in self._actors + self._coming:
                self._cluster.kill(actor.handle)
            self._cluster.close()

    @property
    def machines(self) -> Mapping[str, int]:
        """The actors that are there, by the name of their machine."""
        return Counter(actor.machine for actor in self._actors)

    @property
    def environment(self) -> Environment:
        """What a training's bits depend on besides itself, on all machines that took part."""
        if not self._environments:
            self._get_actors(1)
        every = list(self._environments.values())
        names = dict.fromkeys(name for each in every for name in each)
        return {name: "; ".join(sorted({e.get(name, "unknown") for e in every})) for name in names}

    def start(self, key: Hashable, training: Training) -> None:
        """Begin a training with the next pass."""
        if training.first_pass != self.next_pass:
            raise ValueError(f"{training.first_pass=} is not the next pass, {self.next_pass}")
        self._placement.add(key, training)

    def drop(self, key: Hashable) -> None:
        """Take a training out."""
        member = self._placement.remove(key)
        if member.actor is not None:
            self._ask(member.actor, "drop", [member.number])

    def states(self, keys: Iterable[Hashable]) -> dict[Hashable, LaneState]:
        """Return what trainings carry between two passes, for `restore`."""
        asked: defaultdict[Actor, list[Member]] = defaultdict(list)
        members = [self._placement.members[key] for key in keys]
        if any(member.actor is None for member in members):
            self._place()  # only then: what has had its last epoch cannot be moved
        for member in members:
            assert member.actor is not None  # noqa: S101 - it has its place
            asked[member.actor].append(member)
        for actor, theirs in asked.items():
            self._ask(actor, "states", [member.number for member in theirs])
        answers = self._finish()
        states = {
            # Copies: what Ray gives lies in the object store, and would keep it full.
            member.key: LaneState(weights.copy(), bias.copy())
            for actor, theirs in asked.items()
            for member, weights, bias in zip(theirs, *answers[actor], strict=True)
        }
        return {member.key: states[member.key] for member in members}

    def restore(self, states: Mapping[Hashable, tuple[Training, LaneState]]) -> None:
        """Go on with trainings from their states, to the same bits."""
        for key, (training, state) in states.items():
            self._placement.add(key, training, state)

    def run_pass(self) -> Results:
        """Train and evaluate each training for one epoch."""
        began, before = time.perf_counter(), self._waited
        self._place()
        busy = list(dict.fromkeys(one.actor for one in self._placement.panels if one.actor))
        for actor in busy:
            self._ask(actor, "run_pass")
        if not busy:
            self.next_pass += 1
            return {}
        replies = self._finish()
        answers = [replies[actor] for actor in busy]
        outcomes = {number: outcome for each in answers for number, outcome in self._read(each)}
        self.next_pass += 1
        if self.next_pass > self._furthest:
            self._furthest, self._losses = self.next_pass, 0
        members = self._placement.members
        results = {key: outcomes[member.number] for key, member in members.items()}
        for key, result in results.items():
            if isinstance(result, DivergedError):  # its actor has dropped it
                self._placement.remove(key)
        self.operations += len(results) * self._operations
        self.lanes_agree = self.lanes_agree and all(each.lanes_agree for each in answers)
        self._account(time.perf_counter() - began - (self._waited - before), answers)
        return results

    def _read(self, answer: Answer) -> Iterable[tuple[int, EpochResult | DivergedError]]:
        trainings = {member.number: member.training for member in self._placement.members.values()}
        answers = (answer.numbers.tolist(), answer.values.tolist(), answer.further.tolist())
        for number, sets, further in zip(*answers, strict=True):
            if number in answer.diverged:
                yield number, DivergedError(*answer.diverged[number])
                continue
            training = trainings[number]
            epoch = self.next_pass - training.first_pass + 1
            asked = dict(zip(self._rows.further, further, strict=True))
            evaluations = {
                name: Evaluation(loss, cost, accuracy, asked if name == "val" else {})
                for name, (loss, cost, accuracy) in zip(self._sets, sets, strict=True)
                if not math.isnan(loss)  # else it was not evaluated
            }
            rate = training.hyperparameters.rate(epoch - 1)
            yield number, EpochResult(epoch, rate, evaluations)

    def _account(self, wall: float, answers: Sequence[Answer]) -> None:
        training = sum(each.training for each in answers) / len(answers)
        evaluation = sum(each.evaluation for each in answers) / len(answers)
        slowest = max(each.training + each.evaluation for each in answers)
        self.timings.add("training", training)
        self.timings.add("evaluation", evaluation)
        self.timings.add("waiting", slowest - training - evaluation)
        self.timings.add("driver", max(0.0, wall - slowest))

    def _place(self) -> None:
        """Let every training be where it is to train next."""
        placement, free = self._placement, self.lanes_agree
        placement.compact(may_move=free)
        if not placement.panels:
            return
        began = time.perf_counter()
        with self.timings.part("cluster"):
            self._get_actors(len(placement.panels))
        self._waited += time.perf_counter() - began
        placement.deal(self._actors, may_move=free)
        for actor, goal, members in placement.moves():
            trainings = {member.number: member.training for member in members}
            states = [member.state for member in members if member.state is not None]
            if actor is not None:  # the weights go from actor to actor, not through this process
                sent = self._cluster.call(actor.handle, "states", list(trainings))
                self._ask(actor, "drop", list(trainings))
                self._ask(goal, "restore", self.next_pass, trainings, sent)
            elif states:
                self._ask(goal, "restore", self.next_pass, trainings, _stacked(states))
            else:
                self._ask(goal, "start", self.next_pass, trainings)

    # Actors

    def _get_actors(self, wanted: int) -> None:
        """Ask for as many actors as are wanted, and take in those that are there.

        Wait for those that have a core, not for cores that others hold; for the first one, long.
        """
        began, asked, told = self._clock(), False, False
        while True:
            if self._reference is None:
                self._reference = self._cluster.put(self._rows)
            for _ in range(wanted - len(self._actors) - len(self._coming)):
                handle, asked = self._cluster.spawn(self._reference, self._lanes), True
                self._coming.append(Actor(handle, self._cluster.call(handle, "about")))
            self._take_in_ready(0.5 if asked or not self._actors else 0)
            waited = self._clock() - began
            if self._actors and (
                not (asked and self._coming)
                or waited > START_SECONDS
                or len(self._actors) >= self._cluster.cores()
            ):
                return self._report(wanted)
            self._check_head()
            if self._stopped():
                raise TrainersLostError("stopped while no core of the Ray cluster was free")
            if not self._actors and waited > START_SECONDS and not told:
                told = True
                self._warned(
                    f"no core of the Ray cluster at {self._cluster.address} is free; "
                    f"waiting up to {FREE_CORE_SECONDS:.0f} s for one"
                )
            if waited > FREE_CORE_SECONDS:
                raise StoreUnreachableError(
                    f"no core of the Ray cluster at {self._cluster.address} was free for "
                    f"{FREE_CORE_SECONDS:.0f} s; look at `ray status`, then run the same command "
                    "again"
                )

    def _take_in_ready(self, seconds: float) -> None:
        """Take in the actors that have come."""
        if not self._coming:
            return
        ready = self._cluster.ready([actor.about for actor in self._coming], seconds)
        for actor in [actor for actor in self._coming if actor.about in ready]:
            self._coming.remove(actor)
            try:
                ((actor.machine, there),) = self._cluster.get([actor.about], POLL_SECONDS)
            except (ActorLostError, TimeoutError):
                self._cluster.kill(actor.handle)
                continue
            except ActorFailedError as error:
                raise SweepError(
                    f"no actor can begin: {error}; every machine of the cluster needs the same "
                    f"version of sweep: {INSTALL}"
                ) from error
            self._actors.append(actor)
            first = next(iter(self._environments.items()), None)
            if actor.machine not in self._environments and first is not None:
                self._compare(actor.machine, there, *first)
            self._environments[actor.machine] = there

    def _compare(self, machine: str, there: Environment, first: str, here: Environment) -> None:
        others = [{name: each.get(name, "unknown") for name in BITS} for each in (here, there)]
        if different := differences(*others):
            self._warned(
                f"machines {first} and {machine} differ ({'; '.join(different)}): trials may not "
                "come out the same bit for bit on another cluster"
            )

    def _report(self, wanted: int) -> None:
        """Say what trains, where that has changed."""
        actors, machines = len(self._actors), len(self.machines)
        offered = (
            f"Ray cluster at {self._cluster.address}: "
            f"{counted(actors, 'actor')} on {counted(machines, 'machine')}"
        )
        if offered == self._offered:
            return
        is_first, self._offered = not self._offered, offered
        self._noted(offered)
        cores, lanes = self._cluster.cores(), self._lanes
        if is_first and cores > wanted:  # later there are fewer panels, as trials end
            slots = min(MAX_SLOTS, cores * default_lanes(self._rows.classes, cores * lanes))
            self._noted(
                f"{cores} cores, and {counted(wanted, 'panel')} to train now: more cores gain "
                f"nothing; a new study with --slots {slots} would use them all"
            )

    def _ask(self, actor: Actor, method: str, *arguments: object) -> None:
        self._calls.append((actor, self._cluster.call(actor.handle, method, *arguments)))

    def _finish(self) -> dict[Actor, Any]:
        """Wait until all that was asked is done; return the last answer of each actor."""
        calls, self._calls = self._calls, []
        while True:
            self._check_head()
            try:
                values = self._cluster.get([reference for _, reference in calls], POLL_SECONDS)
            except TimeoutError:
                continue
            except (ActorLostError, ActorFailedError):
                self._find_failed(calls)
            else:
                return {actor: value for (actor, _), value in zip(calls, values, strict=True)}

    def _find_failed(self, calls: Iterable[tuple[Actor, Any]]) -> None:
        """Find out who failed, and go on with the others."""
        lost: list[Actor] = []
        for actor, reference in calls:
            while actor not in lost:
                self._check_head()
                try:
                    self._cluster.get([reference], POLL_SECONDS)
                except TimeoutError:
                    continue
                except ActorLostError:
                    lost.append(actor)
                except ActorFailedError as error:
                    raise SweepError(f"machine {actor.machine}: {error}") from error
                break
        if lost:
            self._forget_actors(lost)

    def _forget_actors(self, lost: Sequence[Actor]) -> NoReturn:
        names = Counter(actor.machine for actor in lost)
        for actor in lost:  # one that is only out of reach must not go on
            self._cluster.kill(actor.handle)
            self._actors.remove(actor)
        for actor in self._actors:
            self._ask(actor, "clear")
        self._placement.clear()
        self.next_pass = self._first_pass
        self._losses += 1
        where = ", ".join(f"{count} on {name}" for name, count in names.items())
        lost_them = f"actors were lost: {where}; {len(self._actors)} are left"
        if self._losses > MOST_LOSSES:
            raise StoreUnreachableError(
                f"{lost_them}; that was time {self._losses} in pass {self._furthest}: has each "
                "machine memory for its actors? The same command goes on"
            )
        raise TrainersLostError(lost_them)

    def _check_head(self) -> None:
        """Raise where the head has been away for long: Ray itself would end this process."""
        if self._cluster.away() >= HEAD_SECONDS:
            raise StoreUnreachableError(head_is_gone(self._cluster.address))


def _stacked(states: Sequence[LaneState]) -> tuple[Floats, Floats]:
    return np.stack([each.weights for each in states]), np.stack([each.bias for each in states])


def open_engine(
    config: StudyConfig,
    data: Prepared,
    *,
    timings: Timings,
    workers: int | None = None,
    ray: str | None = None,
    first_pass: int = 0,
    noted: Callable[[str], None] = lambda _: None,
    warned: Callable[[str], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> LocalEngine | RayEngine | RepeatedEngine:
    """Return what trains a study: threads of this process or, with an address, a Ray cluster.

    Where the rows have folds or draws, a training is one for each of them.

    Raises
    ------
    SweepError
        Ray is not installed, or refuses the address; or there are workers for a cluster elsewhere.
    StoreUnreachableError
        There is no cluster.
    """
    engine: LocalEngine | RayEngine
    repeats = data.draws or data.folds is not None
    if ray is None:
        engine = LocalEngine.of_study(
            config, data, timings=timings, workers=workers, first_pass=first_pass
        )
        return RepeatedEngine(engine, data) if repeats else engine
    if workers is not None and ray != "local":
        raise SweepError(
            f"--workers {workers} does not go with --ray {ray}: the cluster says how many cores it "
            "offers; leave it out"
        )
    with timings.part("cluster"):
        cluster = RayCluster(ray, Trainer, cores=workers or available_cores())
    engine = RayEngine(
        cluster,
        shared_rows(data, config.loss, config.train_curve, config.further, config.class_weights),
        lanes=config.lanes,
        timings=timings,
        first_pass=first_pass,
        noted=noted,
        warned=warned,
        stopped=stopped,
    )
    return RepeatedEngine(engine, data) if repeats else engine
