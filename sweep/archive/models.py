"""What `study.json` of an archive may say: every field with its type and its bounds."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from sweep.analysis import Confirmation
from sweep.config import (
    MAX_DRAWS,
    MAX_FOLDS,
    MAX_SEED,
    MAX_SLOTS,
    NORMALISATIONS,
    PATHS,
    SUFFIXES,
    StudyConfig,
    averaged,
    normalisations_of,
)
from sweep.curves import METRICS, NOUNS, metrics_of
from sweep.errors import SweepError
from sweep.search import Status, TrialRecord, best_trial
from sweep.search_space import NAMES, RULES, Range, shown

FORMAT, VERSION = "sweep study", 2
MAX_CONTAINERS = 2_000_000
"""Lists and objects of a file, counted before it is parsed: two bytes become some 200 in memory."""
MAX_EPOCHS = MAX_TRIALS = 100_000
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


def _normalised(text: str) -> str:
    try:
        return ",".join(normalisations_of(text))
    except SweepError as error:
        raise ValueError(str(error)) from error


def _distinct(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError("must not hold a value twice")
    return values


Part: TypeAlias = Literal["labels", "label", "names", "val", "val_labels", "test", "test_labels"]
Line: TypeAlias = Annotated[str, Field(max_length=1000), AfterValidator(_printable)]
Name: TypeAlias = Annotated[str, Field(max_length=80), AfterValidator(_printable)]
Word: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Field(ge=0, le=2**32 - 1)]
Rows: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000_000)]
Seed: TypeAlias = Annotated[int, Field(ge=0, le=MAX_SEED)]
Milliseconds: TypeAlias = Annotated[int, Field(ge=0, le=4_102_444_800_000)]  # until 2100
Number: TypeAlias = int | float
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Measured: TypeAlias = Annotated[float, Field(ge=0)]
OnSeeds: TypeAlias = Annotated[list[Measured | None], Field(min_length=1, max_length=10_000)]
"""A setting's values on fresh seeds; None where a training diverged."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataModel(_Model):
    """Which rows; not where they lie."""

    source: Name
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,79}$")]
    val_size: Rows
    split_seed: Seed
    data_digest: Digest
    split_digest: Digest
    parts: dict[Part, Line | Annotated[dict[Line, Line], Field(max_length=10)]] = {}
    folds: Annotated[int, Field(ge=0, le=MAX_FOLDS)] = 0
    few_shot: Count = 0
    draws: Annotated[int, Field(ge=0, le=MAX_DRAWS)] = 0
    normalise: Annotated[str, AfterValidator(_normalised)] = NORMALISATIONS[0]

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        suffix = self.source.removeprefix(self.name).lower()
        if not self.source.startswith(self.name) or suffix not in ("", *SUFFIXES):
            raise ValueError(f"source must be {self.name}.npz or such: got {shown(self.source)}")
        for part, value in self.parts.items():
            if isinstance(value, str) != (part != "names"):
                raise ValueError(f"parts: {part} is of another type: got {shown(value)}")
            if part in PATHS and (not value or {"/", "\\"} & set(value)):
                raise ValueError(f"parts: {part} must be the name of a file: got {shown(value)}")
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
    class_weight: Annotated[str, Field(max_length=1_000_000)] = "none"
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
    params: Annotated[dict[str, Number | Word], Field(max_length=len(NAMES) + 1)]
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
        objectives = {*NOUNS, *map(averaged, NOUNS)}
        known = {*METRICS, *objectives, *(f"{metric}_sd" for metric in objectives)}
        if self.curves and not set(self.least_curves) <= set(self.curves) <= known:
            raise ValueError(f"curves must be of {', '.join(self.least_curves)} and an objective")
        lengths = {len(curve) for curve in self.curves.values()} | {len(self.times)}
        if len(lengths) > 1:
            raise ValueError(f"curves and times must be equally long: got {sorted(lengths)}")
        for name, curve in self.curves.items():
            highest = max(curve, default=0.0)
            if highest > 1 and not name.endswith(("loss", "cost", "_sd")):
                raise ValueError(f"{name} must be at most 1: got {highest!r}")
        return self

    least_curves: ClassVar[tuple[str, ...]] = METRICS

    def curves_of(self, config: StudyConfig) -> tuple[str, ...]:
        """The metrics that it has a curve of."""
        return metrics_of(config)

    def check(self, config: StudyConfig) -> None:
        """Refuse what no trial of a study with this config could be."""
        metrics = self.curves_of(config)
        if self.curves and set(self.curves) != set(metrics):
            raise ValueError(f"curves must be of {', '.join(metrics)}")
        full, status = config.epochs, self.status
        least, most = {
            "complete": (full, full),
            "pruned": (1, full - 1),
            "failed": (0, full - 1),
            "running": (0, 0),
        }[status]
        if not least <= len(self.times) <= most:
            raise ValueError(f"{status} after {least} to {most} epochs: got {len(self.times)}")
        if (status == "running") != (self.ended is None):
            raise ValueError(f"{status}, so ended must not be {self.ended!r}")
        if (status in ("complete", "pruned")) != (self.weights_digest is not None):
            raise ValueError(f"{status}, so weights_digest must not be {self.weights_digest}")
        axes = config.space.axes
        if set(self.params) != set(axes):
            raise ValueError(f"params must be {', '.join(axes)}: got {shown(list(self.params))}")
        for name, value in self.setting.items():
            axis = axes[name]
            # A setting that a user queued may lie outside of a range.
            if not isinstance(axis, Range) and value not in axis.values:
                raise ValueError(f"{name} must be one of {axis}: got {value!r}")
            if isinstance(axis, Range) and axis.log and value <= 0:
                raise ValueError(f"{name} must be above 0: got {value!r}")

    @property
    def setting(self) -> dict[str, Any]:
        """Its parameters, each number of its own type."""
        return {
            name: RULES[name].check(name, value) if name in RULES else value
            for name, value in self.params.items()
        }

    @property
    def record(self) -> TrialRecord:
        """The trial as the record of a study has it."""
        typed = {"params": self.setting, "status": Status(self.status)}
        return TrialRecord(**self.model_dump() | typed)


