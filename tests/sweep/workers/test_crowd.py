"""Many workers at once, some of them killed, both stores restarted: nothing is lost."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CROWD = Path(__file__).parents[3] / "benchmarks" / "crowd.py"
PATIENCE = 1_200


@pytest.fixture
def restarting(tmp_path):
    """Return a command that asks for something to be done and waits for it, and who does it."""
    tasks = {}

    def asks(name, act):
        wish = tmp_path / name
        tasks[wish] = act
        return f"touch '{wish}'; while [ -e '{wish}' ]; do sleep 0.1; done"

    def serve():
        for wish, act in list(tasks.items()):
            if wish.exists():
                act()
                del tasks[wish]
                wish.unlink()
        return len(tasks)

    return asks, serve


def test_a_crowd_that_is_killed_and_cut_off_keeps_budget_and_record(
    postgres, fresh_database, mlflow_server, restarting, tmp_path
):
    asks, serve = restarting

    def restart_mlflow():
        mlflow_server.kill()
        mlflow_server.start()

    command = [
        *(sys.executable, str(CROWD), "--storage", fresh_database),
        *("--tracking-uri", mlflow_server.uri, "--workers", "24", "--trials", "48"),
        *("--epochs", "5", "--kills", "2"),
        *("--between", asks("database", postgres.restart)),
        *("--between", asks("mlflow", restart_mlflow)),
    ]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            assert time.monotonic() < deadline
            left = serve()
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    said = (tmp_path / "said").read_text()
    assert process.returncode == 0, said
    assert left == 0
    assert re.search(r"^losses: 0$", said, re.MULTILINE), said
    assert re.search(r"'killed': 2", said), said
    assert "48 runs" in said
