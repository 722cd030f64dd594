"""Options that several commands share, each with one wording."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from functools import reduce, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from sweep.config import (
    ARRAY_NAMES,
    CLASS_WEIGHTS,
    EPOCHS,
    FEW_ROWS,
    LEAST_DRAWS,
    LEAST_FOLDS,
    LOSSES,
    MAX_DRAWS,
    MAX_FOLDS,
    MAX_SEED,
    MAX_SLOTS,
    NAMED_DATA,
    NORMALISATIONS,
    TRAIN_CURVES,
    USUAL_DRAWS,
    USUAL_FOLDS,
    DataFiles,
    class_weights,
    normalisations_of,
)
from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.study import Study

Command = TypeVar("Command", bound="Callable[..., Any]")


class FiniteFloat(click.FloatRange):
    """A number within a range; NaN and infinity are none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Refuse what compares with nothing."""
        if not math.isfinite(click.FLOAT.convert(value, param, ctx)):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return float(super().convert(value, param, ctx))


def _class_weight(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        class_weights(value or CLASS_WEIGHTS[0])
    except SweepError as error:
        raise click.BadParameter(f"{error}.") from error
    return value


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SWEEP_DATA_DIR",
    show_envvar=True,
    show_default="where `sweep data download` puts it",
    help="Folder that holds CIFAR-10, in either official layout or archive, or the folder around "
    "it; or a study's own file, where that was moved.",
)
val_size_option = click.option(
    "--val-size",
    type=click.IntRange(min=1),
    show_default="cifar10 1000, digits 300, a file a fifth up to 1000",
    help="One split with so many validation rows; a file that brings its own uses those.",
)
folds_option = click.option(
    "--folds",
    type=click.IntRange(LEAST_FOLDS, MAX_FOLDS),
    show_default=f"{USUAL_FOLDS} up to {FEW_ROWS:,} rows that bring no split, else none",
    help="Cross-validate: so many parts of the rows validate in turn, in place of --val-size rows; "
    "a trial is a training for each, and its results are their means.",
)
few_shot_option = click.option(
    "--few-shot",
    type=click.IntRange(1),
    metavar="K",
    help="Train on K rows of each class: a trial is a training on each of --draws draws of them, "
    "and its results are their means.",
)
draws_option = click.option(
    "--draws",
    type=click.IntRange(LEAST_DRAWS, MAX_DRAWS),
    show_default=f"{USUAL_DRAWS} with --few-shot",
    help="How often the rows of --few-shot are drawn, by --split-seed.",
)
split_seed_option = click.option(
    "--split-seed",
    type=click.IntRange(0, MAX_SEED),
    show_default="0",
    help="Seed of the stratified split, of folds and of draws; the last rows of cifar10 validate.",
)
normalise_option = click.option(
    "--normalise",
    metavar="HOW",
    callback=lambda *given: _normalisations(given[2]),
    show_default=NORMALISATIONS[0],
    help="Features by the training rows' mean and deviation (standardise), each row to one length "
    "(unit), or as they are (none). `sweep run` searches among several: standardise,unit.",
)
data_option = click.option(
    "--data",
    metavar="DATA",
    show_default="auto",
    help="auto, cifar10, digits, or a file of features: .npz, .npy, .safetensors, .parquet, .csv "
    "or a folder of .npy files; auto is CIFAR-10 where it lies ready, else digits.",
)
data_file_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    show_default="where it was",
    help="Where the study's own data file lies now; its digest is checked.",
)
label_option = click.option(
    "--label", metavar="COLUMN", help="The column of labels, where the file is a table."
)
map_option = click.option(
    "--map",
    "names",
    metavar="X=NAME,y=NAME",
    callback=lambda *given: _names(given[2]),
    help=f"What the file calls the arrays {', '.join(ARRAY_NAMES)}.",
)
FILE_OPTIONS = (
    click.option(
        "--labels", metavar="FILE", help="The labels, an .npy file, where DATA is features alone."
    ),
    label_option,
    map_option,
    click.option("--val", metavar="FILE", help="Validation rows, in a file of their own."),
    click.option("--val-labels", metavar="FILE", help="Their labels, an .npy file."),
    click.option("--test-labels", metavar="FILE", help="The labels of --test, an .npy file."),
)
test_option = click.option("--test", metavar="FILE", help="Test rows, in a file of their own.")
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object instead of text."
)
loss_option = click.option(
    "--loss",
    type=click.Choice(LOSSES),
    show_default=LOSSES[0],
    help="softmax cross-entropy, or one binary cross-entropy per class (bce).",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    show_default="0",
    help="Decides every random draw: the same seed gives the same numbers.",
)
epochs_option = click.option(
    "--epochs",
    type=click.IntRange(1, 100_000),
    show_default=str(EPOCHS),
    help="Passes over the training rows.",
)
tracking_option = click.option(
    "--tracking-uri",
    metavar="URI",
    envvar="MLFLOW_TRACKING_URI",
    show_envvar=True,
    help="Where MLflow keeps the runs. [default: sqlite:///mlruns/mlflow.db]",
)
space_file_option = click.option(
    "--space",
    "space_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with ranges, e.g. l2 = {low = 1e-4, high = 0.1, log = true}.",
)
override_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME=VALUES",
    help="One range, some choices or a value: l2=1e-4:1e-1:log, batch_size=50,100, "
    "decay_period=10. May be repeated; beats --space.",
)
slots_option = click.option(
    "--slots",
    type=click.IntRange(1, MAX_SLOTS),
    show_default="about 2.25 times the root of --trials, at least 8",
    help="Trials trained at once. Lower values give sampler and pruner feedback earlier.",
)
train_curve_option = click.option(
    "--train-curve",
    type=click.Choice(TRAIN_CURVES),
    show_default=TRAIN_CURVES[0],
    help="Training rows that are evaluated after every epoch: a fixed sample of at most 10,000, "
    "or all of them.",
)
class_weight_option = click.option(
    "--class-weight",
    callback=_class_weight,
    metavar="none|balanced|W,W,...",
    show_default=CLASS_WEIGHTS[0],
    help="balanced: rows of rare classes count more in training, so that all classes count alike; "
    "or how much a row of each class counts, by the order of the classes. Curves and results stay "
    "unweighted.",
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(1, MAX_SLOTS),
    show_default="one for each core",
    help="Number of training threads; does not affect results.",
)
ray_option = click.option(
    "--ray",
    metavar="ADDRESS",
    help="Train on a Ray cluster: auto, HOST:PORT of its head, or local; does not affect results.",
)
study_argument = click.argument("study_name", metavar="STUDY")


def space_options(command: Command) -> Command:
    """Add --space and --set."""
    return _all(command, space_file_option, override_option)


def split_options(command: Command) -> Command:
    """Add what says where DATA lie and how they are split, but for --test."""
    return _all(
        _with_files(command),
        *FILE_OPTIONS,
        data_dir_option,
        val_size_option,
        folds_option,
        split_seed_option,
    )


def data_options(command: Command) -> Command:
    """Add --data and all that says where it lies and how it is split, but for --test."""
    return data_option(split_options(normalise_option(command)))


def rows_options(command: Command) -> Command:
    """Add what says where the rows and the runs of a study lie."""
    return _all(command, data_file_option, data_dir_option, tracking_option)


def with_parts(data: str | DataFiles | None, **parts: Any) -> str | DataFiles | None:
    """Return data and what goes with it as one."""
    if not parts:
        return data
    if data is None or data in NAMED_DATA:
        option = "map" if "names" in parts else min(parts).replace("_", "-")
        raise click.UsageError(f"--{option} goes with a file of features: name it with --data.")
    return replace(data if isinstance(data, DataFiles) else DataFiles(data), **parts)


def _with_files(command: Command) -> Command:
    """Let a command have `data` and what goes with it as one."""

    @wraps(command)
    def gathered(data: str | None, **options: Any) -> Any:
        names = [each.name for each in fields(DataFiles) if each.name != "data"]
        parts = {name: value for name in names if (value := options.pop(name, None))}
        return command(data=with_parts(data, **parts), **options)

    return cast("Command", gathered)


def _normalisations(given: str | None) -> str | None:
    """Return what --normalise names, in one order."""
    try:
        return None if given is None else ",".join(normalisations_of(given))
    except SweepError as error:
        raise click.BadParameter(f"{error}.") from error


def _names(given: str | None) -> dict[str, str]:
    """Return the names that --map gives, by ours."""
    pairs = [pair.partition("=") for pair in given.split(",")] if given else []
    for ours, _, theirs in pairs:
        if ours not in ARRAY_NAMES or not theirs:
            raise click.BadParameter(
                f"write e.g. X=features,y=labels; ours are {', '.join(ARRAY_NAMES)}: got {given!r}."
            )
    names = {ours: theirs for ours, _, theirs in pairs}
    if len(names) < len(pairs):
        raise click.BadParameter(f"give each array one name: got {given!r}.")
    return names


def open_in_folder(name: str, **where: Any) -> Study:
    """Open a study of the working folder."""
    from sweep.study import open_study
    from sweep.workspace import Workspace

    return open_study(name, folder=Workspace(), **where)


def _all(command: Command, *options: Callable[[Command], Command]) -> Command:
    """Apply decorators so that --help lists them in the order in which they are given."""
    return reduce(lambda decorated, option: option(decorated), reversed(options), command)
