"""Workers on a Ray cluster of several nodes, all of them on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from sweep.cli import main
from sweep.errors import StoreUnreachableError, SweepError
from sweep.layout import LayoutChoice
from sweep.study import attributes
from sweep.study.interrupts import InterruptedStudyError
from sweep.study.listener import Listener
from sweep.study.plan import Plan
from sweep.study.results import tally

pytestmark = pytest.mark.slow

ray = pytest.importorskip("ray", reason="Ray, of the extra `ray`, is not installed")

STORE = 100 * 2**20
GRACE = 5.0
PATIENCE = 120.0


class Told(Listener):
    def __init__(self):
        self.ended, self.warnings = [], []

    def trial_ended(self, number, ending, reason, best):  # noqa: ARG002 - the listener's
        self.ended.append(number)

    def warned(self, text):
        self.warnings.append(text)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Return a cluster whose head has no cores, and three machines of two each."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = Cluster(initialize_head=True, head_node_args=head)
        machines = [made.add_node(num_cpus=2, object_store_memory=STORE) for _ in range(3)]
    yield SimpleNamespace(
        address=made.address,
        machines=machines,
        remove=made.remove_node,
        logs=Path(made.head_node.get_session_dir_path()) / "logs",
    )
    made.shutdown()


@pytest.fixture
def begun(workspace, fresh_database):
    """Return a function that begins a shared study of the digits, and what it needs to run."""
    from sweep.study.storage import create_storage
    from sweep.workers.beginning import begin_shared
    from sweep.workers.ray_cluster import run_on_ray

    def begin(cluster, *, trials, epochs):
        from dataclasses import replace

        plan = Plan(
            loss="softmax", epochs=epochs, seed=0, data="digits", data_dir=None, val_size=None,
            split_seed=0, space_file=None, overrides=(), sampler="tpe", pruner="median",
            objective="val-accuracy", study_name="spread", layout=LayoutChoice(slots=6),
        )  # fmt: skip
        settings, _ = plan.settle(plan.open_source(), trials=trials)
        storage = create_storage(fresh_database)
        study = begin_shared(
            replace(settings, shared=True), storage, plan.layout, trials=trials, grace=GRACE
        )
        told = Told()

        def run(**changes):
            return run_on_ray(
                study,
                **{
                    "ray_address": cluster.address,
                    "storage": fresh_database,
                    "tracking_uri": f"sqlite:///{workspace}/mlruns/mlflow.db",
                    "data_dir": None,
                    "workers": 2,
                    "slots": 4,
                    "listener": told,
                    **changes,
                },
            )

        return SimpleNamespace(study=study, told=told, run=run)

    return begin


@contextmanager
def meanwhile(condition, act):
    """Do something, once, as soon as a condition holds that the block may bring about."""
    over, problems = threading.Event(), []

    def wait():
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if over.wait(0.2) or time.monotonic() > deadline:
                problems.append("the condition never held")
                return
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not problems


def finished(study):
    return tally(study.trials()).finished


def hosts_a_loop(machine):
    raylet = machine.all_processes["raylet"][0].process.pid
    children = subprocess.run(
        ["ps", "--ppid", str(raylet), "-o", "args="], capture_output=True, text=True, check=False
    )
    return "ray::Loop" in children.stdout


def assert_no_log_has_a_password(logs, address):
    written = [path.read_bytes() for path in logs.rglob("*") if path.is_file()]
    assert any(b"Loop" in text for text in written)
    password = make_url(address).password
    for spelt in (password, quote(password, safe="")):
        assert not [text for text in written if spelt.encode() in text]


def test_a_killed_machine_costs_no_trial(cluster, begun, in_both_stores, workspace, fresh_database):
    from sweep.tracking.tracker import Tracker

    one = begun(cluster, trials=40, epochs=40)

    def kill():
        cluster.remove(next(filter(hosts_a_loop, cluster.machines)), allow_graceful=False)

    with meanwhile(lambda: finished(one.study) >= 3, kill):
        why = one.run()
    counts = tally(one.study.trials())
    assert (counts.finished, counts.failed, counts.running) == (40, 0, 0)
    assert sorted(one.told.ended) == list(range(40))
    assert one.told.warnings == ["a machine of the Ray cluster is gone; 2 are left"]
    assert one.study.optuna.user_attrs[attributes.WORKERS] == 3  # the lost loop began elsewhere
    assert why == "40 trials finished; the rows were read once on each of 3 machines"
    in_both_stores(one.study, Tracker("digits", uri=f"sqlite:///{workspace}/mlruns/mlflow.db"))

    again = CliRunner().invoke(main, ["reproduce", "spread", "--storage", fresh_database])
    assert again.exit_code == 0, again.output
    assert "MATCH (bit for bit)" in again.output
    assert_no_log_has_a_password(cluster.logs, fresh_database)


def test_sigterm_lets_the_loops_give_back_their_trials(cluster, begun):
    one = begun(cluster, trials=200, epochs=100)
    with (
        meanwhile(lambda: finished(one.study) >= 1, lambda: os.kill(os.getpid(), signal.SIGTERM)),
        pytest.raises(InterruptedStudyError, match="by SIGTERM with") as stopped,
    ):
        one.run()
    assert stopped.value.exit_code == 143
    assert 1 <= finished(one.study) < 200


def test_rows_are_read_once_and_again_when_they_are_lost(cluster, begun):
    from sweep.workers.node_rows import Shelf, rows_of_this_node
    from sweep.workers.ray_connection import connected

    def look(shelf):
        rows = rows_of_this_node(shelf)
        return rows.data_digest, rows.training.rows.flags.writeable, os.getppid()

    settings = begun(cluster, trials=1, epochs=1).study.settings
    with connected(cluster.address):
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        shelf = ray.remote(Shelf).options(num_cpus=0).remote(settings.data, None)
        node = ray.get_runtime_context().get_node_id()
        here = ray.remote(look).options(
            num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        )
        (digest, writeable, _), _ = ray.get([here.remote(shelf) for _ in range(2)])
        assert (digest, writeable) == (settings.data.data_digest, False)
        assert ray.get(shelf.reads.remote()) == {node: 1}
        keeper = ray.get(shelf.keeper.remote(node))
        ray.kill(keeper, no_restart=False)
        assert ray.get(here.remote(shelf))[0] == digest
        assert ray.get(shelf.reads.remote()) == {node: 2}


def test_more_loops_than_cores_are_refused(cluster, begun):
    one = begun(cluster, trials=1, epochs=1)
    with pytest.raises(SweepError, match=r"--workers: each needs a core, .*: got 100; ask"):
        one.run(workers=100)


def test_loops_that_reach_no_store_end_the_run(cluster, begun, fresh_database):
    one = begun(cluster, trials=1, epochs=1)
    nowhere = fresh_database.rpartition(":")[0] + ":1/nothing"
    with pytest.raises(StoreUnreachableError) as failed:
        one.run(storage=nowhere, workers=1)
    assert "battery" not in str(failed.value)
    assert len(one.told.warnings) == 1
