"""Workers of a shared study, placed and restarted by Ray on the machines of its cluster.

Ray places loops, shares rows and starts a loop elsewhere when its machine dies. It decides nothing:
budget, trials and results are in the study's own database, and a trial of a lost loop goes to
another one like that of any dead worker.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sweep.errors import SweepError
from sweep.layout import LayoutChoice
from sweep.study.interrupts import Interrupts
from sweep.workers.node_rows import Shelf
from sweep.workers.ray_attendance import Attendance, Placed
from sweep.workers.ray_connection import connected, node_cores, share_cores
from sweep.workers.ray_loop import SECRETS, Loop, Order
from sweep.workers.watch import Watch

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.study.listener import Listener
    from sweep.study.opening import OpenStudy


def run_on_ray(
    study: OpenStudy,
    *,
    ray_address: str,
    storage: str,
    tracking_uri: str | None,
    data_dir: Path | None,
    workers: int | None,
    listener: Listener,
    slots: int | None = None,
    seconds: float | None = None,
) -> str:
    """Let a Ray cluster finish a shared study, and say in a phrase why it stopped.

    `workers` is how many loops there are, one on each machine unless it says otherwise; `slots` is
    how many trials each has in training.

    Raises
    ------
    InterruptedStudyError
        After Ctrl-C or SIGTERM; the loops gave their trials back.
    SweepError
        The cluster has too few cores, or every loop ended with an error: the first of them.
    StoreUnreachableError
        No cluster answers, or the loops cannot reach a store.

    """
    uri = _shared_tracking(tracking_uri)
    with connected(ray_address) as ray:
        cores = node_cores(ray)
        loops = workers or max(1, len(cores))
        threads = share_cores(cores, loops)
        if threads == 0:
            raise SweepError(
                f"--workers: each needs a core, and the Ray cluster has {sum(cores)}: got "
                f"{loops}; ask for fewer, or add machines with `ray start --address`"
            )
        order = Order(
            study=study.name,
            storage=storage,
            tracking_uri=uri,
            layout=LayoutChoice(slots=slots, workers=threads),
            seconds=seconds,
            environment={name: os.environ[name] for name in SECRETS if name in os.environ},
        )
        placed = _place(ray, study, order, loops, data_dir)
        with Interrupts().listening() as interrupts:
            return Attendance(ray, placed, Watch(study, listener), listener).see_through(interrupts)


def _shared_tracking(uri: str | None) -> str:
    from sweep.tracking.address import database_path, mask
    from sweep.tracking.tracker import tracking_uri

    address = tracking_uri(uri)
    database = database_path(address)
    if database is not None and not database.is_absolute():
        raise SweepError(
            f"--tracking-uri: the machines of a cluster share one MLflow server, and "
            f"{mask(address, address)} is a file of this folder; name the server, e.g. "
            "http://host:5000"
        )
    return address


def _place(ray: Any, study: OpenStudy, order: Order, loops: int, data_dir: Path | None) -> Placed:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    lasting = {"max_restarts": -1, "max_task_retries": -1}
    # Where the driver is, which ends with that machine anyway.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    shelf = (
        ray.remote(Shelf)
        .options(num_cpus=0, scheduling_strategy=here, **lasting)
        .remote(study.settings.data, None if data_dir is None else data_dir.resolve())
    )
    actor = ray.remote(Loop).options(
        num_cpus=order.layout.workers,
        max_concurrency=2,  # one thread works, the other answers
        scheduling_strategy="SPREAD",
        **lasting,
    )
    placed = [actor.remote() for _ in range(loops)]
    return Placed(shelf, {loop.run.remote(order, shelf): loop for loop in placed})