class RefitModel(TrialModel):
    """A trial as `sweep test --refit` trained it: no rows are left to validate it."""

    least_curves: ClassVar[tuple[str, ...]] = tuple(n for n in METRICS if n.startswith("train/"))

    def curves_of(self, config: StudyConfig) -> tuple[str, ...]:  # noqa: ARG002 - as of a trial
        """The metrics of training rows."""
        return self.least_curves


class EstimateModel(_Model):
    """A metric and its interval."""

    value: float
    low: float
    high: float
    sd: float | None = None


class ResultModel(_Model):
    """What the test rows said."""

    accuracy: Share
    low: Share
    high: Share
    rows: Rows
    per_class: Annotated[dict[Name, Share], Field(max_length=MAX_EPOCHS)]
    further: Annotated[dict[Word, EstimateModel], Field(max_length=20)] = {}
    draws: Annotated[list[Share], Field(max_length=MAX_DRAWS)] = []


class OpeningModel(_Model):
    """One look at the test rows: looks elsewhere count as well."""

    trial: Count
    time: Annotated[str, Field(pattern=r"^20\d\d-[0-9T:.-]{5,25}\+00:00$")]
    refit: bool = False
    result: ResultModel | None = None


class ConfirmedModel(_Model):
    """A trial's setting on fresh seeds."""

    trial: Count
    search: Measured | None
    values: OnSeeds


class BaselineModel(_Model):
    """The report's own setting on fresh seeds, which is no trial."""

    trial: None
    search: None
    values: OnSeeds


