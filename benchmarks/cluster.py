"""Where a study of many workers is limited: asking, telling or logging, from 10 workers to 2,000.

    python benchmarks/cluster.py --storage URL --tracking-uri URI

First it measures what the two servers, on this machine, spend on each thing that a worker asks of
them; then it simulates workers that ask so much. A simulated worker has two cores and 32 slots and
trains on CIFAR-10: a pass takes 2.6 s, a trial up to 50 of them, every second trial is pruned.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import simpy
from cluster_costs import EPOCHS, SLOTS, Costs, Meter, measure, server_on
from measuring import Table, machine

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = (10, 30, 100, 300, 1_000, 2_000)
PASS_SECONDS = 2.6
BEAT_SECONDS = 10.0
SIMULATED_SECONDS, WARM_UP_SECONDS = 900.0, 300.0
NETWORK_SECONDS = 0.001
"""To a server and back, once for each thing that is asked."""


@dataclass(frozen=True, kw_only=True)
class Plant:
    """The servers of a cluster, and what kind of study it trains.

    Attributes
    ----------
    name
        For the table.
    database_cores, server_cores
        Of PostgreSQL's machine, and of those that MLflow's server has.
    curious
        Whether sampler or pruner need to know what the others found.

    """

    name: str
    database_cores: int
    server_cores: int
    curious: bool


PLANTS = (
    Plant(name="TPE, median; 2 + 2 cores", database_cores=2, server_cores=2, curious=True),
    Plant(name="TPE, median; 16 + 64 cores", database_cores=16, server_cores=64, curious=True),
    Plant(name="random, no pruner; 16 + 64", database_cores=16, server_cores=64, curious=False),
)


class Cluster:
    """Simulated workers at real servers' speed."""

    def __init__(self, costs: Costs, plant: Plant, workers: int) -> None:
        self.costs, self.plant, self.workers = costs, plant, workers
        self.time = simpy.Environment()
        self.lock = simpy.Resource(self.time)
        self.database = simpy.Resource(self.time, plant.database_cores)
        self.server = simpy.Resource(self.time, plant.server_cores)
        self.busy = dict.fromkeys(("lock", "database", "server"), 0.0)
        self.rng = random.Random(0)  # noqa: S311 - lengths of trials, no secrets
        self.trained = self.finished = 0
        self.changes = 0  # trials that began or ended, for everybody to read
        self.behind: deque[float] = deque(maxlen=2_000)

    def run(self) -> dict[str, float]:
        """Simulate, and return what share of the time each part was busy, and what was done."""
        for _ in range(self.workers):
            self.time.process(self._work())
        self.time.run(WARM_UP_SECONDS)
        self.busy = dict.fromkeys(self.busy, 0.0)
        self.trained = self.finished = 0
        self.time.run(SIMULATED_SECONDS)
        span = SIMULATED_SECONDS - WARM_UP_SECONDS
        return {
            "training": self.trained * PASS_SECONDS / (span * self.workers * SLOTS),
            "trials a minute": 60 * self.finished / span,
            "lock": self.busy["lock"] / span,
            "database": self.busy["database"] / span / self.plant.database_cores,
            "server": self.busy["server"] / span / self.plant.server_cores,
            "behind": max(self.behind, default=0.0),
        }

    def _use(self, what: str, seconds: float) -> Iterator[Any]:
        with getattr(self, what).request() as turn:
            yield turn
            yield self.time.timeout(seconds)
            self._account(what, seconds)

    def _account(self, what: str, seconds: float) -> None:
        self.busy[what] += seconds

    def _ask_database(self, seconds: float) -> Iterator[Any]:
        yield self.time.timeout(NETWORK_SECONDS)
        yield from self._use("database", seconds)

    def _work(self) -> Iterator[Any]:
        """One worker: its passes, and between them all that it asks of the servers."""
        yield self.time.timeout(self.rng.uniform(0, 30))
        left: list[int] = []
        letters = simpy.Store(self.time)
        self.time.process(self._courier(letters))
        self.time.process(self._beat(left))
        seen = self.changes
        while True:
            free = SLOTS - len(left)
            if free:
                yield from self._claim(free)
                seen = yield from self._look(free, seen)
                for _ in range(free):
                    yield from self._ask_database(self.costs.begin)
                self.changes += 2 * free
                left += [self._epochs() for _ in range(free)]
                letters.put((self.time.now, 0.6 * free * self.costs.run))
            yield self.time.timeout(PASS_SECONDS)
            self.trained += len(left)
            ended = sum(epochs == 1 for epochs in left)
            left[:] = [epochs - 1 for epochs in left if epochs > 1]
            if not letters.items:
                letters.put((self.time.now, SLOTS * self.costs.letter_a_run))
            for _ in range(ended):
                yield from self._ask_database(self.costs.finish)
                letters.put((self.time.now, 0.4 * self.costs.run))
            self.finished += ended
            self.changes += ended

    def _epochs(self) -> int:
        """Return how long a trial trains: to its end, or until it is pruned."""
        return EPOCHS if self.rng.random() < 0.5 else self.rng.randint(5, EPOCHS - 1)  # noqa: PLR2004 - every second

    def _claim(self, trials: int) -> Iterator[Any]:
        """Ask for trials: the database works while nobody else may ask."""
        with self.lock.request() as turn:
            yield turn
            began = self.time.now
            costs = self.costs
            yield from self._ask_database(costs.claim + trials * costs.claim_a_trial)
            least = costs.lock + trials * costs.lock_a_trial
            yield self.time.timeout(max(0.0, began + least - self.time.now))
            self._account("lock", self.time.now - began)

    def _look(self, own: int, seen: int) -> Iterator[Any]:
        """Read what changed; return up to where."""
        lines = self.workers * SLOTS * self.costs.look_a_trial
        read = (self.changes - seen) if self.plant.curious else own
        yield from self._ask_database(lines + read * self.costs.read_a_trial)
        return self.changes

    def _beat(self, left: list[int]) -> Iterator[Any]:
        while True:
            yield self.time.timeout(BEAT_SECONDS)
            yield from self._ask_database(len(left) * self.costs.beat_a_trial)

    def _courier(self, letters: simpy.Store) -> Iterator[Any]:
        while True:
            written, seconds = yield letters.get()
            yield from self._use("server", seconds)
            self.behind.append(self.time.now - written)


