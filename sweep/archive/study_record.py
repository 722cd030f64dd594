"""A study without its trials as plain values, and back: settings, openings, confirmation."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sweep.archive.container import DIGEST
from sweep.archive.plain import RefusedError, entries, items, line, number, text, whole
from sweep.layout import MOST_SLOTS, Layout
from sweep.settings import MAX_SEED, DataChoice, Settings
from sweep.space import NAMES
from sweep.space.axes import shown
from sweep.study.confirmation import Confirmation
from sweep.study.sealed_test import HeldOutResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.trial import FrozenTrial

MAX_EPOCHS = 100_000
MAX_ROWS = 1_000_000_000
MAX_OPENINGS = 10_000
MAX_CLASSES = 100_000
MAX_CONFIRMED = 10_000
MAX_NAME = 80
BUILT_IN = ("cifar10", "digits")
DATA_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")
WORD = re.compile(r"[a-z0-9-]{1,20}")
TIME = re.compile(r"20\d\d-[0-9T:.-]{5,25}\+00:00")


def portable_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings without the folders of this machine."""
    record = settings.record()
    data = {key: value for key, value in record["data"].items() if key != "directory"}
    if data["source"] not in BUILT_IN:
        data["source"] = f"{data['name']}.npz"
    return record | {"data": data}


def read_settings(value: object) -> Settings:
    """Return settings; a .npz is looked for under its name in the working folder.

    Raises
    ------
    RefusedError
        A value is not of its type.
    SweepError
        A value breaks the rule of a setting, or a range that of its hyperparameter.

    """
    if isinstance(value, dict) and value.get("shared") is False:  # as earlier versions say
        value = {key: part for key, part in value.items() if key != "shared"}
    record = entries(value, "the settings", [field.name for field in fields(Settings)])
    line(record["study"], "the study's name", MAX_NAME)
    for name in ("loss", "sampler", "pruner", "objective"):
        text(record[name], name, WORD, "a word of up to 20 letters")
    whole(record["epochs"], "epochs", 1, MAX_EPOCHS)
    whole(record["seed"], "seed", 0, MAX_SEED)
    entries(record["space"], "the space", NAMES)
    layout = entries(record["layout"], "the layout", [field.name for field in fields(Layout)])
    for name, size in layout.items():
        whole(size, name, 1, MOST_SLOTS)
    return Settings.from_record(record | {"data": _read_data(record["data"])})


def _read_data(value: object) -> dict[str, Any]:
    names = [field.name for field in fields(DataChoice) if field.name != "directory"]
    data = entries(value, "the data", names)
    name = text(data["name"], "the data's name", DATA_NAME, "1 to 80 letters, digits or ._-")
    if data["source"] != f"{name}.npz" and (data["source"] != name or name not in BUILT_IN):
        allowed = name if name in BUILT_IN else f"{name}.npz"
        raise RefusedError(f"the data's source must be {allowed}: got {shown(data['source'])}")
    whole(data["val_size"], "val_size", 1, MAX_ROWS)
    whole(data["split_seed"], "split_seed", 0, MAX_SEED)
    for key in ("data_digest", "split_digest"):
        text(data[key], key.replace("_", " "), DIGEST, "64 hexadecimal digits")
    return data | {"directory": None}


def read_openings(value: object, trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """Return how often the test rows were opened: looks elsewhere count as well."""
    name = "an opening of the test rows"
    openings = items(value, "the openings of the test rows", MAX_OPENINGS)
    for opening in openings:
        done = isinstance(opening, dict) and "result" in opening
        entries(opening, name, ("trial", "time", *(["result"] if done else [])))
        _complete(opening["trial"], name, trials)
        text(opening["time"], f"{name}: its time", TIME, "a time such as 2026-01-31T12:00:00+00:00")
        if done:
            _check_result(opening["result"], name)
    return openings


def _check_result(value: object, name: str) -> None:
    result = entries(value, f"{name}: its result", [field.name for field in fields(HeldOutResult)])
    for key in ("accuracy", "low", "high"):
        number(result[key], f"{name}: {key}", 0.0, 1.0)
    whole(result["rows"], f"{name}: rows", 1, MAX_ROWS)
    if not isinstance(result["per_class"], dict) or len(result["per_class"]) > MAX_CLASSES:
        raise RefusedError(f"{name}: per_class must be an object: got {shown(result['per_class'])}")
    for class_name, share in result["per_class"].items():
        line(class_name, f"{name}: a class name", MAX_NAME)
        number(share, f"{name}: the accuracy of a class", 0.0, 1.0)


def read_confirmation(
    value: object, settings: Settings, trials: Sequence[FrozenTrial]
) -> dict[str, Any] | None:
    """Return what `sweep confirm` found, as the study's attribute holds it; None where nothing."""
    if value is None:
        return None
    name = "the confirmation"
    record = entries(value, name, [field.name for field in fields(Confirmation)])
    for key, expected in (("metric", settings.metric), ("direction", settings.direction)):
        if record[key] != expected:
            raise RefusedError(f"{name}: {key} must be {expected}: got {shown(record[key])}")
    whole(record["epochs"], f"{name}: epochs", settings.epochs, settings.epochs)
    whole(record["finished"], f"{name}: finished", 1, len(trials))
    seeds = items(record["seeds"], f"{name}: seeds", MAX_CONFIRMED)
    for seed in seeds:
        whole(seed, f"{name}: a seed", 0, MAX_SEED)
    confirmed = items(record["trials"], f"{name}: trials", MAX_CONFIRMED)
    for one in confirmed:
        _check_confirmed(one, name, len(seeds))
        trial = _complete(one["trial"], name, trials)
        if one["search"] != trial.value:
            raise RefusedError(f"{name}: trial {trial.number} scored {trial.value!r} in the search")
    baseline = record["baseline"]
    _check_confirmed(baseline, name, len(seeds))
    if len(set(seeds)) < len(seeds) or len({one["trial"] for one in confirmed}) < len(confirmed):
        raise RefusedError(f"{name}: no seed and no trial may stand in it twice")
    found = Confirmation.from_record(record)
    if Confirmation.ranked(found.trials, found.direction) != found.trials:
        raise RefusedError(f"{name}: its trials must be ranked by their means, the best first")
    if not seeds or not confirmed or (baseline["trial"], baseline["search"]) != (-1, None):
        raise RefusedError(f"{name} must have seeds, trials and a baseline that is no trial")
    return record


def _check_confirmed(value: object, name: str, seeds: int) -> None:
    one = entries(value, f"{name}: a setting", ("trial", "search", "values"))
    values = items(one["values"], f"{name}: values", seeds)
    if len(values) < seeds:
        raise RefusedError(f"{name}: a setting must have a value for each of {seeds} seeds")
    for found in values:
        if found is not None:  # it diverged on this seed
            number(found, f"{name}: a value", 0.0)


def _complete(value: object, name: str, trials: Sequence[FrozenTrial]) -> FrozenTrial:
    """Return the complete trial of this number."""
    from optuna.trial import TrialState

    trial = trials[whole(value, f"{name}: its trial", 0, len(trials) - 1)]
    if trial.state != TrialState.COMPLETE:
        raise RefusedError(f"{name}: trial {trial.number} is not complete")
    return trial
