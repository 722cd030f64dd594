"""What `study.json` of an archive may say: every field with its type and its bounds."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from sweep.analysis.confirmation import Confirmation
from sweep.config import MAX_SEED, MAX_SLOTS, StudyConfig
from sweep.curves import METRICS
from sweep.errors import SweepError
from sweep.search.trials import Status, TrialRecord, best_trial
from sweep.space import NAMES, RULES, Choices, Range
from sweep.space.axes import shown

FORMAT, VERSION = "sweep study", 2
MAX_CONTAINERS = 2_000_000
"""Lists and objects of a file, counted before it is parsed: two bytes become some 200 in memory."""
MAX_EPOCHS = 100_000
MAX_TRIALS = 100_000
MAX_SPARE = 1_000
"""Numbers between the trials that belong to none of them: they become rows of the store."""
BUILT_IN = ("cifar10", "digits")
MAX_PLACE = 200  # characters of a message: where in the file the fault is


class RefusedError(ValueError):
    """An archive breaks a rule; the message names it in a phrase."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable characters, in one line")
    return text


def _distinct(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError("must not hold a value twice")
    return values


Line: TypeAlias = Annotated[str, Field(max_length=1000), AfterValidator(_printable)]
Name: TypeAlias = Annotated[str, Field(max_length=80), AfterValidator(_printable)]
Word: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Field(ge=0, le=2**32 - 1)]
Seed: TypeAlias = Annotated[int, Field(ge=0, le=MAX_SEED)]
Milliseconds: TypeAlias = Annotated[int, Field(ge=0, le=4_102_444_800_000)]  # until 2100
Number: TypeAlias = int | float
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Measured: TypeAlias = Annotated[float, Field(ge=0)]
Time: TypeAlias = Annotated[str, Field(pattern=r"^20\d\d-[0-9T:.-]{5,25}\+00:00$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataModel(_Model):
    """Which rows; not where they lie."""

    source: Name
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,79}$")]
    val_size: Annotated[int, Field(ge=1, le=1_000_000_000)]
    split_seed: Seed
    data_digest: Digest
    split_digest: Digest

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if self.source != f"{self.name}.npz" and (
            self.source != self.name or self.name not in BUILT_IN
        ):
            raise ValueError(f"source must be {self.name}.npz: got {shown(self.source)}")
        return self


class RangeModel(_Model):
    """A range of the space."""

    low: Number
    high: Number
    log: bool = False


class SamplerModel(_Model):
    """Arguments of TPE."""

    multivariate: bool
    constant_liar: bool
    n_startup_trials: Annotated[int, Field(ge=0, le=MAX_TRIALS)]


class ConfigModel(_Model):
    """The config of a study; what `StudyConfig` and the space check themselves is left to them."""

    study: Name
    loss: Word
    epochs: Annotated[int, Field(ge=1, le=MAX_EPOCHS)]
    seed: Seed
    sampler: Word
    pruner: Word
    objective: Word
    train_curve: Word
    data: DataModel
    space: dict[str, RangeModel | Annotated[list[Number], Field(max_length=100)] | Number]
    slots: Annotated[int, Field(ge=1, le=MAX_SLOTS)]
    lanes: Annotated[int, Field(ge=1, le=8)]
    eta: Annotated[int, Field(ge=2, le=MAX_EPOCHS)]
    sampler_arguments: SamplerModel

    @model_validator(mode="after")
    def _check_axes(self) -> Self:
        if set(self.space) != set(NAMES):
            raise ValueError(f"space must have {', '.join(NAMES)}: got {shown(list(self.space))}")
        return self


class TrialModel(_Model):
    """A trial, see `TrialRecord`; of a running one its beginning alone."""

    number: Count
    index: Count
    params: Annotated[dict[str, Number], Field(max_length=len(NAMES))]
    first_pass: Count
    status: Literal["complete", "pruned", "failed", "running"]
    # In a spreadsheet what begins otherwise might be a formula.
    reason: Annotated[Line, Field(pattern="^([A-Za-z].*)?$")]
    curves: dict[str, Annotated[list[Measured], Field(max_length=MAX_EPOCHS)]]
    times: Annotated[list[Milliseconds], Field(max_length=MAX_EPOCHS)]
    metrics: Annotated[
        dict[Annotated[str, Field(pattern=r"^[\w./ -]{1,120}$")], float], Field(max_length=200)
    ]
    weights_digest: Digest | None
    environment: Annotated[dict[Word, Line], Field(max_length=32)]
    trouble: Line
    began: Milliseconds
    ended: Milliseconds | None

    @model_validator(mode="after")
    def _check_curves(self) -> Self:
        if self.curves and set(self.curves) != set(METRICS):
            raise ValueError(f"curves must be of {', '.join(METRICS)}")
        lengths = {len(self.curves.get(metric, [])) for metric in METRICS} | {len(self.times)}
        if len(lengths) > 1:
            raise ValueError(f"curves and times must be equally long: got {sorted(lengths)}")
        for rows in ("train", "val"):
            highest = max(self.curves.get(f"{rows}/accuracy", []), default=0.0)
            if highest > 1:
                raise ValueError(f"{rows}/accuracy must be at most 1: got {highest!r}")
        return self

    def check(self, config: StudyConfig) -> None:
        """Refuse what no trial of a study with this config could be."""
        epochs, most = len(self.times), config.epochs
        least, most = {
            "complete": (most, most),
            "pruned": (1, most - 1),
            "failed": (0, most - 1),
            "running": (0, 0),
        }[self.status]
        if not least <= epochs <= most:
            raise ValueError(f"{self.status} after {least} to {most} epochs: got {epochs}")
        if (self.status == "running") != (self.ended is None):
            raise ValueError(f"{self.status}, so ended must not be {self.ended!r}")
        if (self.status in ("complete", "pruned")) != (self.weights_digest is not None):
            raise ValueError(f"{self.status}, so weights_digest must not be {self.weights_digest}")
        if set(self.params) != set(NAMES):
            raise ValueError(f"params must be {', '.join(NAMES)}: got {shown(list(self.params))}")
        for name, axis in config.space.axes.items():
            value = RULES[name].check(name, self.params[name])
            # A setting that a user queued may lie outside of a range.
            if isinstance(axis, Choices) and value not in axis.values:
                raise ValueError(f"{name} must be one of {axis}: got {value!r}")
            if isinstance(axis, Range) and axis.log and value <= 0:
                raise ValueError(f"{name} must be above 0: got {value!r}")

    @property
    def record(self) -> TrialRecord:
        """The trial as the record of a study has it."""
        params = {name: RULES[name].check(name, value) for name, value in self.params.items()}
        plain = {**self.model_dump(), "params": params, "status": Status(self.status)}
        return TrialRecord(**plain)


class ResultModel(_Model):
    """What the test rows said."""

    accuracy: Share
    low: Share
    high: Share
    rows: Annotated[int, Field(ge=1, le=1_000_000_000)]
    per_class: Annotated[dict[Name, Share], Field(max_length=MAX_EPOCHS)]


class OpeningModel(_Model):
    """One look at the test rows: looks elsewhere count as well."""

    trial: Count
    time: Time
    result: ResultModel | None = None


class ConfirmedModel(_Model):
    """A setting on fresh seeds; None where a training diverged."""

    trial: Annotated[int, Field(ge=-1, le=2**32 - 1)]
    search: Measured | None
    values: Annotated[list[Measured | None], Field(min_length=1, max_length=10_000)]


class ConfirmationModel(_Model):
    """What `sweep confirm` found."""

    metric: Line
    direction: Line
    epochs: Count
    seeds: Annotated[list[Seed], Field(max_length=10_000), AfterValidator(_distinct)]
    finished: Count
    trials: Annotated[list[ConfirmedModel], Field(min_length=1, max_length=10_000)]
    baseline: ConfirmedModel

    @model_validator(mode="after")
    def _check(self) -> Self:
        _distinct([one.trial for one in self.trials])
        if any(len(one.values) != len(self.seeds) for one in [*self.trials, self.baseline]):
            raise ValueError(f"{len(self.seeds)} seeds need so many values")
        if (self.baseline.trial, self.baseline.search) != (-1, None):
            raise ValueError("the baseline is no trial")
        trials = Confirmation.from_record(self.model_dump()).trials
        if Confirmation.ranked(trials, self.direction) != trials:
            raise ValueError("trials must be ranked by their means")
        return self


class ArchivedStudy(_Model):
    """A study that is in no store: its config, its trials and what else it has on record."""

    format: Literal["sweep study"]
    version: Literal[2]
    config_record: Annotated[ConfigModel, Field(alias="config")]
    budgets: Annotated[
        list[Annotated[list[Count], Field(min_length=2, max_length=2)]], Field(max_length=10_000)
    ]
    test_openings: Annotated[list[OpeningModel], Field(max_length=10_000)]
    confirmation: ConfirmationModel | None
    in_full: TrialModel | None
    trials: Annotated[list[TrialModel], Field(max_length=MAX_TRIALS)]

    @cached_property
    def config(self) -> StudyConfig:
        """The config; its data are looked for under their name."""
        record = self.config_record.model_dump()
        return StudyConfig.from_record(record | {"data": {**record["data"], "directory": None}})

    @cached_property
    def records(self) -> list[TrialRecord]:
        """The trials as the record of a study has them."""
        return [trial.record for trial in self.trials]

    @cached_property
    def _by_number(self) -> dict[int, TrialRecord]:
        return {trial.number: trial for trial in self.records}

    @property
    def selected(self) -> TrialRecord | None:
        """The trial that the study answers with, see `sweep.analysis.selection`."""
        if self.confirmation is None:
            return best_trial(self.config, self.records)
        if self.in_full is not None:
            return self.in_full.record
        return self._by_number[self.confirmation.trials[0].trial]

    @model_validator(mode="after")
    def _check_trials(self) -> Self:
        for trial in self.trials:
            try:
                trial.check(self.config)
            except (ValueError, SweepError) as error:
                raise ValueError(f"trial {trial.number}: {error}") from error
        numbers = [trial.number for trial in self.trials]
        if sorted(set(numbers)) != numbers:
            raise ValueError("trials must be in the order of their numbers, each once")
        if numbers and numbers[-1] >= len(numbers) + MAX_SPARE:
            raise ValueError(
                f"{len(numbers)} trials must have numbers below {len(numbers) + MAX_SPARE}: "
                f"got {numbers[-1]}"
            )
        if len({trial.index for trial in self.trials}) < len(numbers):
            raise ValueError("no index may stand twice")
        for opening in self.test_openings:
            self._trained(opening.trial, "an opening of the test rows")
        self._check_confirmation()
        return self

    def _check_confirmation(self) -> None:
        found, config = self.confirmation, self.config
        if found is None:
            if self.in_full is not None:
                raise ValueError("in_full: there is no confirmation that selected it")
            return
        if self.in_full is not None:
            self.in_full.check(config)
            pruned = self._trained(found.trials[0].trial, "in_full")
            same = ("number", "index", "params", "first_pass")
            if any(getattr(self.in_full.record, each) != getattr(pruned, each) for each in same):
                raise ValueError(f"in_full must be trial {pruned.number}, the selected one")
        for name in ("metric", "direction", "epochs"):
            if getattr(found, name) != getattr(config, name):
                raise ValueError(f"confirmation: {name} must be {getattr(config, name)}")
        for one in found.trials:
            trial = self._trained(one.trial, "confirmation")
            value = trial.last(config.metric) if trial.status == Status.COMPLETE else None
            if one.search != value:
                raise ValueError(f"confirmation: trial {one.trial} came to {value} in the search")
        if not 1 <= found.finished <= len(self.trials):
            raise ValueError(f"confirmation: finished must be 1 to {len(self.trials)}")

    def _trained(self, number: int, what: str) -> TrialRecord:
        """Return a trial that has weights."""
        trial = self._by_number.get(number)
        if trial is None or trial.weights_digest is None:
            raise ValueError(f"{what}: no trial {number} is complete or pruned")
        return trial


class _Head(BaseModel):
    """What every version begins with."""

    format: Literal["sweep study"]
    version: Annotated[int, Field(ge=1, strict=True)]


def parse_study(content: bytes) -> ArchivedStudy:
    """Return what `study.json` says.

    Raises
    ------
    RefusedError
        It is no JSON, of another version, or says what no study of sweep could.
    SweepError
        A setting breaks its rule.

    """
    if content.count(b"[") + content.count(b"{") > MAX_CONTAINERS:
        raise RefusedError(f"study.json may have {MAX_CONTAINERS:,} lists and objects: it has more")
    try:
        version = _Head.model_validate_json(content).version
        if version != VERSION:
            other = "0.1" if version < VERSION else "a later version"
            raise RefusedError(
                f"its format is {version}, that of sweep {other}, and this sweep reads {VERSION}: "
                "import it with the version that exported it"
            )
        return ArchivedStudy.model_validate_json(content)
    except ValidationError as error:
        raise RefusedError(f"study.json: {_said(error)}") from error


def _said(error: ValidationError) -> str:
    """Return the first thing that is wrong: where, the rule and the value."""
    first: Any = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    rule = first["msg"].removeprefix("Value error, ")
    value = "" if first["type"] in ("value_error", "json_invalid") else shown(first["input"])
    if isinstance(first["input"], float) and not math.isfinite(first["input"]):
        value = repr(first["input"])
    return ": ".join(part for part in (place[:MAX_PLACE], rule, value and f"got {value}") if part)
