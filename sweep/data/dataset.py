"""Rows: where they come from, how they are split, standardised, and found again unchanged."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

from sweep.config import (
    FEW_ROWS,
    LEAST_DRAWS,
    LEAST_FOLDS,
    MAX_DRAWS,
    MAX_FOLDS,
    NAMED_DATA,
    NORMALISATIONS,
    USUAL_DRAWS,
    USUAL_FOLDS,
    DataConfig,
    DataFiles,
    normalisations_of,
)
from sweep.errors import SweepError
from sweep.io import free_memory
from sweep_model.preprocessing import (
    ChosenRows,
    MirrorBasis,
    MirrorRows,
    Standardiser,
    UnwidenedRows,
    extremes,
)
from sweep_model.training import Rows, balanced_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt
    from numpy.typing import ArrayLike

    from sweep_model import Floats, ImageShape, Labels

SAMPLE = 10_000
"""Training rows that are evaluated after every epoch; all of them would be a third of the work."""
NAMED = 5
"""Classes or arrays that a message names; there may be thousands of them."""
MAX_NAME = 60  # characters of one of them
WIDEST = 4_000_000_000
"""Bytes of training rows in float32 above which they stay as they were given."""
_CHUNK = 1_000  # rows turned at a time: beside the rows themselves it takes 25 MB for CIFAR-10
_GOLDEN = (5**0.5 - 1) / 2  # multiples of it fill the unit interval evenly

# last: the last val_size rows validate. given: the same, and their number is fixed.
# stratified: val_size rows drawn by the split seed, every class with its share.
SplitKind: TypeAlias = Literal["last", "given", "stratified"]
Data: TypeAlias = "str | DataFiles | Sequence[ArrayLike] | Mapping[str, ArrayLike]"
"""What `open_source` takes."""
ARRAYS = "arrays"
"""The source of a study whose rows lie nowhere."""


class DataChangedError(SweepError):
    """The rows found now are not the ones that the study recorded."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Raw rows with their labels; the arrays are read-only.

    Attributes
    ----------
    name : what runs and studies call it.
    rows : (n, d) numbers that float64 holds, images flattened in channel, row, column order.
    labels : (n,) int64, each an index into `class_names`.
    image_shape : (channels, height, width), or None where rows are no images: then there is
        nothing to flip or draw.
    notices : what the user should know of how the data were taken, a line each.
    """

    name: str
    rows: npt.NDArray[Any]
    labels: Labels
    class_names: tuple[str, ...]
    image_shape: ImageShape | None
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.rows.flags.writeable = False
        self.labels.flags.writeable = False

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what the data say, whatever files they came from."""
        dtype = meaning_dtype(self.rows.dtype)
        meaning = {
            "dtype": dtype.name,
            "shape": self.rows.shape,
            "image_shape": self.image_shape,
            "class_names": self.class_names,
        }
        return sha256_of(
            json.dumps(meaning, sort_keys=True).encode(),
            _Widened(self.rows, dtype),
            _little_endian(self.labels),
        )


class Source(Protocol):
    """Where one data set comes from. Opening one reads little; the rows come when asked for.

    The test rows are sealed: `development` never returns them, and only `test` reads them.
    """

    @property
    def name(self) -> str:
        """What studies and runs call the data set."""

    @property
    def location(self) -> str:
        """A phrase that says where the data lie."""

    @property
    def kind(self) -> str:
        """What it was taken for, a phrase."""

    @property
    def files(self) -> DataFiles | None:
        """What is named to open it again; None where that is `name`, or where it lies nowhere."""

    @property
    def folder(self) -> Path | None:
        """Where `--data-dir` would have to point to find it again; None where it lies nowhere."""

    @property
    def official(self) -> tuple[bool | None, str]:
        """Whether the bytes are the published ones, None where none were published; and how so."""

    @property
    def split_kind(self) -> SplitKind:
        """How validation rows are parted from training rows."""

    @property
    def default_val_size(self) -> int:
        """How many validation rows there are unless the user says otherwise."""

    @property
    def has_test(self) -> bool:
        """Whether `test` has rows to return."""

    def development(self) -> Dataset:
        """Return the rows to train and validate on, or raise SweepError."""

    def test(self) -> Dataset:
        """Return the test rows; SweepError where there are none."""


