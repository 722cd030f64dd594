"""A study's rows, read once on each machine of a Ray cluster, for all loops that it has."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from sweep.errors import StoreUnreachableError, SweepError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sweep.data import Prepared
    from sweep.settings import DataChoice

ATTEMPTS = 6
FIRST_PAUSE = 0.5
"""Seconds after the first failure; each pause is twice the last."""


class Shelf:
    """An actor that knows, for each machine, who has the rows there.

    It owns those actors. So they outlive any loop, and end with the one who owns the shelf.

    Parameters
    ----------
    choice
        What the study recorded of its rows.
    data_dir
        Where they lie on the machines, if not where they lay when the study was begun.

    """

    def __init__(self, choice: DataChoice, data_dir: Path | None) -> None:
        self._order = choice, data_dir
        self._keepers: dict[str, Any] = {}
        self._reads: dict[str, int] = {}

    def keeper(self, node: str) -> Any:
        """Return the actor that has a machine's rows; it is made when it is first asked for."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if node not in self._keepers:
            self._keepers[node] = (
                ray.remote(NodeRows)
                .options(
                    num_cpus=0,
                    max_restarts=-1,
                    max_task_retries=-1,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                )
                .remote(*self._order)
            )
        return self._keepers[node]

    def count(self, node: str) -> None:
        """Take note that a machine read the rows."""
        self._reads[node] = self._reads.get(node, 0) + 1

    def reads(self) -> Mapping[str, int]:
        """Return how often each machine read the rows."""
        return self._reads


class NodeRows:
    """An actor that has the rows of its machine, in the machine's object store.

    They are not an argument that loops are made with: one that is lost with its machine could
    not be given again, and the loop would not be restarted.
    """

    def __init__(self, choice: DataChoice, data_dir: Path | None) -> None:
        self._order = choice, data_dir
        self._kept: list[Any] = []

    def rows(self, shelf: Any, node: str) -> list[Any]:
        """Return where the rows are, in a list: what stands bare would be copied."""
        import ray

        from sweep.study.material import reopen_data, reopen_source

        if not self._kept:
            choice, data_dir = self._order
            data = reopen_data(choice, reopen_source(choice, data_dir))
            self._kept.append(ray.put(data))
            shelf.count.remote(node)
        return self._kept


def rows_of_this_node(shelf: Any) -> Prepared:
    """Return the rows as their machine's store has them: shared by all loops, and read-only.

    Raises
    ------
    SweepError
        The data are not on this machine, or not as the study recorded them.
    StoreUnreachableError
        Whoever has the rows is lost again and again.

    """
    import ray

    node, pause = ray.get_runtime_context().get_node_id(), FIRST_PAUSE
    for attempt in range(1, ATTEMPTS + 1):
        try:
            keeper = ray.get(shelf.keeper.remote(node))
            (place,) = ray.get(keeper.rows.remote(shelf, node))
            return cast("Prepared", ray.get(place))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, SweepError):
                raise error.cause from error
            raise
        except ray.exceptions.RayError as error:
            if attempt == ATTEMPTS:
                raise StoreUnreachableError(
                    f"the rows cannot be kept in Ray's object store: {type(error).__name__}; give "
                    "it more room with `ray start --object-store-memory`"
                ) from error
        time.sleep(pause)
        pause *= 2
    raise AssertionError("the last attempt returns or raises")
