"""What a trial's plain values must be, given the settings of its study."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sweep.archive.container import DIGEST
from sweep.archive.plain import RefusedError, entries, items, line, number, text, whole
from sweep.curves import METRICS, Curves
from sweep.settings import MAX_SEED, Settings
from sweep.space import NAMES, Range
from sweep.space.axes import RULES, shown
from sweep.study import attributes
from sweep.study.ending import Ending

if TYPE_CHECKING:
    from sweep.space import Axis

LONGEST_BLOCK = 128  # of `sweep_model.blocking`, unless a batch is longer
MAX_ENVIRONMENT, MAX_VERSION = 32, 200
ENTRY = re.compile(r"[a-z][a-z0-9_]{0,39}")
MOST_ATTEMPTS = 1_000_000


def check_setting(record: dict[str, Any], name: str, settings: Settings) -> dict[str, Any] | None:
    """Return a setting of the study's space; None for a trial that died while it was asked."""
    if record["setting"] is None:
        return None
    values = entries(record["setting"], f"{name}: its setting", NAMES)
    for key, axis in settings.space.axes.items():
        if not _lies_on(axis, values[key]):
            raise RefusedError(f"{name}: {key} must lie in {axis}: got {shown(values[key])}")
    return values


def _lies_on(axis: Axis, value: object) -> bool:
    kind = int if RULES[axis.name].integer else float
    if type(value) is not kind:
        return False
    return axis.low <= value <= axis.high if isinstance(axis, Range) else value in axis.values


def check_seat(
    record: dict[str, Any], name: str, settings: Settings, *, there: bool
) -> dict[str, Any]:
    """Return where a trial stood and sat, as its attributes; without a setting it sat nowhere."""
    if not there:
        absent = [record[key] for key in ("position", "attempt", "slot", "seat")]
        if absent != [None] * len(absent):
            raise RefusedError(f"{name} has no setting, so it has no position and no seat")
        return {}
    layout, place = settings.layout, record["trial"]
    position = whole(record["position"], f"{name}: its position", 0, place)
    slot = whole(record["slot"], f"{name}: its slot", 0, layout.slots - 1)
    longest = max(LONGEST_BLOCK, int(max(settings.space.axes["batch_size"].points(2))))
    bounds = {
        "seed": (0, MAX_SEED),
        "first_pass": (0, (place + 1) * settings.epochs),  # even where one slot trains them all
        "slot": (slot % layout.width, slot % layout.width),
        "width": (layout.width, layout.width),
        "micro_batch": (1, longest),
        "block": (1, longest),
    }
    seat = entries(record["seat"], f"{name}: its seat", bounds.keys())
    for key, (least, most) in bounds.items():
        whole(seat[key], f"{name}: its seat's {key}", least, most)
    if seat["block"] % seat["micro_batch"]:
        raise RefusedError(f"{name}: its seat's block must be whole micro-batches")
    return {
        attributes.POSITION: position,
        attributes.ATTEMPT: whole(record["attempt"], f"{name}: its attempt", 1, MOST_ATTEMPTS),
        attributes.SLOT: slot,
        attributes.SEAT: seat,
    }


def check_curves(value: object, name: str, how: Ending, settings: Settings) -> Curves | None:
    """Return the curves, all of one length that suits the ending."""
    if value is None:
        return None
    curves = entries(value, f"{name}: its curves", METRICS)
    lengths = set()
    for metric in METRICS:
        what = f"{name}: {metric}"
        most = 1.0 if metric.endswith("accuracy") else float("inf")
        curve = items(curves[metric], what, settings.epochs)
        lengths.add(len([number(point, what, 0.0, most) for point in curve]))
    length = max(lengths)
    least = {Ending.COMPLETE: settings.epochs, Ending.PRUNED: 1}.get(how, 0)
    most = settings.epochs - (how == Ending.DIVERGED)
    if len(lengths) > 1 or not least <= length <= most:
        raise RefusedError(
            f"{name} is {how}, so its curves have {least} to {most} epochs: got {length}"
        )
    return curves


def check_measured(record: dict[str, Any], name: str, curves: Curves | None) -> dict[str, Any]:
    """Return what a trial records as it ends, as its attributes; one that died records none."""
    if curves is None:
        if record["weights_digest"] is not None or record["environment"] is not None:
            raise RefusedError(f"{name} has no curves, so it has no weights and no environment")
        return {}
    digest = record["weights_digest"]
    if curves["val/loss"]:
        text(digest, f"{name}: its weights' digest", DIGEST, "64 hexadecimal digits")
    elif digest is not None:
        raise RefusedError(f"{name} has trained no epoch, so it has no weights")
    environment = record["environment"]
    if not isinstance(environment, dict) or len(environment) > MAX_ENVIRONMENT:
        raise RefusedError(
            f"{name}: its environment must be an object of up to {MAX_ENVIRONMENT} entries"
        )
    for key, version in environment.items():
        text(key, f"{name}: a name in its environment", ENTRY, "a word of up to 40 letters")
        line(version, f"{name}: {key} in its environment", MAX_VERSION)
    return {
        attributes.CURVES: curves,
        attributes.WEIGHTS_DIGEST: digest,
        attributes.ENVIRONMENT: environment,
    }
