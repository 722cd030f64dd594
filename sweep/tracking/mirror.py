"""Brings MLflow up to date with the state of runs, by `MlflowClient` alone.

What is handed over is the whole state of a run, not what is new of it, and each point carries the
time at which its epoch ended. MLflow keeps one row for each key, step, time and value, so sending
twice changes nothing. A run that has all of its state has the tag `sweep.complete`, sent last.
"""

from __future__ import annotations

import getpass
import shutil
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

from sweep.errors import StoreUnreachableError, SweepError
from sweep.tracking.client import NOTE
from sweep.tracking.undocumented import LOGGED_IMAGES, own_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from sweep.tracking.client import Tracker

P = ParamSpec("P")
T = TypeVar("T")

KEY = "sweep.run_key"
"""The tag by which a run is found again: one run of the experiment has it."""
COMPLETE = "sweep.complete"
PARENT = "mlflow.parentRunId"
BATCH, SMALL_BATCH = 800, 100
"""MLflow takes at most 1,000 values in a call, of them 100 parameters and 100 tags."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
"""Seconds between attempts to reach a store that is away."""
CLOSE_SECONDS = 20.0
"""How long a run of a study waits at its end for a store that is away."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RunState:
    """All that MLflow is to know of a run.

    Attributes
    ----------
    key
        Of no other run in the experiment.
    parent
        The key of the run that it stands under.
    curves, times
        Of every metric the value after each epoch, from 1, and when each epoch ended, in
        milliseconds since 1970; a curve may be shorter, and have gaps.
    metrics
        What was measured once; logged with the time `ended`.
    inputs
        The data sets that it uses: name, digest, source, profile and context of each.
    files
        A folder whose content becomes the run's artifacts once it has ended, and is removed then.
    status
        RUNNING, or FINISHED, KILLED or FAILED with the time `ended`.
    final
        Whether nothing will change any more.

    """

    key: str
    name: str
    parent: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    times: Sequence[int] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, object] = field(default_factory=dict)
    note: str = ""
    inputs: Sequence[Mapping[str, str]] = ()
    files: Path | None = None
    status: str = "RUNNING"
    began: int
    ended: int | None = None
    final: bool = False