@dataclass(frozen=True, eq=False)
class Split:
    """Which development rows train and which validate: ascending row numbers.

    None is in both, or, with `folds`, every row is: the numbers (n,) of the folds that hold them
    out, from 0. With `draws` (draws, m) a training trains on one of these draws of `train`.
    """

    train: Labels
    val: Labels
    folds: Labels | None = None
    draws: Labels | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the row numbers, or of the folds."""
        parts = [self.train, self.val] if self.folds is None else [self.folds]
        parts += [] if self.draws is None else [self.draws]
        return sha256_of(*map(_little_endian, parts))


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Rows ready to train on, standardised by the training rows alone.

    The training rows are in pixel order, for the reference trainer, or in the mirror basis, for
    panels: CIFAR-10 once is 0.6 GB, so nobody holds both. The first `sample` of them are a fixed
    stratified sample, in both cases. `notices` are what the user should know of them, a line each.
    With `folds`, (n,) from 0, the training rows are the validation rows, the same object: in the
    trainings of a fold its rows are held out, which are then validated on. Standardisation sees all
    of them.
    With `draws` the training rows are those of each draw, one after the other and equally many;
    standardisation sees all rows that they were drawn from.

    Where several normalisations are searched, `normalise` is the first, and `others` are the same
    rows in the same order, normalised in the other ways.
    """

    name: str
    training: Rows | MirrorRows
    validation: Rows | MirrorRows
    sample: int
    standardiser: Standardiser
    class_names: tuple[str, ...]
    image_shape: ImageShape | None
    data_digest: str
    split_digest: str
    notices: tuple[str, ...] = ()
    folds: Labels | None = None
    draws: int = 0
    normalise: str = NORMALISATIONS[0]
    others: tuple[Prepared, ...] = ()

    @property
    def size(self) -> int:
        """How many rows a training has."""
        return len(self.training.labels) // max(1, self.draws)

    @property
    def normalisations(self) -> tuple[Prepared, ...]:
        """These rows in each of the ways in which they are normalised."""
        return (self, *self.others)

    def normalised(self, normalise: str) -> Prepared:
        """Return these rows in one of the ways alone; a ValueError where they are not."""
        for each in self.normalisations:
            if each.normalise == normalise:
                return replace(each, others=())
        names = ", ".join(each.normalise for each in self.normalisations)
        raise ValueError(f"rows are {names}, not {normalise!r}")

    @cached_property
    def balanced_weights(self) -> Floats:
        """Of a training's rows, see `balanced_weights`; of draws they are all 1."""
        return balanced_weights(self.training.labels[: self.size])


def _little_endian(array: npt.NDArray[Any]) -> memoryview:
    """The bytes of an array in row order, the same on every machine; no copy on most."""
    order = array.dtype.newbyteorder("<")
    return np.ascontiguousarray(array, dtype=order).reshape(-1).view(np.uint8).data


class _Widened(NamedTuple):
    """The bytes of rows in another type, some rows at a time."""

    rows: npt.NDArray[Any]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.rows.size * self.dtype.itemsize

    def chunks(self) -> Iterator[memoryview]:
        for start in range(0, len(self.rows), _CHUNK):
            yield _little_endian(self.rows[start : start + _CHUNK].astype(self.dtype, copy=False))


def meaning_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type whose bytes a digest of rows is made of: the same numbers have the same digest."""
    if dtype in (np.uint8, np.bool_):
        return np.dtype(np.uint8)
    return np.dtype(np.float32 if np.can_cast(dtype, np.float32, "safe") else np.float64)


def sha256_of(*parts: bytes | memoryview | _Widened) -> str:
    """One digest of several byte strings, each preceded by its length."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        for chunk in part.chunks() if isinstance(part, _Widened) else [part]:
            digest.update(chunk)
    return digest.hexdigest()


