"""Whether machine, folder and stores are as they should be, and making MLflow so again."""

from sweep.doctor.agreement import Repaired, repair
from sweep.doctor.finding import Finding, Level
from sweep.doctor.stores import examine

__all__ = ["Finding", "Level", "Repaired", "examine", "repair"]
