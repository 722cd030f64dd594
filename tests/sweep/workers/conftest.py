"""Shared studies, their workers, and time that passes in the database alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sweep.curves import new_curves
from sweep.engine import Seat
from sweep.layout import LayoutChoice
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.listener import Listener
from sweep.study.storage import backend_of, create_storage, open_storage
from sweep.study.trial_life import Asked
from sweep.timings import Timings
from sweep.tracking.tracker import Tracker
from sweep.workers.beginning import begin_shared
from sweep.workers.leases import Leases
from sweep.workers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.data import Prepared
    from sweep.study.opening import OpenStudy
    from sweep.workers.lease import Lease

GRACE = 60.0


class Told(Listener):
    """Remembers what it is told, and may do something at the end of each pass or epoch."""

    def __init__(self) -> None:
        self.began: list[int] = []
        self.ended: list[int] = []
        self.left: list[int] = []
        self.warnings: list[str] = []
        self.at_epoch: Callable[[int, int], object] = lambda *_: None

    def trial_began(self, number: int) -> None:
        self.began.append(number)

    def epoch_ended(self, number: int, epoch: int, value: float) -> None:
        del value
        self.at_epoch(number, epoch)

    def trial_ended(self, number: int, *_: object) -> None:
        self.ended.append(number)

    def trial_left(self, number: int) -> None:
        self.left.append(number)

    def warned(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def listener() -> type[Told]:
    """Return what makes listeners that remember what they are told."""
    return Told


@dataclass
class Shared:
    """A shared study, and what its workers need."""

    study: OpenStudy
    data: Prepared
    address: str | None
    workers: list[Worker] = field(default_factory=list)

    def leases(self, worker: str) -> Leases:
        """Return what a worker takes leases with."""
        return Leases(self.study, worker)

    def tracker(self) -> Tracker:
        """Return the MLflow store."""
        return Tracker("tiny")

    def worker(self, told: Listener | None = None, *, slots: int = 2) -> Worker:
        """Return a worker."""
        choice = LayoutChoice(slots=slots, workers=1)
        return Worker(
            self.study, self.data, self.tracker(), told or Told(), Timings(), choice=choice
        )

    def proposed(self, seed: int) -> Any:
        """Return some setting, as an Optuna trial."""
        import optuna

        memory = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        trial = memory.ask()
        self.study.settings.space.suggest(trial)
        return trial

    def complete(self, worker: str, lease: Lease, **known: Any) -> None:
        """Begin and end a trial as a worker that trained it for one epoch."""
        leases = self.leases(worker)
        seat = Seat(seed=1, first_pass=0, slot=0, width=2, micro_batch=25, block=25)
        asked = Asked(self.proposed(lease.number), seat, 0, lease.attempt)
        leases.begin(lease, asked.trial, asked.record())
        curves = new_curves() | {name: [0.5] for name in new_curves()}
        record = {attributes.ENDING: "complete", attributes.REASON: "", attributes.CURVES: curves}
        leases.finish(lease, Ending.COMPLETE, [0.5], {**record, **known})

    def silence(self, seconds: float, *numbers: int) -> None:
        """Let so much time pass since the last heartbeats, of all trials or of these."""
        from optuna.storages._rdb.models import TrialHeartbeatModel as Heartbeat

        ids = self.ids()
        chosen = {ids[number] for number in numbers or ids}
        with self.session() as session, session.begin():
            for row in session.query(Heartbeat).filter(Heartbeat.trial_id.in_(chosen)):
                row.heartbeat -= timedelta(seconds=seconds)

    def hush(self, number: int) -> None:
        """Take a trial's heartbeat away."""
        from optuna.storages._rdb.models import TrialHeartbeatModel as Heartbeat

        with self.session() as session, session.begin():
            session.query(Heartbeat).filter_by(trial_id=self.ids()[number]).delete()

    def heartbeats(self) -> dict[int, Any]:
        """Return when each trial was heard of last, by its number."""
        from optuna.storages._rdb.models import TrialHeartbeatModel as Heartbeat

        numbers = {trial_id: number for number, trial_id in self.ids().items()}
        with self.session() as session:
            return {numbers[row.trial_id]: row.heartbeat for row in session.query(Heartbeat)}

    def ids(self) -> dict[int, int]:
        """Return the trials' ids by their numbers."""
        return {trial.number: trial._trial_id for trial in self.study.trials()}

    def session(self) -> Any:
        """Return a session with the store."""
        from sqlalchemy.orm import Session

        return Session(backend_of(self.study.storage).engine)

    def states(self) -> list[str]:
        """Return the trials' states."""
        return [trial.state.name for trial in self.study.trials()]


@pytest.fixture
def begun(workspace, tiny_npz) -> Callable[..., Shared]:  # noqa: ARG001 - enters the folder
    """Return a function that begins a shared study, in a file or at an address."""
    from sweep.study.plan import Plan

    def begin(
        *, trials: int = 6, grace: float = GRACE, address: str | None = None, **changes: Any
    ) -> Shared:
        options = {
            "loss": "softmax",
            "epochs": 3,
            "seed": 0,
            "data": str(tiny_npz),
            "data_dir": None,
            "val_size": None,
            "split_seed": 0,
            "space_file": None,
            "overrides": (),
            "sampler": "tpe",
            "pruner": "none",
            "objective": "val-accuracy",
            "study_name": "shared",
            "layout": LayoutChoice(slots=2, width=2, workers=1),
            "shared": True,
        }
        plan = Plan(**{**options, **changes})
        settings, data = plan.settle(plan.open_source(), trials=trials)
        study = begin_shared(
            settings, create_storage(address), plan.layout, trials=trials, grace=grace
        )
        return Shared(study, data, address)

    return begin


@pytest.fixture
def reopened() -> Callable[[Shared], Shared]:
    """Return a function that opens a shared study as another process would."""
    from sweep.study.opening import load_study

    def reopen(one: Shared) -> Shared:
        return Shared(load_study(one.study.name, open_storage(one.address)), one.data, one.address)

    return reopen


@pytest.fixture
def at_once(monkeypatch) -> None:
    """Let no look at the store wait for the one before."""
    monkeypatch.setattr("sweep.workers.shift.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("sweep.workers.shift.LOOK_SHARE", 0)


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch) -> None:
    """Draw and register nothing: pictures are tested elsewhere."""
    monkeypatch.setattr("sweep.workers.settling.conclude", lambda *_: None)
    monkeypatch.setattr("sweep.study.training_run.curves_figure", lambda *_, **__: None)
    monkeypatch.setattr("sweep.tracking.run.Run.figure", lambda *_: None)