def listed(names: Iterable[str]) -> str:
    """The first few of the names that somebody else gave, fit for a line."""
    shown = [name if name.isprintable() else repr(name) for name in names]
    shown = [name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}..." for name in shown]
    return (", ".join(shown[:NAMED]) or "nothing") + (", ..." if len(shown) > NAMED else "")


def check_memory(name: str, rows: int, features: int, *, bytes_each: int) -> None:
    """Refuse rows that do not fit into memory with so many bytes a feature, before any is read."""
    needed, free = rows * features * bytes_each, free_memory()
    if free is not None and needed > free:
        raise SweepError(
            f"{name}: {rows:,} rows x {features:,} features need {needed / 1e9:,.1f} GB of memory: "
            f"{free / 1e9:,.1f} GB are free; end other programs, save them as float16, or save "
            "fewer rows or features"
        )


def _may_widen(rows: int, features: int, copies: int) -> bool:
    """Whether the training rows are held as float32 beside what was given, which is faster.

    So many `copies` of them are held, one for each normalisation. It changes no bit, see
    `UnwidenedRows`.
    """
    needed, free = 4 * rows * features * copies, free_memory()
    return needed <= WIDEST and (free is None or needed <= free / 2)


def open_source(data: Data, data_dir: Path | None = None) -> Source:
    """Open what `--data` names: auto, cifar10, digits or a file of features; or arrays.

    Nothing is downloaded.

    `auto` is CIFAR-10 where `data_dir` or the cache folder holds it, and digits elsewhere.
    """
    from sweep.data.arrays import open_arrays
    from sweep.data.cifar10 import find_cifar10, without_cifar10
    from sweep.data.digits import Digits
    from sweep.data.files import open_files

    if isinstance(data, DataFiles):
        return open_files(data)
    if not isinstance(data, str):
        return open_arrays(data)
    if data not in NAMED_DATA:
        return open_files(DataFiles(data))
    if data == "digits":
        return Digits()
    if data == "auto":
        folders = [data_dir, cache_folder()] if data_dir else [cache_folder()]
        sources = (find_cifar10(folder.expanduser()) for folder in folders)
        return next((source for source in sources if source), None) or Digits()
    folder = (data_dir or cache_folder()).expanduser()
    source = find_cifar10(folder)
    if source is None:
        option = f" --data-dir {data_dir}" if data_dir else ""
        raise SweepError(
            f"{folder}: holds no CIFAR-10: {without_cifar10(folder)}; `sweep data download"
            f"{option}` fetches it (170 MB), --data-dir says where you have it"
        )
    return source


def auto_notice(source: Source, data_dir: Path | None = None) -> str:
    """One line for `auto`: what was taken, and how to get the other."""
    if source.name == "digits":
        where = f"{data_dir} holds no CIFAR-10" if data_dir else "no CIFAR-10 was found"
        return (
            f"Data: digits (1,797 images of 8 x 8), as {where}; "
            "`sweep data download` fetches it (170 MB), --data-dir says where you have it."
        )
    return f"Data: CIFAR-10 from {source.location}; --data digits takes the small embedded set."


def cache_folder() -> Path:
    """Where `sweep data download` puts files unless told otherwise."""
    import pooch

    return Path(pooch.os_cache("sweep"))


def split_rows(
    source: Source,
    dataset: Dataset,
    *,
    val_size: int | None = None,
    folds: int | None = 0,
    few_shot: int | None = None,
    draws: int | None = None,
    split_seed: int = 0,
) -> Split:
    """Part the development rows of a source; `split_seed` matters to what is drawn only.

    Without folds `val_size` rows validate, by default the source's own number, or the nearest that
    rows and classes allow; the row of a class that has but one trains. Folds of None are
    `usual_folds` where nothing else is asked for. With `few_shot` so many training rows of each
    class are drawn, `draws` times.
    """
    check_split(val_size=val_size, folds=folds, few_shot=few_shot, draws=draws)
    if folds is None:
        folds = usual_folds(source, dataset) if val_size is None and few_shot is None else 0
    if folds:
        every = np.arange(len(dataset.rows))
        return Split(every, every, stratified_folds(dataset, folds, split_seed))
    split = _one_split(source, dataset, val_size, split_seed)
    if few_shot is None:
        return split
    return replace(split, draws=few_rows(dataset, split, few_shot, draws, split_seed))


