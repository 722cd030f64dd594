"""A study on Ray clusters of several nodes on this machine, whose nodes are killed and added."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from sweep.search import Status, open_study
from sweep.workspace import Workspace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'sweep[ray]'"
    ),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]
TRIALS, EPOCHS = 20, 20
SWEEP = [sys.executable, "-m", "sweep"]
TIMEOUT = 300


@pytest.fixture(scope="module", autouse=True)
def _environment():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
        }.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return rows on which a pass takes a fraction of a second."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 12_000)
    rows = rng.standard_normal((12_000, 1024), dtype=np.float32)
    rows += 0.05 * rng.standard_normal((10, 1024), dtype=np.float32)[labels]
    path = tmp_path_factory.mktemp("rows") / "rows.npz"
    np.savez(path, X=rows, y=labels)
    return path


@pytest.fixture(scope="module")
def command(data):
    options = f"run s --data {data} --trials {TRIALS} --epochs {EPOCHS}"
    return [*SWEEP, *options.split()]


@pytest.fixture(scope="module")
def local_folder(command, tmp_path_factory):
    """Return a folder in which the study has run on this machine, without Ray."""
    folder = tmp_path_factory.mktemp("local")
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def expected(local_folder):
    """Return what the study comes to."""
    return all_of(local_folder)


def all_of(folder):
    """Return, trial by trial, all that must not depend on where a study runs."""
    trials = open_study("s", Workspace(folder)).trials()
    assert {t.status for t in trials} <= {Status.COMPLETE, Status.PRUNED}
    return [
        (t.index, t.params, t.first_pass, t.status, t.reason, t.curves, t.metrics, t.weights_digest)
        for t in trials
    ]


@contextmanager
def cluster(nodes):
    """Begin a cluster whose head has no core, and nodes of one core each."""
    from ray.cluster_utils import Cluster

    begun = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    try:
        for _ in range(nodes):
            begun.add_node(num_cpus=1)
        yield begun
    finally:
        with suppress(Exception):
            begun.shutdown()


def kill(*nodes):
    """End machines at once, with all that runs on them."""
    import psutil

    raylets = [psutil.Process(node.all_processes["raylet"][0].process.pid) for node in nodes]
    for process in [
        one for raylet in raylets for one in (*raylet.children(recursive=True), raylet)
    ]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@contextmanager
def running(command, folder, begun):
    """Run a study on a cluster; wait for its first checkpoint."""
    folder.mkdir(exist_ok=True)
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--ray", begun.address],
            cwd=folder,
            stderr=stderr,
            stdout=subprocess.PIPE,
            text=True,
        )
    try:
        ends = time.monotonic() + TIMEOUT
        while process.poll() is None and not (
            "Ray cluster at" in said(folder) and list(folder.glob("mlruns/**/*.npz"))
        ):
            assert time.monotonic() < ends, (folder / "stderr").read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def said(folder):
    return (folder / "stderr").read_text()


def finish(process, folder, code=0):
    process.wait(timeout=TIMEOUT)
    assert process.returncode == code, said(folder)
    return process.stdout.read()


def test_machines_that_are_killed_and_added_change_no_bit(command, expected, tmp_path):
    with cluster(3) as begun, running(command, tmp_path, begun) as process:
        first, second, _ = begun.worker_nodes
        kill(first)
        begun.add_node(num_cpus=1)
        while "lost" not in said(tmp_path) and process.poll() is None:
            time.sleep(0.1)
        time.sleep(3)
        kill(second, *[node for node in begun.worker_nodes if node not in (first, second)][:1])
        out = finish(process, tmp_path)
    assert "lost" in said(tmp_path)
    assert "machines: 1, with" in out
    assert all_of(tmp_path) == expected


def test_a_killed_driver_goes_on_and_so_does_a_study_that_moves(command, expected, tmp_path):
    with cluster(2) as begun:
        with running(command, tmp_path, begun) as process:
            process.kill()
        with running(command, tmp_path, begun) as process:
            process.send_signal(signal.SIGINT)  # which it listens for, since it has said so much
            began = time.monotonic()
            finish(process, tmp_path, code=130)
            assert time.monotonic() - began < 60
        assert "goes on from here" in said(tmp_path)
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)  # without a cluster
    assert all_of(tmp_path) == expected


# So that rows are held as they were given: as where there are many.
HELD = """
import sys
from sweep.data import dataset
dataset.WIDEST = 0
from sweep.cli import main
main()
"""


def test_rows_held_as_they_were_given_train_to_the_same_bits_on_a_cluster(data, tmp_path):
    options = f"run s --data {data} --trials 8 --epochs 4 --normalise standardise,unit,none"
    studies = []
    with cluster(2) as begun:
        for name, program, ray in (
            ("wide", SWEEP, []),
            ("held", [sys.executable, "-c", HELD], []),
            ("far", [sys.executable, "-c", HELD], ["--ray", begun.address]),
        ):
            (tmp_path / name).mkdir()
            done = subprocess.run(
                [*program, *options.split(), *ray],
                cwd=tmp_path / name,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            studies.append(all_of(tmp_path / name))
    assert studies[0] == studies[1] == studies[2]
    assert len({params["normalise"] for _, params, *_ in studies[0]}) == 3


def test_a_head_that_is_gone_ends_the_study_with_75(command, tmp_path):
    longer = [*command, "--epochs", "400", "--pruner", "none"]
    with cluster(1) as begun, running(longer, tmp_path, begun) as process:
        os.kill(begun.head_node.all_processes["gcs_server"][0].process.pid, signal.SIGKILL)
        finish(process, tmp_path, code=75)
        assert "head" in said(tmp_path)
    with cluster(1) as begun, running(longer, tmp_path, begun) as process:
        process.send_signal(signal.SIGINT)
        finish(process, tmp_path, code=130)
    assert "begin anew" not in said(tmp_path)


def test_trials_are_reproduced_and_confirmed_to_the_same_bits(expected, local_folder, tmp_path):
    answers = []
    with cluster(2) as begun:
        for name, options in (("local", []), ("far", ["--ray", begun.address])):
            folder = tmp_path / name
            shutil.copytree(local_folder / "mlruns", folder / "mlruns")
            for command in ("reproduce s", "confirm s --top 2 --seeds 2 --json"):
                done = subprocess.run(
                    [*SWEEP, *command.split(), *options],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
                answers.append(done.stdout)
    assert "bit for bit" in answers[0]
    assert answers[:2] == answers[2:]
    assert all_of(tmp_path / "far") == expected
