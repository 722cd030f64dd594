"""Reaching a Ray cluster, or saying in one line why not."""

from __future__ import annotations

import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sweep.errors import StoreUnreachableError, SweepError
from sweep.workers.ray_connection import connected, share_cores

pytestmark = pytest.mark.slow

MACHINES = some.lists(some.integers(1, 64), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("cores", "loops", "share"),
    [
        ([8, 8], 2, 8),
        ([8, 8], 3, 4),
        ([8, 4], 2, 4),
        ([8, 4], 1, 8),
        ([2, 2, 2], 6, 1),
        ([2, 2, 2], 7, 0),
        ([], 1, 0),
    ],
)
def test_loops_get_equal_shares_of_the_cores(cores, loops, share):
    assert share_cores(cores, loops) == share


@given(cores=MACHINES, loops=some.integers(1, 100))
def test_no_larger_share_would_place_all_loops(cores, loops):
    def places(share):
        return sum(one // share for one in cores)

    share = share_cores(cores, loops)
    assert share == 0 or places(share) >= loops
    assert places(share + 1) < loops


def test_without_ray_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(SweepError, match=r"Ray is not installed; `pip install 'sweep\[ray\]'`"),
        connected("auto"),
    ):
        pass


@pytest.mark.parametrize("address", ["garbage", "ray://host:10001", "host:port", ":6379", "local"])
def test_what_is_no_address_is_refused(address):
    pytest.importorskip("ray", reason="Ray, of the extra `ray`, is not installed")
    refusal = f"--ray must be auto, or HOST:6379, .*: got '{address}'"
    with pytest.raises(SweepError, match=refusal), connected(address):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "no-such-host.invalid:6379"])
def test_a_cluster_that_is_not_there_is_said_at_once(address):
    pytest.importorskip("ray", reason="Ray, of the extra `ray`, is not installed")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        asked = address.format(port=unused.getsockname()[1])
        refusal = f"--ray: no Ray cluster answers at {asked}: "
        with pytest.raises(StoreUnreachableError, match=refusal), connected(asked):
            pass