def _one_split(source: Source, dataset: Dataset, val_size: int | None, split_seed: int) -> Split:
    size = source.default_val_size if val_size is None else val_size
    rows = len(dataset.rows)
    if source.split_kind == "given":
        if size != source.default_val_size:
            raise SweepError(
                f"--val-size {size}: {dataset.name} brings its own {source.default_val_size:,} "
                "validation rows; leave --val-size out"
            )
        return Split(np.arange(rows - size), np.arange(rows - size, rows))
    stratified = source.split_kind == "stratified"
    shared = _of_shared_classes(dataset) if stratified else np.arange(rows)
    classes = len(np.unique(dataset.labels[shared]))
    least, most = classes if stratified else 1, len(shared) - classes
    if val_size is None:  # a default suits small data, too, where anything does
        size = max(least, min(size, most))
    if not least <= size <= most:
        raise SweepError(
            f"--val-size {size}: must be from {least} to {most} for the {len(shared):,} rows and "
            f"{classes} classes of {dataset.name}"
        )
    if stratified:
        drawn = shared[stratified_split(dataset.labels[shared], size, split_seed)[1]]
        return Split(np.delete(np.arange(rows), drawn), drawn)
    return Split(np.arange(rows - size), np.arange(rows - size, rows))


def check_split(
    *, val_size: int | None, folds: int | None, few_shot: int | None, draws: int | None
) -> None:
    """Refuse numbers that cannot be, and what does not go together."""
    if folds and not LEAST_FOLDS <= folds <= MAX_FOLDS:
        raise SweepError(f"folds must be from {LEAST_FOLDS} to {MAX_FOLDS}: got {folds!r}")
    if folds and val_size is not None:
        raise SweepError(
            f"--val-size {val_size} does not go with --folds {folds}: all rows validate in turn; "
            "leave one out"
        )
    if few_shot is None:
        if draws is not None:
            raise SweepError(f"--draws {draws} goes with --few-shot K: say how many rows a class")
        return
    if few_shot < 1 or not LEAST_DRAWS <= (draws or USUAL_DRAWS) <= MAX_DRAWS:
        raise SweepError(
            f"few_shot must be 1 or more, draws from {LEAST_DRAWS} to {MAX_DRAWS}: got "
            f"{few_shot!r} and {draws!r}; correct them"
        )
    if folds:
        raise SweepError(
            f"--folds {folds} does not go with --few-shot {few_shot}: what was not drawn needs no "
            "fold; leave one out"
        )


def few_rows(dataset: Dataset, split: Split, few_shot: int, draws: int | None, seed: int) -> Labels:
    """Draw `few_shot` training rows of each class: row numbers (draws, m), class by class.

    So all draws have the same labels. A draw depends on the seed and its own number alone.
    """
    labels = dataset.labels[split.train]
    counts = np.bincount(labels, minlength=len(dataset.class_names))
    if counts.min() < few_shot:
        least = int(counts.argmin())
        raise SweepError(
            f"--few-shot {few_shot}: {dataset.name} has {counts[least]} training rows of class "
            f"{dataset.class_names[least]!r}; ask for fewer rows a class"
        )
    by_class = [split.train[labels == label] for label in range(len(counts))]
    drawn = []
    for draw in range(draws or USUAL_DRAWS):
        rng = np.random.default_rng((seed, draw))
        few = [np.sort(rng.choice(rows, few_shot, replace=False)) for rows in by_class]
        drawn.append(np.concatenate(few))
    return np.array(drawn)


def usual_folds(source: Source, dataset: Dataset) -> int:
    """Return how many folds few rows have by default; 0 where one split is usual.

    That is of many rows, of a source that has its own split, and where a class has one row.
    """
    counts = np.bincount(dataset.labels)
    folds = min(USUAL_FOLDS, int(counts[counts > 0].min()))
    few = source.split_kind == "stratified" and len(dataset.labels) <= FEW_ROWS
    return folds if few and folds >= LEAST_FOLDS else 0


