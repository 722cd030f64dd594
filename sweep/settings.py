"""What makes a study the study it is: recorded when it begins, compared when it goes on."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from sweep.errors import SweepError
from sweep.layout import Layout
from sweep.space import space_from_record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sweep.space import Space

LOSSES = ("softmax", "bce")
SAMPLERS = ("tpe", "random", "qmc", "grid")
PRUNERS = ("median", "hyperband", "none")
OBJECTIVES = ("val-accuracy", "val-loss")

MAX_SEED = 2**32 - 1
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, kw_only=True)
class DataChoice:
    """Which rows a study or a single trial works on, and how to find them again."""

    source: str
    """`cifar10`, `digits` or the path of an .npz file."""
    directory: str | None
    name: str
    val_size: int
    split_seed: int
    data_digest: str
    split_digest: str

    def moved(self, file: Path) -> DataChoice:
        """Return the choice of the same rows in a file that lies elsewhere."""
        if not self.source.endswith(".npz"):
            raise SweepError(f"{file}: the study is on {self.source}, not on a file; leave it out")
        return replace(self, source=str(file.expanduser().resolve()))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that decides a study's trials, apart from how many there are."""

    study: str
    loss: str
    epochs: int
    seed: int
    sampler: str
    pruner: str
    objective: str
    data: DataChoice
    space: Space
    layout: Layout

    def __post_init__(self) -> None:
        check_study_name(self.study)
        for name, value, allowed in (
            ("loss", self.loss, LOSSES),
            ("sampler", self.sampler, SAMPLERS),
            ("pruner", self.pruner, PRUNERS),
            ("objective", self.objective, OBJECTIVES),
        ):
            if value not in allowed:
                raise SweepError(f"{name} must be one of {', '.join(allowed)}: got {value!r}")
        if self.epochs < 1:
            raise SweepError(f"epochs must be 1 or more: got {self.epochs!r}")
        if not 0 <= self.seed <= MAX_SEED:
            raise SweepError(f"seed must lie in [0, {MAX_SEED}]: got {self.seed!r}")

    @property
    def metric(self) -> str:
        """The curve whose last value is the objective, e.g. `val/accuracy`."""
        return self.objective.replace("-", "/")

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Optuna's word for which way is better."""
        return "maximize" if self.objective == "val-accuracy" else "minimize"

    @property
    def sign(self) -> int:
        """What the objective is multiplied by so that less is better, for sorting."""
        return -1 if self.direction == "maximize" else 1

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_record` reads them back."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {
            "data": asdict(self.data),
            "space": self.space.record(),
            "layout": asdict(self.layout),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Settings:
        """Read back what `record` returned."""
        try:
            parts = {
                "data": DataChoice(**record["data"]),
                "space": space_from_record(record["space"]),
                "layout": Layout(**record["layout"]),
            }
            if record.get("shared") is False:  # as earlier versions say of every study
                record = {key: value for key, value in record.items() if key != "shared"}
            return cls(**{**record, **parts})
        except (KeyError, TypeError) as error:
            raise SweepError(
                f"study {record.get('study')!r}: its settings were recorded by another version of "
                f"sweep: {error}; run it with that version, or begin anew with --study"
            ) from error

    def differences(self, other: Settings) -> list[str]:
        """Return a phrase `what this -> other` for each setting that would change a trial.

        Where the data lie may change, and how many workers there are; what they are may not.
        """
        phrases = [
            f"{name} {getattr(self, name)} -> {getattr(other, name)}"
            for name in ("loss", "epochs", "seed", "sampler", "pruner", "objective")
            if getattr(self, name) != getattr(other, name)
        ]
        phrases += [
            f"{name} {getattr(self.layout, name)} -> {getattr(other.layout, name)}"
            for name in ("slots", "width")
            if getattr(self.layout, name) != getattr(other.layout, name)
        ]
        phrases += [
            f"{name.replace('_', ' ')} {_short(getattr(self.data, name))}"
            f" -> {_short(getattr(other.data, name))}"
            for name in ("name", "data_digest", "split_digest")
            if getattr(self.data, name) != getattr(other.data, name)
        ]
        return phrases + self.space.differences(other.space)


def check_study_name(name: str) -> str:
    """Return a name that is fit for stores, tags and files, or refuse it."""
    if not STUDY_NAME.fullmatch(name):
        shown = name if len(name) <= 80 else name[:77] + "..."  # noqa: PLR2004 - the rule's own length
        raise SweepError(
            "a study name has 1 to 80 letters, digits, dots, dashes or underscores and begins "
            f"with a letter or digit: got {shown!r}; choose another with --study"
        )
    return name


def _short(value: str) -> str:
    return value[:12]