def main() -> None:
    """Measure, simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--storage")
    parser.add_argument("--tracking-uri")
    parser.add_argument("--costs", type=Path, help="JSON of an earlier measurement")
    parser.add_argument("--save", type=Path, help="where to put the measurement, as JSON")
    asked = parser.parse_args()
    print(f"{machine('optuna', 'mlflow', 'sqlalchemy', 'psycopg')}\n")
    if asked.costs:
        costs = Costs(**json.loads(asked.costs.read_text()))
    else:
        meters = [
            Meter(server_on(urlsplit(address).port or 5432))
            for address in (asked.storage, asked.tracking_uri)
        ]
        costs = measure(asked.storage, asked.tracking_uri, *meters)
    print("milliseconds of the servers' processors, and of the lock:")
    print(json.dumps({name: round(1e3 * cost, 3) for name, cost in asdict(costs).items()}))
    if asked.save:
        asked.save.write_text(json.dumps(asdict(costs)))
    table = Table(
        workers=8,
        plant=-27,
        training=9,
        trials_a_minute=15,
        lock=6,
        database=9,
        server=7,
        behind_s=9,
    )
    for plant in PLANTS:
        for workers in WORKERS:
            found = Cluster(costs, plant, workers).run()
            shares = (f"{100 * found[name]:.0f} %" for name in ("lock", "database", "server"))
            table.line(
                workers,
                plant.name,
                f"{100 * found['training']:.0f} %",
                f"{found['trials a minute']:,.0f}",
                *shares,
                f"{found['behind']:.0f}",
            )


if __name__ == "__main__":
    main()