def repeats_notice(choice: DataConfig, *, usual: bool) -> str:
    """Return a line that says what folds or draws mean; empty without. `usual`: nobody asked."""
    standardised, rows = "standardise" in choice.normalise, f"{choice.val_size:,} rows"
    if choice.few_shot:
        seen = "features are standardised by all training rows, " * standardised
        return (
            f"{choice.repeats_in_words}: a trial is a training on each, {rows} validate them all, "
            f"{seen}and a trial's model is the mean of its draws'; `sweep test` tests each draw's."
        )
    if not choice.folds:
        return ""
    why = f", as there are at most {FEW_ROWS:,} rows (--val-size N: one split)" if usual else ""
    seen = "features are standardised by all of them, " * standardised
    return (
        f"{choice.repeats_in_words}{why}: each of {rows} validates once, {seen}and a trial's model "
        "is the mean of its folds'."
    )


def _of_shared_classes(dataset: Dataset) -> Labels:
    """Return the numbers of the rows that are not alone in their class, or refuse if all are."""
    shared = np.flatnonzero(np.bincount(dataset.labels)[dataset.labels] > 1)
    if not len(shared):
        raise SweepError(
            f"{dataset.name}: no class has two rows, one to train on and one to validate: got "
            f"{len(dataset.labels):,} rows; add rows, or give X_val and y_val"
        )
    return shared


def stratified_split(labels: Labels, size: int, seed: int) -> tuple[Labels, Labels]:
    """Draw `size` row numbers, every class with its share: (the others, the drawn)."""
    from sklearn.model_selection import train_test_split

    others, drawn = train_test_split(
        np.arange(len(labels)), test_size=size, stratify=labels, random_state=seed
    )
    return np.sort(others), np.sort(drawn)


def stratified_sample(labels: Labels, size: int) -> tuple[Labels, Labels]:
    """Part row numbers into a sample with each class's share, and the others; both ascend.

    The sample is the same for the same labels. It takes the rows of a class at even distances.
    """
    counts = np.bincount(labels)
    by_class = np.argsort(labels, kind="stable")
    positions = np.concatenate([np.arange(count) for count in counts])
    shares = np.empty(len(labels))
    shares[by_class] = (positions * _GOLDEN) % 1  # spread evenly, however many are taken
    numbers = np.argsort(shares, kind="stable")
    return np.sort(numbers[:size]), np.sort(numbers[size:])


def stratified_folds(dataset: Dataset, folds: int, seed: int) -> Labels:
    """Draw in which fold each row is held out, (n,) from 0; every class has its share in each."""
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(dataset.labels)
    few = np.flatnonzero((counts > 0) & (counts < folds))
    if len(few):
        raise SweepError(
            f"--folds {folds}: {dataset.name} has {counts[few[0]]} rows of class "
            f"{dataset.class_names[few[0]]!r}, and each fold needs one; ask for fewer folds"
        )
    numbers = np.empty(len(dataset.labels), dtype=np.int64)
    drawn = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, held) in enumerate(drawn.split(numbers, dataset.labels)):
        numbers[held] = fold
    return numbers


