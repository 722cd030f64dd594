"""Locks in a database, by processes that know nothing of each other."""

import os
import socket
import subprocess
import sys
import time

import pytest

from sweep.advisory import advisory_lock, holder_of
from sweep.postgresql import read_address

pytestmark = pytest.mark.slow

HOLD = """
import sys
from sweep.advisory import advisory_lock
from sweep.postgresql import read_address
with advisory_lock(read_address(sys.argv[1]), "name"):
    print("held", flush=True)
    sys.stdin.read()
"""
PATIENCE = 30


@pytest.fixture
def url(fresh_database):
    return read_address(fresh_database)


@pytest.fixture
def holder(fresh_database):
    """Return another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, fresh_database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def is_free(url, name):
    with advisory_lock(url, name, wait=False) as held:
        return held


def test_a_lock_is_had_by_one_process_and_says_by_which(url, holder):
    assert not is_free(url, "name")
    assert is_free(url, "another name")
    assert holder_of(url, "name") == f"process {holder.pid} on {socket.gethostname()}"
    assert holder_of(url, "another name") is None


@pytest.mark.parametrize("end", ["kill", "leave"])
def test_a_lock_falls_with_the_process_that_holds_it(url, holder, end):
    if end == "kill":
        holder.kill()
    else:
        holder.stdin.close()
    with advisory_lock(url, "name") as held:
        assert held
        assert holder_of(url, "name") == f"process {os.getpid()} on {socket.gethostname()}"
    assert is_free(url, "name")


def test_a_lock_is_given_back_when_its_block_fails(url):
    with pytest.raises(ZeroDivisionError), advisory_lock(url, "name"):
        raise ZeroDivisionError
    assert is_free(url, "name")


def test_schemas_of_one_database_have_locks_of_their_own(postgres, fresh_database, url):
    database = url.database
    postgres.query(database, "CREATE SCHEMA other")
    other = read_address(postgres.address(database, options="-csearch_path=other"))
    with advisory_lock(url, "name"):
        assert is_free(other, "name")
        assert not is_free(read_address(fresh_database), "name")


def test_a_block_whose_database_was_restarted_ends_as_it_would_have(postgres, url):
    with advisory_lock(url, "name"):
        postgres.restart()
    end = time.monotonic() + PATIENCE
    while not is_free(url, "name"):
        assert time.monotonic() < end
