"""The few calls of Ray that the engine makes; tests put a double in their place."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sweep.errors import StoreUnreachableError, SweepError

if TYPE_CHECKING:
    from collections.abc import Sequence

INSTALL = "pip install 'sweep[ray]'"
POLL_SECONDS = 2.0
"""How long to wait for answers at a time."""
LOOK_SECONDS = 0.5
"""Between two looks at the head and at Ray on this machine."""
LAST_SECONDS = 45.0
"""So long after the head was seen last this process ends, if it has not; Ray ends it after 60."""
STDERR = 2
LAST_PORT = 65535


class ActorLostError(Exception):
    """An actor is gone, with its process or its machine."""


class ActorFailedError(Exception):
    """A call of an actor raised; the message is what, in a line."""


def check_cluster(address: object) -> None:
    """Refuse an address that can be none, and one at which nobody answers.

    Raises
    ------
    SweepError
        It is none, or Ray is not installed.
    StoreUnreachableError
        Nobody answers.
    """
    host, _, port = str(address).rpartition(":")
    named = bool(host) and host.isprintable() and not set(host) & set(" /")
    named = named and port.isdecimal() and 0 < int(port) <= LAST_PORT
    if not (address in ("auto", "local") or (isinstance(address, str) and named)):
        raise SweepError(
            f"a Ray cluster is named by auto, local or HOST:PORT of its head, not {address!r}"
        )
    if find_spec("ray") is None:  # not imported yet: it reads the environment then
        raise SweepError(f"--ray needs Ray, which is not installed: {INSTALL}")
    if named and not _answers(str(address)):
        raise StoreUnreachableError(
            f"no Ray cluster answers at {address}; is its head up? `ray start --head` begins one, "
            "and --ray local needs none"
        )


def head_is_gone(address: str) -> str:
    """Return what to say of it."""
    return (
        f"the head of the Ray cluster at {address} does not answer; when it is back, run the same "
        "command again"
    )


class RayCluster:
    """A Ray cluster as the engine uses it; this process must be on a machine of it.

    Parameters
    ----------
    address : `auto` for the one that this machine is part of, HOST:PORT of its head, or `local` for
        one that is begun on this machine, with so many `cores`, and ends with this process.
    trainer : the class of the actors.

    Raises
    ------
    SweepError
        Ray is not installed, or refuses the address.
    StoreUnreachableError
        There is no cluster.
    """

    def __init__(self, address: str, trainer: type, *, cores: int) -> None:
        check_cluster(address)
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")  # Ray prints news on stdout
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        self._ray: Any = ray
        self._ours = not ray.is_initialized()
        if self._ours:
            _connect(self._ray, address, cores)
        self.address: str = ray.get_runtime_context().gcs_address
        if ":" in address and not self._ours and address != self.address:
            raise SweepError(
                f"this process has joined the Ray cluster at {self.address}, not {address}; "
                "leave it with ray.shutdown() first"
            )
        self._raylet = _own_raylet(ray)
        self._away, self._closed = 0.0, threading.Event()
        threading.Thread(target=self._watch, name="ray-head", daemon=True).start()
        actor = self._ray.remote(trainer)
        self._trainer = actor.options(num_cpus=1, scheduling_strategy="SPREAD")

    def put(self, value: object) -> Any:
        """Put a value where every machine can read it; return a reference."""
        return self._ray.put(value)

    def spawn(self, rows: Any, lanes: int) -> Any:
        """Ask for an actor on a core of its own, wherever and whenever one is free."""
        return self._trainer.remote(rows, lanes)

    def call(self, actor: Any, method: str, *arguments: object) -> Any:
        """Let an actor do something after all it was asked before; return a reference."""
        return getattr(actor, method).remote(*arguments)

    def ready(self, references: Sequence[Any], seconds: float) -> list[Any]:
        """Wait for one that has a value or an error; return all that have without waiting."""
        wanted = 1 if seconds else len(references)
        done, _ = self._ray.wait(list(references), num_returns=wanted, timeout=seconds)
        return list(done)

    def get(self, references: Sequence[Any], seconds: float) -> list[Any]:
        """Return the values; TimeoutError, ActorLostError or ActorFailedError."""
        errors = self._ray.exceptions
        try:
            return list(self._ray.get(list(references), timeout=seconds))
        except errors.GetTimeoutError as error:
            raise TimeoutError from error
        except errors.RayTaskError as error:
            if isinstance(error.cause, errors.RayError):  # what it was to work on is lost
                raise ActorLostError(str(error)) from error
            raise ActorFailedError(f"{type(error.cause).__name__}: {error.cause}") from error
        except errors.ActorDiedError as error:
            if "creation task" in str(error):
                raise ActorFailedError(str(error).strip().splitlines()[-1]) from error
            raise ActorLostError(str(error)) from error
        except errors.RayError as error:
            raise ActorLostError(str(error)) from error

    def kill(self, actor: Any) -> None:
        """End an actor at once."""
        if not self._away:  # else the call hangs, and the actors end with the head
            self._ray.kill(actor)

    def cores(self) -> int:
        """Return how many cores the cluster has now."""
        return int(self._ray.cluster_resources().get("CPU", 0))

    def away(self) -> float:
        """Return for how many seconds the head has not answered; 0 where it does."""
        return self._away

    def _watch(self) -> None:
        """Look at the head, and end the process before Ray does, where a call of it hangs."""
        answered = time.monotonic()
        while not self._closed.wait(LOOK_SECONDS):
            if self._ours and _refuses(self._raylet) and not self._closed.is_set():
                _end("Ray on this machine has ended; run the same command again")
            now = time.monotonic()
            answered = now if _answers(self.address) else answered
            self._away = now - answered
            if self._away >= LAST_SECONDS and not self._closed.is_set():
                _end(head_is_gone(self.address))

    def close(self) -> None:
        """Leave the cluster."""
        if self._away and self._ours:  # leaving hangs, too: `_watch` ends it
            return
        self._closed.set()
        if self._ours:
            self._ray.shutdown()


def _connect(ray: Any, address: str, cores: int) -> None:
    """Join a cluster, or begin one; the handlers of signals stay as they are."""
    own = {"num_cpus": cores, "include_dashboard": False}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    found = os.environ.get("RAY_ADDRESS", "")
    where = f"{address} (RAY_ADDRESS={found})" if address == "auto" and found else address
    silent = f"nothing that is the head of a Ray cluster answers at {where}; is its port right?"
    hangs = threading.Timer(LAST_SECONDS, _end, [silent])  # `auto` may find one that is gone
    hangs.daemon = True
    if address != "local":
        hangs.start()
    try:
        ray.init(
            address,
            log_to_driver=False,
            logging_level="ERROR",
            **(own if address == "local" else {}),
        )
    except ConnectionError as error:
        raise StoreUnreachableError(
            f"no Ray cluster takes this process at {where}; set RAY_AUTH_MODE=token where it has a "
            "token, begin one with `ray start --head`, or give --ray local"
        ) from error
    except (RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise SweepError(f"--ray {address}: {str(error).strip().splitlines()[0]}") from error
    finally:
        hangs.cancel()
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _own_raylet(ray: Any) -> str:
    """Return the address of Ray's own process on this machine."""
    node = ray.get_runtime_context().get_node_id()
    own = next(each for each in ray.nodes() if each["NodeID"] == node)
    return f"{own['NodeManagerAddress']}:{own['NodeManagerPort']}"


def _end(why: str) -> None:
    """End the process as a `StoreUnreachableError` does, from beside a call that hangs."""
    with suppress(OSError):
        os.write(STDERR, f"\nsweep: error: {why}\n".encode())
    os._exit(StoreUnreachableError.exit_code)


def _refuses(address: str) -> bool:
    """Whether nobody listens there; one that is only slow does."""
    return isinstance(_trouble(address), ConnectionRefusedError)


def _answers(address: str) -> bool:
    return _trouble(address) is None


def _trouble(address: str) -> Exception | None:
    """Connect to an address; return what kept it from that."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=POLL_SECONDS).close()
    except (OSError, ValueError) as error:
        return error
    return None