class ConfirmationModel(_Model):
    """What `sweep confirm` found."""

    metric: Line
    direction: Line
    epochs: Count
    seeds: Annotated[list[Seed], Field(max_length=10_000), AfterValidator(_distinct)]
    finished: Count
    trials: Annotated[list[ConfirmedModel], Field(min_length=1, max_length=10_000)]
    baseline: BaselineModel

    @model_validator(mode="after")
    def _check(self) -> Self:
        _distinct([each.trial for each in self.trials])
        values = [self.baseline.values, *(each.values for each in self.trials)]
        if any(len(each) != len(self.seeds) for each in values):
            raise ValueError(f"{len(self.seeds)} seeds need so many values")
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
    refit: RefitModel | None = None
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

    @property
    def selected(self) -> TrialRecord | None:
        """The trial that the study answers with, see `find_selected`."""
        if self.confirmation is None:
            return best_trial(self.config, self.records)
        if self.in_full is not None:
            return self.in_full.record
        return self._trained(self.confirmation.trials[0].trial, "confirmation")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for trial in (*self.trials, *filter(None, (self.in_full, self.refit))):
            try:
                trial.check(self.config)
            except (ValueError, SweepError) as error:
                raise ValueError(f"trial {trial.number}: {error}") from error
        numbers, most = [trial.number for trial in self.trials], len(self.trials) + MAX_SPARE
        if sorted(set(numbers)) != numbers:
            raise ValueError("trials must be in the order of their numbers, each once")
        if numbers and numbers[-1] >= most:
            raise ValueError(f"trials must have numbers below {most}: got {numbers[-1]}")
        if len({trial.index for trial in self.trials}) < len(numbers):
            raise ValueError("no index may stand twice")
        for opening in self.test_openings:
            self._trained(opening.trial, "an opening of the test rows")
        if self.confirmation is not None:
            self._check_confirmation(self.confirmation)
        elif self.in_full is not None:
            raise ValueError("in_full: there is no confirmation that selected it")
        if self.refit is not None:
            self._check_again("refit", self.refit, self.selected)
        return self

    def _check_confirmation(self, confirmation: ConfirmationModel) -> None:
        config = self.config
        for name in ("metric", "direction", "epochs"):
            if getattr(confirmation, name) != getattr(config, name):
                raise ValueError(f"confirmation: {name} must be {getattr(config, name)}")
        if not 1 <= confirmation.finished <= len(self.trials):
            raise ValueError(f"confirmation: finished must be 1 to {len(self.trials)}")
        trials = [self._trained(each.trial, "confirmation") for each in confirmation.trials]
        for each, trial in zip(confirmation.trials, trials, strict=True):
            value = trial.last(config.metric) if trial.status == Status.COMPLETE else None
            if each.search != value:
                raise ValueError(f"confirmation: trial {each.trial} came to {value} in the search")
        winner = trials[0]
        if self.in_full is None:
            if winner.status != Status.COMPLETE:
                raise ValueError(f"in_full is missing: trial {winner.number}, selected, was pruned")
            return
        self._check_again("in_full", self.in_full, winner)

    @staticmethod
    def _check_again(name: str, again: TrialModel, selected: TrialRecord | None) -> None:
        """Refuse what is not the selected trial, trained to its end again."""
        if selected is None or again.status != "complete":
            raise ValueError(f"{name} must be complete, and of the selected trial")
        same = ("number", "index", "params", "first_pass")
        if any(getattr(again.record, each) != getattr(selected, each) for each in same):
            raise ValueError(f"{name} must be trial {selected.number}, the selected one")

    @cached_property
    def _by_number(self) -> dict[int, TrialRecord]:
        return {trial.number: trial for trial in self.records}

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
        raise RefusedError(f"study.json: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    """Return the first thing that is wrong: where, the rule and the value."""
    first: Any = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    rule = first["msg"].removeprefix("Value error, ")
    value = "" if first["type"] in ("value_error", "json_invalid") else shown(first["input"])
    if isinstance(first["input"], float) and not math.isfinite(first["input"]):
        value = repr(first["input"])
    return ": ".join(part for part in (place[:MAX_PLACE], rule, value and f"got {value}") if part)
