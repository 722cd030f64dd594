"""Everything that makes a study that study: from the options to the record, and the seeds."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import KW_ONLY, asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from sweep.errors import SweepError
from sweep.search_space import DEFAULT_SPACES, NORMALISE, space_from_record
from sweep_model import AVERAGED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sweep.search_space import Space

LOSSES = tuple(DEFAULT_SPACES)
SAMPLERS = ("tpe", "random", "qmc", "grid")
PRUNERS = ("halving", "median", "hyperband", "none")
HALVING = ("halving", "hyperband")
OBJECTIVES = (
    "val-accuracy",
    "val-loss",
    "val-balanced-accuracy",
    "val-macro-f1",
    "val-top5-accuracy",
    "val-log-loss",
    "val-weighted-accuracy",
)
CLASS_WEIGHTS = ("none", "balanced")
TRAIN_CURVES = ("sample", "all")
EPOCHS, TRIALS = 50, 50

MAX_SEED = 2**32 - 1
MAX_SLOTS = 4096
LEAST_FOLDS, MAX_FOLDS = 2, 100
LEAST_DRAWS, USUAL_DRAWS, MAX_DRAWS = 2, 5, 100
USUAL_FOLDS, FEW_ROWS = 5, 5_000
"""So many folds are usual up to so many rows, of which a fifth, one split, would be fewer
than the 1,000 validation rows that larger data have."""
WIDEST_PANEL = 128
"""Columns of a panel beyond which products are no faster."""
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
TPE_ARGUMENTS: Mapping[str, Any] = {
    "multivariate": True,
    "constant_liar": False,
    "n_startup_trials": 8,
}
"""Recorded with every study, since Optuna's defaults change."""
USUAL: Mapping[str, Any] = {
    "epochs": EPOCHS,
    "sampler": SAMPLERS[0],
    "pruner": PRUNERS[0],
    "objective": OBJECTIVES[0],
    "train_curve": TRAIN_CURVES[0],
    "class_weight": CLASS_WEIGHTS[0],
    "seed": 0,
}
"""What `sweep run` takes where nothing else is asked for."""

# They keep the streams of random numbers of a study apart.
_TRAINING, _CONFIRMATIONS = 1, 2


@dataclass(frozen=True)
class DataFiles:
    """A file or folder of features, and what goes with it.

    Attributes
    ----------
    data
        .npz, .npy, .safetensors, .parquet, .csv, or a folder of .npy files.
    labels
        The .npy file of the labels, where `data` holds features alone.
    label
        The column of labels of a table.
    names
        What `data` calls the arrays of `ARRAY_NAMES`.
    val, val_labels, test, test_labels
        Of validation and of test rows that lie in files of their own.

    """

    data: str
    _: KW_ONLY
    labels: str | None = None
    label: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    val: str | None = None
    val_labels: str | None = None
    test: str | None = None
    test_labels: str | None = None

    def __post_init__(self) -> None:
        for name in PATHS:  # a Path is welcome
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else str(value))

    def parts(self) -> dict[str, Any]:
        """Return what goes with `data`, as plain values for JSON."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in plain.items() if value and name != "data"}

    def at(self, place: Callable[[str], str]) -> DataFiles:
        """Return the same with its paths replaced."""
        parts: dict[str, Any] = {"data": self.data, **self.parts()}
        parts |= {name: place(parts[name]) for name in PATHS if name in parts}
        return DataFiles(**parts)


PATHS = ("data", "labels", "val", "val_labels", "test", "test_labels")
"""The attributes of `DataFiles` that are paths."""
NORMALISATIONS = ("standardise", "unit", "none")
"""By the training rows' mean and deviation; each row to one length; not at all."""
ARRAY_NAMES = ("X", "y", "X_val", "y_val", "X_test", "y_test", "class_names")
"""Of what a file of arrays holds; all but X and y may be missing."""
NAMED_DATA = ("auto", "cifar10", "digits")
"""Data that are no files."""
SUFFIXES = (".npz", ".npy", ".safetensors", ".parquet", ".csv")
"""Of files that hold data."""