def prepare(
    dataset: Dataset,
    split: Split,
    *,
    normalise: str | Sequence[str] = NORMALISATIONS[0],
    mirrored: bool = False,
) -> Prepared:
    """Standardise the rows of a split; CIFAR-10 takes 0.6 GB more and two seconds.

    `normalise` is how or, where that is searched, in which ways. `mirrored` puts the training rows
    in the mirror basis, which panels train in.
    """
    ways = normalisations_of(normalise)
    labels, val_labels = dataset.labels[split.train], dataset.labels[split.val]
    parts = [split.train] if split.draws is None else list(split.draws)
    orders = [np.concatenate(stratified_sample(dataset.labels[rows], SAMPLE)) for rows in parts]
    numbers = [rows[order] for rows, order in zip(parts, orders, strict=True)]
    training = ChosenRows(dataset.rows, np.concatenate(numbers))
    validation = ChosenRows(dataset.rows, split.val)
    ordered = dataset.labels[training.numbers]
    if split.folds is None:
        check_memory(dataset.name, *validation.shape, bytes_each=4 * len(ways))
    widened = mirrored and _may_widen(*training.shape, len(ways))

    def normalised(way: str) -> Prepared:
        standardiser = (
            Standardiser.fit(ChosenRows(dataset.rows, split.train))
            if way == "standardise"
            else Standardiser.unfitted(training.shape[1], unit=way == "unit")
        )
        with np.errstate(over="raise"):  # a value too far from the mean for float32
            trained_on = (
                _mirrored(training, ordered, standardiser, dataset.image_shape, widened=widened)
                if mirrored
                else Rows(standardiser.apply(training), ordered)
            )
            validated_on = (
                trained_on
                if split.folds is not None
                else Rows(standardiser.apply(validation), val_labels)
            )
        return Prepared(
            name=dataset.name,
            training=trained_on,
            validation=validated_on,
            sample=min(SAMPLE, len(parts[0])),
            standardiser=standardiser,
            class_names=dataset.class_names,
            image_shape=dataset.image_shape,
            data_digest=dataset.digest,
            split_digest=split.digest,
            notices=dataset.notices + tuple(_notices(dataset, labels, val_labels, standardiser)),
            folds=None if split.folds is None else split.folds[orders[0]],
            draws=0 if split.draws is None else len(parts),
            normalise=way,
        )

    try:
        first, *further = [normalised(way) for way in ways]
    except (ValueError, FloatingPointError) as error:
        raise SweepError(f"{dataset.name}: {error}; rescale or drop the feature") from error
    except MemoryError as error:
        raise SweepError(
            f"{dataset.name}: memory does not suffice to standardise {len(dataset.rows):,} rows x "
            f"{dataset.rows.shape[1]:,} features; end other programs, or save fewer of them"
        ) from error
    return replace(first, others=tuple(further))


def constant_features(dataset: Dataset, split: Split) -> int:
    """How many features have one value in all training rows, of which nothing is learned."""
    low, high = extremes(ChosenRows(dataset.rows, split.train))
    return int((low == high).sum())


def _notices(
    dataset: Dataset, labels: Labels, val_labels: Labels, standardiser: Standardiser
) -> Iterator[str]:
    """Yield what the rows do not tell a training: of features, and of classes."""
    constant, features = int((standardiser.factor == 0).sum()), len(standardiser.factor)
    if constant and dataset.image_shape is None:  # images have margins
        yield (
            f"{dataset.name}: {constant:,} of {features:,} features are constant in the training "
            "rows; they are 0 after standardisation, and nothing is learned from them."
        )
    for rows, kind, mend in (
        (labels, "training", "add rows of theirs to X, or take their names from class_names"),
        (val_labels, "validation", "ask for more rows with --val-size, or put some into X_val"),
    ):
        counts = np.bincount(rows, minlength=len(dataset.class_names))
        missing = [repr(dataset.class_names[label]) for label in np.flatnonzero(counts == 0)]
        if missing:
            yield (
                f"{dataset.name} has no {kind} row of {len(missing)} of "
                f"{len(dataset.class_names)} classes ({listed(missing)}), so nothing will be "
                f"known of them; {mend}."
            )


def _mirrored(
    rows: ChosenRows,
    labels: Labels,
    standardiser: Standardiser,
    image_shape: ImageShape | None,
    *,
    widened: bool,
) -> MirrorRows:
    """Return rows in the mirror basis, as an array or as they were given."""
    basis = MirrorBasis(rows.shape[1], image_shape)
    unwidened = UnwidenedRows(rows, standardiser, basis)
    return MirrorRows(unwidened.widened() if widened else unwidened, labels, basis)


