"""Train many trainings at once: what an engine does, and the one that uses this machine."""

from sweep.engine.local import LocalEngine, available_cores, train_all
from sweep.engine.protocol import Engine, Results

__all__ = ["Engine", "LocalEngine", "Results", "available_cores", "train_all"]
