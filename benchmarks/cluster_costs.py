"""What a shared study's servers spend on each thing that a worker asks of them, measured.

What counts is the processor time of the servers' own processes: a worker's share of the work is
done on its own machine, and other programs beside this one change little of it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from sweep.curves import METRICS
from sweep.layout import Layout, LayoutChoice
from sweep.settings import DataChoice, Settings
from sweep.space import BASELINES, DEFAULT_SPACES
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.storage import create_storage
from sweep.tracking.delivery import new_key
from sweep.tracking.news import News, Point
from sweep.tracking.tracker import Tracker
from sweep.workers.beginning import begin_shared
from sweep.workers.leases import Leases
from sweep.workers.lookout import Lookout
from sweep.workers.shared_ledger import SharedLedger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweep.study.opening import OpenStudy

SLOTS, EPOCHS = 32, 50
"""Of a worker with two cores that trains on CIFAR-10."""
TRIALS = 40 * SLOTS
IMAGE = b"\x89PNG" + bytes(40_000)
FILES = {f"images/{number}.png": IMAGE for number in range(10)} | {
    f"figures/{number}.png": IMAGE for number in range(2)
}
"""About as many bytes, in as many files, as a trial's run gets."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds of a server's processor, and of the lock of the ask.

    Attributes
    ----------
    claim, claim_a_trial
        Of the database, to give a worker some trials.
    lock, lock_a_trial
        For how long nobody else may ask meanwhile.
    look_a_trial
        To read that a trial is there; it is read again as long as it trains.
    read_a_trial
        To read all of a trial: as it begins, once it is set, at its end.
    begin, finish
        Of one trial.
    beat_a_trial
        To keep one trial's lease, with some values.
    letter_a_run
        Of MLflow's server, for some points of one run.
    run
        All else that a run costs there: its creation, parameters, tags, images and end.

    """

    claim: float
    claim_a_trial: float
    lock: float
    lock_a_trial: float
    look_a_trial: float
    read_a_trial: float
    begin: float
    finish: float
    beat_a_trial: float
    letter_a_run: float
    run: float


class Meter:
    """Adds up the processor time of a server's processes."""

    def __init__(self, root: psutil.Process) -> None:
        self.root = root
        self.seconds = 0.0

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measure what the server spends in a block."""
        before = self._spent()
        yield
        time.sleep(0.05)  # until it has accounted for the last of it
        self.seconds = self._spent() - before

    def _spent(self) -> float:
        total = 0.0
        for process in [self.root, *self.root.children(recursive=True)]:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        return total


def server_on(port: int) -> psutil.Process:
    """Return the outermost process of the server that listens on a port of this machine."""
    listening = [
        one
        for one in psutil.net_connections("tcp")
        if one.laddr.port == port and one.status == "LISTEN"
    ]
    process = psutil.Process(listening[0].pid)
    while process.parent() is not None and process.parent().name() == process.name():
        process = process.parent()
    return process


def settings(name: str) -> Settings:
    """Return the settings of a study that trains nothing."""
    data = DataChoice(
        source="cifar10",
        directory=None,
        name="cifar10",
        val_size=1_000,
        split_seed=0,
        data_digest="d" * 64,
        split_digest="5" * 64,
    )
    return Settings(
        study=name,
        loss="softmax",
        epochs=EPOCHS,
        seed=0,
        sampler="random",
        pruner="none",
        objective="val-accuracy",
        data=data,
        space=DEFAULT_SPACES["softmax"],
        layout=Layout(slots=SLOTS, width=16, workers=2),
        shared=True,
    )


def measure(storage: str, tracking_uri: str, database: Meter, server: Meter) -> Costs:
    """Measure all of it on real servers."""
    name = f"costs-{time.time():.0f}"
    study = begin_shared(
        settings(name), create_storage(storage), LayoutChoice(), trials=TRIALS, grace=3600.0
    )
    return Costs(**_of_database(study, database), **_of_server(tracking_uri, server))


def _of_database(study: OpenStudy, meter: Meter) -> dict[str, float]:
    leases, ledger = Leases(study, "one"), SharedLedger(study.settings)
    costs: dict[str, float] = {}
    single, bulk = 10, TRIALS // SLOTS - 2
    with meter.measuring():
        began = time.perf_counter()
        held = [lease for _ in range(single) for lease in leases.claim(1).leases]
        one = (time.perf_counter() - began) / single
    costs["claim"] = meter.seconds / single
    with meter.measuring():
        began = time.perf_counter()
        held += [lease for _ in range(bulk) for lease in leases.claim(SLOTS).leases]
        many = (time.perf_counter() - began) / bulk
    costs["claim_a_trial"] = (meter.seconds / bulk - costs["claim"]) / (SLOTS - 1)
    costs["lock"], costs["lock_a_trial"] = one, (many - one) / (SLOTS - 1)

    asked = min(400, len(held))
    news = Lookout(study).look()
    ledger.take_in(news, ())
    trials = [ledger.propose(news[lease.number]) for lease in held[:asked]]
    known = {attributes.POSITION: 0, attributes.ATTEMPT: 1, attributes.SLOT: 0, attributes.SEAT: {}}
    with meter.measuring():
        for lease, trial in zip(held, trials, strict=False):
            leases.begin(lease, trial, known)
    costs["begin"] = meter.seconds / asked

    curve = [0.4 + epoch / 1_000 for epoch in range(EPOCHS)]
    beats = 10
    with meter.measuring():
        for beat in range(beats):
            for first in range(0, asked, SLOTS):
                part = held[first : first + SLOTS]
                leases.beat(dict.fromkeys(part, curve[: 4 * beat + 4]))
    costs["beat_a_trial"] = meter.seconds / beats / asked

    record = {
        attributes.CURVES: dict.fromkeys(METRICS, curve),
        attributes.ENDING: "complete",
        attributes.LETTER: 1,
    }
    with meter.measuring():
        for lease in held[:asked]:
            leases.finish(lease, Ending.COMPLETE, curve, record)
    costs["finish"] = meter.seconds / asked

    with meter.measuring():
        for _ in range(5):
            Lookout(study)._read(Lookout(study)._lines()[:asked])  # noqa: SLF001 - its two halves apart
    both = meter.seconds / 5
    with meter.measuring():
        for _ in range(50):
            Lookout(study)._lines()  # noqa: SLF001
    costs["look_a_trial"] = meter.seconds / 50 / len(held)
    costs["read_a_trial"] = (both - costs["look_a_trial"] * len(held)) / asked
    return costs


def _of_server(uri: str, meter: Meter) -> dict[str, float]:
    tracker = Tracker("costs", uri=uri)
    setting = {key: str(value) for key, value in BASELINES["softmax"].items()}
    runs, letters = 20, 10
    keys = [new_key() for _ in range(runs)]
    names = [*METRICS, "train/learning_rate"]
    with meter.measuring():
        for key in keys:
            tracker.deliver([News(run=key, name="trial", born_with={}, parameters=setting)])
    spent = meter.seconds
    with meter.measuring():
        for letter in range(letters):
            now = int(time.time() * 1000)
            points = [Point(metric, 0.5, now, letter) for metric in names]
            tracker.deliver([News(run=key, points=list(points)) for key in keys])
    letter_a_run = meter.seconds / letters / runs
    tags = {f"sweep.tag{number}": "value" for number in range(8)}
    with meter.measuring():
        for key in keys:
            tracker.deliver([News(run=key, files=dict(FILES), tags=tags, status="FINISHED")])
    return {"letter_a_run": letter_a_run, "run": (spent + meter.seconds) / runs}