class AnyMirror(Protocol):
    """A `Mirror`, here or in another process."""

    @property
    def is_new(self) -> bool:
        """Whether the store was yet to be made."""

    def connect(self) -> None:
        """Wait until the store has answered."""

    def finished_keys(self, *, study: str, study_id: str) -> set[str]:
        """Read the runs of a study; return the keys of those that need nothing more."""

    def run_id(self, key: str) -> str | None:
        """Return MLflow's id of a run; None where it has none."""

    def discard(self, key: str) -> None:
        """Delete a run that has points, where they will be measured again at other times."""

    def update(self, state: RunState) -> str:
        """Let MLflow know of a state; return the run's id."""

    def call(
        self, function: Callable[Concatenate[Tracker, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what a function says of the tracker."""


class Mirror:
    """Sends states to the experiment of one tracker; one thread at a time.

    Parameters
    ----------
    tracker
        The connection.

    """

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._ids: dict[str, str] = {}
        self._all_known = False
        self._given: set[str] = set()
        self._sent: dict[str, int] = {}
        self._sent_tags: dict[str, dict[str, str]] = {}
        self._status: dict[str, str] = {}

    is_new = False

    def connect(self) -> None:
        """Do nothing: the tracker is connected."""

    def call(
        self, function: Callable[Concatenate[Tracker, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what a function says of the tracker."""
        return self.tracker.call(function, *args, **kwargs)

    def finished_keys(self, *, study: str, study_id: str) -> set[str]:
        """Read the runs of a study; return the keys of those that need nothing more.

        From now on only this mirror makes runs of the study: an unknown key has none.
        """
        runs = {
            run.data.tags.get(KEY): run
            for run in reversed(self.tracker.runs(study=study, study_id=study_id))
        }
        self._ids |= {key: run.info.run_id for key, run in runs.items() if key is not None}
        self._status |= {key: run.info.status for key, run in runs.items() if key is not None}
        self._all_known = True
        return {key for key, run in runs.items() if key is not None and COMPLETE in run.data.tags}

    def run_id(self, key: str) -> str | None:
        """Return MLflow's id of a run; None where it has none."""
        if key not in self._ids and not self._all_known:
            runs = self.tracker.runs(run_key=key)
            if runs:
                self._ids[key] = runs[0].info.run_id
                self._status[key] = runs[0].info.status
        return self._ids.get(key)

    def discard(self, key: str) -> None:
        """Delete a run that has points, where they will be measured again at other times."""
        run_id = self.run_id(key)
        if run_id is None:
            return
        with self.tracker.reaching():
            if self.tracker.client.get_run(run_id).data.metrics:
                self.tracker.client.delete_run(run_id)
                self._forget(key)

    def update(self, state: RunState) -> str:
        """Let MLflow know of a state; return the run's id.

        A run that was deleted meanwhile is made anew.

        Raises
        ------
        StoreUnreachableError
            The store did not take all of it; what it took does no harm when it is sent again.

        """
        existing = state.key in self._ids
        try:
            return self._update(state)
        except StoreUnreachableError:
            if not existing or self.run_id_lives(state.key):
                raise
            self._forget(state.key)
            return self._update(state)

    def run_id_lives(self, key: str) -> bool:
        """Whether the run with this key is still there; True where that cannot be told."""
        from mlflow.exceptions import MlflowException

        try:
            with own_settings:
                run = self.tracker.client.get_run(self._ids[key])
        except MlflowException as error:
            return bool(error.error_code != "RESOURCE_DOES_NOT_EXIST")
        except OSError:
            return True
        return bool(run.info.lifecycle_stage == "active")

    def _forget(self, key: str) -> None:
        for kept in (self._ids, self._sent, self._sent_tags, self._status):
            kept.pop(key, None)
        self._given.discard(key)

    def _update(self, state: RunState) -> str:
        run_id = self.run_id(state.key) or self._create(state)
        with self.tracker.reaching():
            self._send_values(run_id, state)
            if state.files is not None and state.files.is_dir() and state.status != "RUNNING":
                self._send_files(run_id, state.files)
            self._send_status(run_id, state)
            if state.final:
                self.tracker.client.set_tag(run_id, COMPLETE, "True")
        if state.final and state.files is not None:
            shutil.rmtree(state.files, ignore_errors=True)
        return run_id

    def _create(self, state: RunState) -> str:
        tags = self._tags(state)
        with self.tracker.reaching():
            run = self.tracker.client.create_run(
                self.tracker.experiment_id,
                state.began,
                {**_context(), KEY: state.key, **tags},
                state.name,
            )
        self._ids[state.key] = run.info.run_id
        self._status[state.key] = run.info.status
        self._sent_tags[state.key] = tags
        return str(run.info.run_id)

    def _tags(self, state: RunState) -> dict[str, str]:
        tags = {f"sweep.{name}": str(value) for name, value in state.tags.items()}
        if state.note:
            tags[NOTE] = state.note
        if state.files is not None and (state.files / "images").is_dir():
            tags[LOGGED_IMAGES] = "True"
        parent = None if state.parent is None else self.run_id(state.parent)
        return tags if parent is None else {**tags, PARENT: parent}

    def _send_values(self, run_id: str, state: RunState) -> None:
        """Send parameters, points and tags that the run lacks, as few times as MLflow allows."""
        from mlflow.entities import Metric, Param, RunTag

        client, tags = self.tracker.client, self._tags(state)
        before = self._sent_tags.get(state.key, {})
        given, first = state.key in self._given, self._sent.get(state.key, 0)
        values = {} if given else state.parameters
        parameters = [Param(key, str(value)) for key, value in values.items()]
        points = [
            Metric(name, float(value), state.times[first + i], first + i + 1)
            for name, curve in state.curves.items()
            for i, value in enumerate(curve[first : len(state.times)])
            if value is not None
        ]
        if state.ended is not None:
            points += [Metric(n, float(v), state.ended, 0) for n, v in state.metrics.items()]
        fresh = [RunTag(name, value) for name, value in tags.items() if before.get(name) != value]
        while parameters or points or fresh:
            client.log_batch(
                run_id,
                points[:BATCH],
                parameters[:SMALL_BATCH],
                fresh[:SMALL_BATCH],
                synchronous=True,
            )
            del points[:BATCH], parameters[:SMALL_BATCH], fresh[:SMALL_BATCH]
        if state.inputs and not given:
            client.log_inputs(run_id, datasets=_datasets(state.inputs))
        self._given.add(state.key)
        self._sent[state.key] = len(state.times)
        self._sent_tags[state.key] = before | tags

    def _send_status(self, run_id: str, state: RunState) -> None:
        if self._status.get(state.key) == state.status:
            return
        if state.status == "RUNNING":
            self.tracker.client.update_run(run_id, status=state.status)
        else:
            self.tracker.client.set_terminated(run_id, state.status, state.ended)
        self._status[state.key] = state.status

    def _send_files(self, run_id: str, files: Path) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.tracker.client.log_artifacts(run_id, str(files))
        except OSError as error:  # of the store's disk, or of the folder
            raise MlflowException(str(error)) from error


class BackgroundMirror:
    """A mirror on a thread of its own: the caller never waits for the store.

    The latest state of each run is kept until it is sent, a parent's before those of the runs under
    it. While the store is away attempts go on, further and further apart.

    Parameters
    ----------
    mirror
        Sends; nobody else uses it meanwhile.
    warned
        Told in a line when the store does not take a state, and when it has taken all of those.
    first
        Called on that thread before the first state is sent.
    prepare
        Called there before a state is sent; returns it, or another in its place.
    pause
        Seconds between the first two attempts.

    """

    def __init__(
        self,
        mirror: AnyMirror,
        warned: Callable[[str], None],
        *,
        first: Callable[[], None] = lambda: None,
        prepare: Callable[[RunState], RunState] = lambda state: state,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self._first, self._prepare = first, prepare
        self._mirror, self._warned, self._first_pause = mirror, warned, pause
        self._waiting: dict[str, RunState] = {}
        self._failing: set[str] = set()
        self._changed = threading.Condition()
        self._closing = False
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._broken: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close(seconds=0)

    def update(self, states: Iterable[RunState]) -> None:
        """Let MLflow know of states, soon; a run's later state takes the place of an earlier.

        A mistake of ours that ended the thread is raised here.
        """
        self._raise_broken()
        with self._changed:
            for state in states:
                self._waiting.pop(state.key, None)  # so that the order is that of the last change
                self._waiting[state.key] = state
            self._changed.notify()

    def close(self, seconds: float | None = None) -> list[RunState]:
        """Send what waits, for so many seconds where the store is away; return what still waits.

        Unless given, `CLOSE_SECONDS`.
        """
        with self._changed:
            seconds = CLOSE_SECONDS if seconds is None else seconds
            self._deadline = time.monotonic() + seconds
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._raise_broken()
        return list(self._waiting.values())

    def _raise_broken(self) -> None:
        broken, self._broken = self._broken, None
        if broken is not None:
            raise broken

    def _run(self) -> None:
        try:
            with suppress(SweepError):  # which sending says, too
                self._first()
            self._send_all()
        except Exception as error:  # noqa: BLE001 - raised again where the study runs
            self._broken = error

    def _send_all(self) -> None:
        pause = self._first_pause
        while (state := self._next()) is not None:
            try:
                self._mirror.update(self._prepare(state))
            except SweepError as error:
                self._put_back(state, error)
                if self._closing and time.monotonic() >= self._deadline:
                    return
                pause = self._first_pause if self._wait(pause) else min(2 * pause, LONGEST_PAUSE)
            else:
                pause = self._first_pause
                if state.key in self._failing:
                    self._failing.remove(state.key)
                    if not self._failing:
                        self._warned("MLflow answers again")

    def _next(self) -> RunState | None:
        """The state that waits longest; None when all is sent and the mirror is closing."""
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return None
                self._changed.wait()
            waiting = self._waiting
            key = next(key for key, state in waiting.items() if state.parent not in waiting)
            return waiting.pop(key)

    def _put_back(self, state: RunState, error: SweepError) -> None:
        """Try again later, after the others: a run may be refused that others are not."""
        with self._changed:
            self._waiting.setdefault(state.key, state)
        if not self._failing:
            self._warned(f"{error}; the study goes on, and MLflow is told later")
        self._failing.add(state.key)

    def _wait(self, seconds: float) -> bool:
        """Wait before the next attempt; return whether the end came meanwhile."""
        with self._changed:
            closing = self._closing
            if closing:
                seconds = min(seconds, max(0.0, self._deadline - time.monotonic()))
            return self._changed.wait_for(lambda: self._closing != closing, seconds)


@cache
def _context() -> dict[str, str]:
    """The tags by which MLflow's pages show who made a run, and with which program."""
    tags = {"mlflow.source.name": sys.argv[0], "mlflow.source.type": "LOCAL"}
    with suppress(OSError, KeyError, ImportError):  # no such user in a container
        tags["mlflow.user"] = getpass.getuser()
    return tags


def _datasets(inputs: Sequence[Mapping[str, str]]) -> list[Any]:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            dataset=Dataset(
                name=each["name"],
                digest=each["digest"],
                source_type="code",
                source=each["source"],
                profile=each["profile"],
            ),
            tags=[InputTag("mlflow.data.context", each["context"])],
        )
        for each in inputs
    ]
