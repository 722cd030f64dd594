"""`sweep data`: fetch CIFAR-10, or see what a data set holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.options import data_dir_option, json_option, split_options, test_option
from sweep.errors import SweepError

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.config import DataFiles
    from sweep.data import Dataset, Source


SHOWN = 20
"""So many classes are listed."""


@click.group()
def data() -> None:
    """Fetch CIFAR-10, or see what a data set holds."""


@data.command()
@data_dir_option
@click.option(
    "--layout",
    type=click.Choice(["binary", "python"]),
    default="binary",
    show_default=True,
    help="Which of the two official archives; both hold the same images.",
)
def download(data_dir: Path | None, layout: str) -> None:
    """Fetch CIFAR-10 (170 MB) and check it.

    It is put where every command finds it, or into --data-dir.
    """
    from sweep.data import LAYOUTS, already_there, cache_folder, fetch

    chosen = LAYOUTS[layout]
    folder = (data_dir or cache_folder()).expanduser()
    if already_there(chosen, folder):
        click.echo(f"{folder / chosen.archive} is there already and has the published SHA-256.")
        return
    click.echo(f"Fetching {chosen.url} ({chosen.size:,} bytes).", err=True)
    click.echo(f"{fetch(chosen, folder)} fetched; it has the published SHA-256.")


@data.command()
@click.argument("data", default="auto")
@split_options
@test_option
@json_option
def info(
    *,
    data: str | DataFiles,
    data_dir: Path | None,
    val_size: int | None,
    folds: int | None,
    split_seed: int | None,
    as_json: bool,
) -> None:
    """Show what DATA holds and was taken for: rows, features, classes, split, digests.

    DATA is auto, cifar10, digits or a file of features. Of the test rows only their number
    and digest are told.
    """
    from sweep.data import auto_notice, open_source

    source = open_source(data, data_dir)
    if data == "auto":
        click.echo(auto_notice(source, data_dir), err=True)
    facts = describe(source, val_size=val_size, folds=folds, split_seed=split_seed or 0)
    click.echo(json.dumps(facts, indent=2) if as_json else as_text(facts))


def describe(source: Source, **options: Any) -> dict[str, Any]:
    """What `sweep data info` tells; the keys are stable."""
    import numpy as np

    from sweep.data import constant_features, split_rows

    dataset = source.development()
    for notice in dataset.notices:
        click.echo(notice, err=True)
    split = split_rows(source, dataset, **options)
    test, test_error = _test_rows(source)
    official, note = source.official
    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    return {
        "name": source.name,
        "location": source.location,
        "kind": source.kind,
        "official": official,
        "official_note": note,
        "rows": {
            "training": len(split.train),
            "validation": len(split.val),
            "test": None if test_error else len(test.rows) if test else 0,
        },
        "folds": 0 if split.folds is None else int(split.folds.max()) + 1,
        "features": dataset.rows.shape[1],
        "dtype": dataset.rows.dtype.name,
        "image_shape": dataset.image_shape,
        "constant_features": constant_features(dataset, split),
        "class_names": dataset.class_names,
        "class_rows": counts.tolist(),
        "digests": {
            "data": dataset.digest,
            "split": split.digest,
            "test": test.digest if test else None,
        },
        "test_error": test_error,
    }


def _test_rows(source: Source) -> tuple[Dataset | None, str | None]:
    """Return the test rows, if there are any, or why they cannot be used."""
    try:
        return source.test() if source.has_test else None, None
    except SweepError as error:
        return None, str(error)


def as_text(facts: dict[str, Any]) -> str:
    """The same for people: one fact a line."""
    rows, digests = facts["rows"], facts["digests"]
    official = {True: "yes", False: "no", None: "not known"}[facts["official"]]
    channels_first = " x ".join(str(side) for side in facts["image_shape"] or ())
    return "\n".join(
        f"{name:<12} {value}"
        for name, value in {
            "name": facts["name"],
            "location": facts["location"],
            "taken for": facts["kind"],
            "official": f"{official}: {facts['official_note']}",
            "rows": f"{_parts(facts)}, "
            + ("unusable test rows" if rows["test"] is None else f"{rows['test']:,} test"),
            "features": f"{facts['features']:,} {facts['dtype']}, {facts['constant_features']:,} "
            "of them constant in the training rows",
            "image": channels_first or "none: nothing to flip or draw",
            "classes": f"{len(facts['class_names']):,}: {_classes(facts)}",
            "data digest": digests["data"],
            "split digest": digests["split"],
            "test digest": digests["test"]
            or f"none: {facts['test_error'] or 'there are no test rows'}",
        }.items()
    )


def _parts(facts: dict[str, Any]) -> str:
    rows, folds = facts["rows"], facts["folds"]
    if folds:
        return f"{rows['validation']:,} in {folds} folds"
    return f"{rows['training']:,} training, {rows['validation']:,} validation"


def _classes(facts: dict[str, Any]) -> str:
    """Return the classes with their training and validation rows; of many how many they have."""
    names, rows = facts["class_names"], facts["class_rows"]
    if len(names) <= SHOWN:
        return ", ".join(f"{name} ({n:,})" for name, n in zip(names, rows, strict=True))
    return f"{min(rows):,} to {max(rows):,} rows each; --json lists them"