def normalisations_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return one normalisation, or several that are searched, in the order of `NORMALISATIONS`.

    Text names them with commas between, as `DataConfig.normalise` does.
    """
    names: Any = given.split(",") if isinstance(given, str) else given
    names = names if isinstance(names, list | tuple) else [names]
    ordered = tuple(name for name in NORMALISATIONS if name in names)
    if not names or len(ordered) < len(names):
        raise SweepError(
            f"normalise must be one of {', '.join(NORMALISATIONS)}: got {given!r}; write "
            "e.g. standardise,unit to search among several, each named once"
        )
    return ordered


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which rows a study or a single trial works on, and how to find them again."""

    source: str
    """`cifar10`, `digits`, the path of a file or folder, or `arrays` that were in memory."""
    directory: str | None
    name: str
    val_size: int
    split_seed: int
    data_digest: str
    split_digest: str
    parts: Mapping[str, Any] = field(default_factory=dict)
    """What goes with a file, see `DataFiles`."""
    folds: int = 0
    """So many parts of the rows are held out in turn; 0: `val_size` rows validate all trainings."""
    few_shot: int = 0
    """Rows of each class that one training trains on; 0: all training rows."""
    draws: int = 0
    """A trial is a training on each of so many draws of `few_shot` rows; 0 without."""
    normalise: str = NORMALISATIONS[0]
    """How features are made ready, one of `NORMALISATIONS`; several with commas are searched."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "normalise", ",".join(normalisations_of(self.normalise)))

    @property
    def files(self) -> DataFiles | None:
        """The file, and what goes with it; None for other sources."""
        if self.source in (*NAMED_DATA, "arrays"):
            return None
        return DataFiles(self.source, **self.parts)

    @property
    def split(self) -> dict[str, Any]:
        """What parts the rows as they were, see `sweep.data.split_rows`."""
        return {
            "val_size": None if self.folds else self.val_size,
            "folds": self.folds,
            "few_shot": self.few_shot or None,
            "draws": self.draws or None,
            "split_seed": self.split_seed,
        }

    @property
    def repeats(self) -> int:
        """How many trainings a trial is, one for each fold or draw."""
        return self.folds or self.draws or 1

    @property
    def repeats_in_words(self) -> str:
        """Folds or draws in words, e.g. `5 draws of 4 rows a class`; empty without."""
        if self.few_shot:
            return f"{self.draws} draws of {self.few_shot} row{'s' * (self.few_shot > 1)} a class"
        return f"{self.folds} folds" if self.folds else ""

    def is_same(self, other: DataConfig) -> bool:
        """Whether these are the same rows, split alike, wherever they lie."""
        digests = (other.data_digest, other.split_digest)
        return (self.data_digest, self.split_digest) == digests

    def differences(self, other: DataConfig) -> list[str]:
        """Return a phrase `what this -> other` for each way in which these are not the same rows.

        Where they lie is none, nor how they are normalised.
        """
        return [
            f"{name.replace('_', ' ')} {getattr(self, name):.12} -> {getattr(other, name):.12}"
            for name in ("name", "data_digest", "split_digest")
            if getattr(self, name) != getattr(other, name)
        ]

    def moved(self, file: Path) -> DataConfig:
        """Return the config of the same rows in a file that lies elsewhere."""
        if self.files is None:
            raise SweepError(f"{file}: the study is on {self.source}, not on a file; leave it out")
        return replace(self, source=str(file.expanduser().resolve()))


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """All that decides a study's trials, apart from how many there are.

    Attributes
    ----------
    train_curve
        Which training rows are evaluated after every epoch: a fixed sample, or all of them.
    class_weight
        `balanced` lets every class count the same in training, see `Prepared.balanced_weights`;
        numbers, as in `1,2.5`, say how much a row of each class counts.
    slots
        Trials in training at once.
    lanes
        Trainings in one panel. A trial's bits depend on it, see `sweep_model.panels`.
    eta
        Of halving: one in so many trials goes on at each rung.
    sampler_arguments
        Of Optuna's `TPESampler`.

    """

    study: str
    loss: str
    epochs: int
    seed: int
    sampler: str
    pruner: str
    objective: str
    train_curve: str = "sample"
    class_weight: str = "none"
    data: DataConfig
    space: Space
    slots: int
    lanes: int
    eta: int = 3
    sampler_arguments: Mapping[str, Any] = field(default_factory=lambda: dict(TPE_ARGUMENTS))

    def __post_init__(self) -> None:
        check_study_name(self.study)
        weights = class_weights(self.class_weight)
        if weights is not None:
            plain = ",".join(repr(weight).removesuffix(".0") for weight in weights)
            object.__setattr__(self, "class_weight", plain)
        for name, allowed in (
            ("loss", LOSSES),
            ("sampler", SAMPLERS),
            ("pruner", PRUNERS),
            ("objective", OBJECTIVES),
            ("train_curve", TRAIN_CURVES),
            ("lanes", (1, 2, 4, 8)),
        ):
            value = getattr(self, name)
            if value not in allowed:
                choices = ", ".join(map(str, allowed))
                raise SweepError(f"{name} must be one of {choices}: got {value!r}")
        for name, low, high in (
            ("epochs", 1, math.inf),
            ("seed", 0, MAX_SEED),
            ("slots", 1, MAX_SLOTS),
            ("eta", 2, math.inf),
        ):
            value = getattr(self, name)
            if type(value) is not int:
                raise SweepError(f"{name} must be a whole number: got {value!r}")
            if not low <= value <= high:
                raise SweepError(f"{name} must lie in [{low}, {high}]: got {value!r}")
        if self.objective == "val-weighted-accuracy" and self.class_weights is None:
            raise SweepError(
                "objective val-weighted-accuracy needs a number for each class, e.g. "
                f"--class-weight 1,2.5: got {self.class_weight}; val-balanced-accuracy lets all "
                "classes count alike"
            )
        space = self.space.with_normalisations(normalisations_of(self.data.normalise))
        object.__setattr__(self, "space", space)

    @property
    def class_weights(self) -> tuple[float, ...] | None:
        """The numbers of `class_weight`; None where it is a word."""
        return class_weights(self.class_weight)

    def normalise_of(self, setting: Mapping[str, Any]) -> str:
        """Return how the rows of a trial with this setting are normalised."""
        return str(setting.get(NORMALISE, self.data.normalise))

    @property
    def metric(self) -> str:
        """The curve whose last value is the objective, e.g. `val/macro_f1`."""
        return self.objective.replace("-", "/", 1).replace("-", "_")

    @property
    def signal(self) -> str:
        """The curve by which trials are compared before their last epoch.

        For halving it is the objective of the mean of an epoch's weights, `val/averaged_accuracy`.
        """
        return averaged(self.metric) if self.pruner in HALVING else self.metric

    @property
    def further(self) -> tuple[str, ...]:
        """The metrics that validation rows are evaluated by beside loss and accuracy."""
        names = dict.fromkeys(each.removeprefix("val/") for each in (self.metric, self.signal))
        return tuple(name for name in names if name not in ("accuracy", "loss"))

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Optuna's word for which way is better."""
        return "minimize" if self.objective.endswith("loss") else "maximize"

    @property
    def sign(self) -> int:
        """What the objective is multiplied by so that less is better, for sorting."""
        return -1 if self.direction == "maximize" else 1

    @property
    def training_seed(self) -> int:
        """The seed of the search's trainings: of their initial weights, row order and flips."""
        return _derived(self.seed, 0, _TRAINING)

    def fresh_seed(self, number: int) -> int:
        """Return a seed for a confirmation: of other draws than the search's."""
        return _derived(self.seed, number, _CONFIRMATIONS)

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_record` reads them back."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        space = self.space.with_normalisations(()).record()  # which the data say
        return plain | {"data": asdict(self.data), "space": space}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> StudyConfig:
        """Read back what `record` returned."""
        try:
            parts = {
                "data": DataConfig(**record["data"]),
                "space": space_from_record(record["space"]),
            }
            return cls(**{**record, **parts})
        except (KeyError, TypeError, ValueError, AttributeError, SweepError) as error:
            raise SweepError(
                f"study {record.get('study')!r}: its config cannot be read, {error}; was it "
                "recorded by another version of sweep? Use that one, or begin a new study"
            ) from error

    def differences(self, other: StudyConfig) -> list[str]:
        """Return a phrase `what this -> other` for each setting that would change a trial.

        Where the data lie may change; what they are may not.
        """
        names = [each.name for each in fields(self) if each.name not in ("study", "data", "space")]
        phrases = [
            f"{name} {getattr(self, name)} -> {getattr(other, name)}"
            for name in names
            if getattr(self, name) != getattr(other, name)
        ]
        phrases += self.data.differences(other.data)
        if self.data.normalise != other.data.normalise:
            phrases.append(f"normalise {self.data.normalise} -> {other.data.normalise}")
        return phrases + self.space.differences(other.space)


def averaged(metric: str) -> str:
    """Return the curve of a metric of the mean weights, e.g. `val/averaged_accuracy`."""
    return metric.replace("val/", f"val/{AVERAGED}")


def run_command(config: StudyConfig, trials: int) -> str:
    """Return a line for the shell. What is usual and changes nothing is left out.

    Slots are said, since they decide which trials begin when; threads change nothing.
    """
    options: list[tuple[str, object]] = [
        ("loss", config.loss),
        *_data_options(config.data),
        ("trials", trials),
        *([] if config.slots == default_slots(trials) else [("slots", config.slots)]),
        *(
            (name.replace("_", "-"), getattr(config, name))
            for name, usual in USUAL.items()
            if getattr(config, name) != usual
        ),
    ]
    default = DEFAULT_SPACES[config.loss].axes
    options += [
        ("set", f"{name}={axis}")
        for name, axis in config.space.axes.items()
        if name in default and axis != default[name]
    ]
    words = [word for name, value in options for word in (f"--{name}", str(value))]
    return shlex.join(["sweep", "run", config.study, *words])


def _data_options(data: DataConfig) -> list[tuple[str, object]]:
    named = "arrays.npz" if data.source == "arrays" else data.source  # saved to be found again
    options: list[tuple[str, object]] = [("data", named)]
    if data.directory is not None and data.source == data.name:  # a file is found by its path
        options.append(("data-dir", data.directory))
    for name, value in data.parts.items():
        if name == "names":
            options.append(("map", ",".join(f"{ours}={theirs}" for ours, theirs in value.items())))
        else:
            options.append((name.replace("_", "-"), value))
    options.append(("folds", data.folds) if data.folds else ("val-size", data.val_size))
    if data.few_shot:
        options += [("few-shot", data.few_shot), ("draws", data.draws)]
    if data.normalise != NORMALISATIONS[0]:
        options.append(("normalise", data.normalise))
    if data.split_seed:
        options.append(("split-seed", data.split_seed))
    return options


def default_slots(trials: int) -> int:
    """Return how many trials train at once: about 2.25 times the square root, in fours.

    Fewer would leave processors idle, more would begin trials before there is a result to learn
    from. It does not depend on the machine, so the same command gives the same study everywhere.
    """
    return min(MAX_SLOTS, max(8, 4 * math.ceil(2.25 * math.sqrt(trials) / 4)))


def default_lanes(classes: int, slots: int) -> int:
    """Return the lanes of a panel: more are faster, as long as trainings fill them."""
    wanted = 8 if slots >= 40 else 4  # noqa: PLR2004 - measured with benchmarks/efficiency.py
    return next((n for n in (8, 4, 2) if n <= wanted and n * classes <= WIDEST_PANEL), 1)


def trial_seed(study_seed: int, index: int) -> int:
    """Return the seed of what is drawn for one trial alone, e.g. by its sampler."""
    return _derived(study_seed, index)


def _derived(*numbers: int) -> int:
    import numpy as np

    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def class_weights(text: str) -> tuple[float, ...] | None:
    """Return numbers above 0, one for each class; None for a word of `CLASS_WEIGHTS`."""
    if text in CLASS_WEIGHTS:
        return None
    try:
        weights = tuple(float(part) for part in str(text).split(","))
    except ValueError:
        weights = ()
    if not weights or not all(0 < weight < math.inf for weight in weights):
        raise SweepError(
            "class_weight must be none, balanced, or a number above 0 for each class, e.g. 1,2.5: "
            f"got {text!r:.200}"
        )
    return weights


def check_study_name(name: str) -> str:
    """Return a name that is fit for stores, tags and files, or refuse it."""
    if not STUDY_NAME.fullmatch(name):
        shown = name if len(name) <= 80 else name[:77] + "..."  # noqa: PLR2004 - the rule's own length
        raise SweepError(
            "a study name has 1 to 80 letters, digits, dots, dashes or underscores and begins "
            f"with a letter or digit: got {shown!r}; choose another"
        )
    return name
