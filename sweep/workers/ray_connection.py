"""A Ray cluster that is running already: reached in bounded time, and measured."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sweep.errors import StoreUnreachableError, SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONNECT_SECONDS = 5.0
"""Ray itself tries for more than a minute, and says so on stderr all the while."""
EXAMPLE = "auto, or HOST:6379"
DEFAULTS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "2",  # of 41 s each, where a port takes calls and never answers
}


def import_ray() -> Any:
    """Return Ray, or say how to get it."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise SweepError("--ray: Ray is not installed; `pip install 'sweep[ray]'`") from error
    return ray


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Be a driver of the cluster for the length of a block; what it placed ends with the block.

    Raises
    ------
    StoreUnreachableError
        No cluster answers there.
    SweepError
        Ray is not installed, or cannot be asked so.

    """
    ray = import_ray()
    _check_answers(address)
    # What Ray says of its machines goes to stdout, which is for results; `log_to_driver` is only
    # about what the actors print.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None  # noqa: SLF001
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            namespace="sweep",
        )
    except (ConnectionError, RuntimeError, ValueError, SystemExit) as error:
        detail = (str(error).splitlines() or [""])[0]
        raise StoreUnreachableError(
            f"--ray: no Ray cluster can be joined at {address}: {detail}; begin one with `ray "
            "start --head`, and run this on one of its machines, with the same Python and Ray and, "
            "where it asks for one, its token (RAY_AUTH_MODE=token)"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def node_cores(ray: Any) -> list[int]:
    """Return the cores of each machine of the cluster that offers some."""
    found = (int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    return [cores for cores in found if cores > 0]


def share_cores(cores: Sequence[int], loops: int) -> int:
    """Return the most cores that each of so many loops can have, all the same; 0 is too few."""
    shares = range(1, max(cores, default=0) + 1)
    return max((s for s in shares if sum(one // s for one in cores) >= loops), default=0)


def _check_answers(address: str) -> None:
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise SweepError(
            f"--ray must be {EXAMPLE}, of a cluster that this machine belongs to: got "
            f"{address!r}; from elsewhere, `ray job submit` runs the command there"
        )
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        detail = getattr(error, "strerror", None) or error
        raise StoreUnreachableError(
            f"--ray: no Ray cluster answers at {address}: {detail}; `ray status` on its head says "
            "whether it runs"
        ) from error
