"""Threads or processes that do the same at the same time, and the seconds that passed meanwhile."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection


@dataclass(frozen=True)
class Answer:
    """How long it took all workers, in seconds, and what each of them sent back."""

    seconds: float
    replies: list[Any]


class Workers:
    """`number` of them run `serve(pipe, *given)`: it takes requests until None, and answers each.

    A worker that fails ends the benchmark, with its traceback on stderr.
    """

    def __init__(self, kind: str, number: int, serve: Callable[..., None], *given: object) -> None:
        make: Callable[..., Any] = (
            threading.Thread
            if kind == "threads"
            else multiprocessing.get_context("fork").Process  # the rows are shared, not copied
        )
        self._pipes, self._workers = [], []
        for _ in range(number):
            ours, theirs = multiprocessing.Pipe()
            worker = make(target=_serve, args=(serve, theirs, *given), daemon=True)
            worker.start()
            if kind == "processes":
                theirs.close()  # theirs alone: so that its end is noticed
            self._pipes.append(ours)
            self._workers.append(worker)

    def ask(self, request: object) -> Answer:
        """Let all of them do it, and wait for the last one."""
        began = time.perf_counter()
        for pipe in self._pipes:
            pipe.send(request)
        try:
            replies = [pipe.recv() for pipe in self._pipes]
        except EOFError:
            sys.exit("a worker failed; its own message says why")
        return Answer(time.perf_counter() - began, replies)

    def close(self) -> None:
        """Let them end."""
        for pipe in self._pipes:
            pipe.send(None)
        for worker in self._workers:
            worker.join()


def _serve(serve: Callable[..., None], pipe: Connection, *given: object) -> None:
    with pipe:
        serve(pipe, *given)