def choose_data(
    source: Source,
    *,
    val_size: int | None,
    split_seed: int,
    folds: int | None = None,
    few_shot: int | None = None,
    draws: int | None = None,
    normalise: str | Sequence[str] = NORMALISATIONS[0],
    mirrored: bool = False,
) -> tuple[DataConfig, Prepared]:
    """Load, split (see `split_rows`) and standardise; return the record of the choice and the rows.

    Files are recorded so that they are found again from any folder; `mirrored` rows are for panels,
    see `sweep.data.prepare`.
    """
    dataset = source.development()
    split = split_rows(
        source,
        dataset,
        val_size=val_size,
        folds=folds,
        few_shot=few_shot,
        draws=draws,
        split_seed=split_seed,
    )
    data = prepare(dataset, split, normalise=normalise, mirrored=mirrored)
    files = source.files and source.files.at(lambda path: str(Path(path).expanduser().resolve()))
    choice = DataConfig(
        source=source.name if files is None else files.data,
        directory=None if source.folder is None else str(source.folder.resolve()),
        name=source.name,
        val_size=len(data.validation.labels),
        split_seed=split_seed,
        data_digest=data.data_digest,
        split_digest=data.split_digest,
        parts={} if files is None else files.parts(),
        folds=0 if split.folds is None else int(split.folds.max()) + 1,
        few_shot=few_shot or 0,
        draws=data.draws,
        normalise=",".join(each.normalise for each in data.normalisations),
    )
    return choice, data


def reopen_source(
    choice: DataConfig, directory: Path | None = None, data: Data | None = None
) -> Source:
    """Open the source of a study again, where it was or where the user says it is now.

    `data` is its file, which was moved, or all that is to be taken in its place. Files are looked
    for beside it, and below the working folder, too, which may have been moved along with them.
    """
    moved = isinstance(data, str) and data not in NAMED_DATA
    if data is not None and not (moved and choice.files):
        return open_source(data, directory)
    if choice.source == ARRAYS:
        raise SweepError(
            "the study was begun with arrays in memory: give the same ones again with data=, or "
            "the .npz file that np.savez makes of them with --data"
        )
    if choice.files is None:
        recorded = Path(choice.directory) if choice.directory is not None else None
        return open_source(choice.source, directory or recorded)
    folders = [] if directory is None else [directory.expanduser()]
    file = Path(data) if isinstance(data, str) else _found(Path(choice.source), folders)
    folders.append(file.expanduser().parent)
    files = replace(choice.files, data=str(file))
    return open_source(
        files.at(lambda path: path if path == files.data else str(_found(Path(path), folders)))
    )


def _found(recorded: Path, folders: Sequence[Path]) -> Path:
    """Return where a file is now."""
    given = [folder / recorded.name for folder in folders]
    below = [Path.cwd().joinpath(*recorded.parts[i:]) for i in range(1, len(recorded.parts))]
    existing = [path for path in (*given, recorded, *below) if path.exists()]
    if not existing:
        raise SweepError(
            f"{recorded}: there is no such file; say with --data-dir where it lies now"
        )
    return existing[0]


def reopen_data(choice: DataConfig, source: Source, normalise: str | None = None) -> Prepared:
    """Load a study's rows again, ready for panels; as one trial's are, where `normalise` is given.

    Raises
    ------
    DataChangedError
        They, or their split, are no longer the recorded ones.

    """
    normalise = normalise or choice.normalise
    again, data = choose_data(source, **choice.split, normalise=normalise, mirrored=True)
    where = source.name if source.folder is None else source.location
    for name in ("data_digest", "split_digest"):
        old, new = getattr(choice, name), getattr(again, name)
        if old != new:
            raise DataChangedError(
                f"{where}: the {name.replace('_', ' ')} is not the recorded one: "
                f"{old[:12]} -> {new[:12]}; {_remedy(choice.source)}"
            )
    return data


def all_development_rows(choice: DataConfig, source: Source, normalise: str) -> Prepared:
    """Return a study's training and validation rows as training rows, standardised by them all.

    They are normalised as a trial's are.
    """
    dataset = source.development()
    every, split = np.arange(len(dataset.rows)), split_rows(source, dataset, **choice.split)
    return prepare(dataset, Split(every, split.val), normalise=normalise, mirrored=True)


def _remedy(source: str) -> str:
    if source == "cifar10":
        return "say with --data-dir where the study's own data lie"
    if source == "digits":
        return "install the scikit-learn that the study was begun with"
    if source == ARRAYS:
        return "give the same arrays again"
    return "put the file back as it was, or say with --data-dir where that one lies"
