"""One ended trial as plain values, and back: exact, and checked against the study's settings."""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sweep.archive.plain import RefusedError, entries, line, text, whole
from sweep.archive.trial_checks import check_curves, check_measured, check_seat, check_setting
from sweep.space.axes import shown
from sweep.study import attributes
from sweep.study.ending import Ending

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from sweep.settings import Settings

KEYS = (
    *("trial", "ending", "reason", "setting", "position", "attempt", "slot", "seat"),
    *("curves", "weights_digest", "environment", "started", "ended"),
)
LEFT = (attributes.TRIAL_RUN, attributes.LETTER)
"""What a trial carries that means nothing elsewhere: its run in this MLflow store."""

MAX_REASON = 1000
UNFINISHED = "in training when the study was exported"
REASON = re.compile(r"(?:[A-Za-z_].*)?")
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")


def ended(trial: FrozenTrial) -> FrozenTrial:
    """Return the trial; one that is not done as an interrupted one, which the study knows not."""
    if trial.state.is_finished():
        return trial
    known = {attributes.REASON: UNFINISHED, attributes.ENDING: str(Ending.INTERRUPTED)}
    copied = copy.copy(trial)
    copied.state = Ending.INTERRUPTED.state
    copied.user_attrs = trial.user_attrs | known
    copied.datetime_complete = datetime.now()  # noqa: DTZ005 - as Optuna has it, local time
    return copied


def trial_record(trial: FrozenTrial) -> dict[str, Any]:
    """Return an ended trial as JSON holds it; `read_trial` reads it back."""
    known = trial.user_attrs
    return {
        "trial": trial.number,
        "ending": known.get(attributes.ENDING),
        "reason": _one_line(known.get(attributes.REASON, "")),
        "setting": trial.params or None,
        "position": known.get(attributes.POSITION),
        "attempt": known.get(attributes.ATTEMPT),
        "slot": known.get(attributes.SLOT),
        "seat": known.get(attributes.SEAT),
        "curves": known.get(attributes.CURVES),
        "weights_digest": known.get(attributes.WEIGHTS_DIGEST),
        "environment": known.get(attributes.ENVIRONMENT),
        "started": _utc(trial.datetime_start),
        "ended": _utc(trial.datetime_complete),
    }


def read_trial(value: object, place: int, settings: Settings) -> FrozenTrial:
    """Return the trial that `trial_record` wrote.

    Its distributions come from the study's space, its value and its course from its curves.

    Raises
    ------
    RefusedError
        It is none that this study could have.

    """
    from optuna.trial import create_trial

    name = f"trial {place}"
    record = entries(value, name, KEYS)
    whole(record["trial"], f"{name}: its number", place, place)
    how = _ending(record["ending"], name)
    setting = check_setting(record, name, settings)
    curves = check_curves(record["curves"], name, how, settings)
    known: dict[str, Any] = {
        attributes.REASON: _reason(record["reason"], f"{name}: its reason"),
        attributes.ENDING: str(how),
        **check_seat(record, name, settings, there=setting is not None),
        **check_measured(record, name, curves),
    }
    if how != Ending.INTERRUPTED and (setting is None or curves is None):
        raise RefusedError(f"{name} has ended by itself, so it has a setting and curves")
    course = [] if curves is None else curves[settings.metric]
    trial = create_trial(
        state=how.state,
        value=course[-1] if how == Ending.COMPLETE else None,
        **_suggested(setting, settings),
        user_attrs=known,
        intermediate_values=dict(enumerate(course, start=1)),
    )
    trial.number = place
    trial.datetime_start = _local(record["started"], f"{name}: its start")
    trial.datetime_complete = _local(record["ended"], f"{name}: its end")
    return trial


def differences(trial: FrozenTrial, again: FrozenTrial) -> list[str]:
    """Name what of a trial did not come back; what is `LEFT` is left."""
    found = [
        name
        for name in ("number", "state", "value", "params", "distributions", "intermediate_values")
        if getattr(trial, name) != getattr(again, name)
    ]
    known = {key: value for key, value in trial.user_attrs.items() if key not in LEFT}
    known[attributes.REASON] = _one_line(known.get(attributes.REASON, ""))
    keys = sorted(known.keys() | again.user_attrs.keys())
    return found + [key for key in keys if known.get(key) != again.user_attrs.get(key)]


def _suggested(setting: dict[str, Any] | None, settings: Settings) -> dict[str, Any]:
    """Return the setting and its distributions, as the study's space suggests them."""
    from optuna.trial import FixedTrial

    if setting is None:
        return {}
    fixed: Any = FixedTrial(setting)  # no Trial to mypy, though it serves as one
    settings.space.suggest(fixed)
    return {"params": fixed.params, "distributions": fixed.distributions}


def _ending(value: object, name: str) -> Ending:
    if value not in list(Ending):
        raise RefusedError(f"{name} must end as {', '.join(Ending)}: got {shown(value)}")
    return Ending(str(value))


def _reason(value: object, name: str) -> str:
    """Return a reason; in a spreadsheet what begins otherwise might be a formula."""
    return text(line(value, name, MAX_REASON), name, REASON, "empty or begin with a letter")


def _one_line(reason: str) -> str:
    """Return a reason as `line` reads it back: what broke may have said it in several lines."""
    return "".join(one if one.isprintable() else " " for one in reason)[:MAX_REASON]


def _utc(time: datetime | None) -> str | None:
    """Return a time of Optuna's, which are local and do not say so."""
    return None if time is None else time.astimezone(UTC).isoformat(timespec="microseconds")


def _local(value: object, name: str) -> datetime:
    written = text(value, name, TIME, "a time such as 2026-01-31T12:00:00.000000+00:00")
    try:
        return datetime.fromisoformat(written).astimezone().replace(tzinfo=None)
    except ValueError as error:
        raise RefusedError(f"{name} must be a time: got {shown(written)}") from error
