"""Where a working folder keeps what: everything below `mlruns/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workspace:
    """A working folder; it is handed to whatever reads or writes below `mlruns/`."""

    root: Path = Path()

    @property
    def folder(self) -> Path:
        """The folder of both stores."""
        return self.root / "mlruns"

    @property
    def optuna_database(self) -> Path:
        """The record of all studies."""
        return self.folder / "optuna.db"

    @property
    def mlflow_database(self) -> Path:
        """MLflow's runs, unless another address is given."""
        return self.folder / "mlflow.db"

    def lock(self, name: str) -> Path:
        """The lock file of a study, or of something else that one process does at a time."""
        return self.folder / f"{name}.lock"

    def checkpoint(self, study: str) -> Path:
        """Where the running trials of a study stand."""
        return self.folder / "checkpoints" / f"{study}.npz"

    def pending(self, study: str) -> Path:
        """Files of ended trials that MLflow does not have yet."""
        return self.folder / "pending" / study
