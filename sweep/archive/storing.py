"""A whole study into the Optuna store, in one transaction."""

from __future__ import annotations

import json
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sweep.errors import SweepError
from sweep.study.storage import backend_of, reaching_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial


def store_study(
    storage: BaseStorage,
    name: str,
    direction: str,
    known: Mapping[str, Any],
    trials: Sequence[FrozenTrial],
) -> None:
    """Add a study with its attributes and ended trials: all of it is recorded, or nothing.

    The tables are written directly, as `study.recording` does and for the same reason.

    Raises
    ------
    SweepError
        There is a study of this name.

    """
    from optuna.storages._rdb import models
    from optuna.storages._rdb.storage import _create_scoped_session
    from optuna.study import StudyDirection
    from sqlalchemy import insert
    from sqlalchemy.exc import IntegrityError

    backend = backend_of(storage)
    way = models.StudyDirectionModel(objective=0, direction=StudyDirection[direction.upper()])
    study: Any = models.StudyModel(study_name=name, directions=[way])
    try:
        with reaching_store(), _create_scoped_session(backend.scoped_session) as session:
            session.add(study)
            session.flush()  # which gives it its id
            attribute = partial(models.StudyUserAttributeModel, study_id=study.study_id)
            session.add_all(
                [attribute(key=key, value_json=json.dumps(known[key])) for key in known]
            )
            rows = [_trial_row(models, study.study_id, trial) for trial in trials]
            session.add_all(rows)
            session.flush()
            for row, trial in zip(rows, trials, strict=True):
                for table, parts in groupby(_parts(models, trial), key=itemgetter(0)):
                    there = [{"trial_id": row.trial_id, **part} for _, part in parts]
                    session.execute(insert(table), there)
    except SweepError as error:
        if isinstance(error.__cause__, IntegrityError):
            raise taken(name) from error
        raise


def taken(name: str) -> SweepError:
    """Return the error that says a study of this name is there already."""
    return SweepError(
        f"a study named {name!r} is here already; import it under another name with --as NAME"
    )


def _trial_row(models: Any, study_id: int, trial: FrozenTrial) -> Any:
    return models.TrialModel(
        study_id=study_id,
        number=trial.number,
        state=trial.state,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
    )


def _parts(models: Any, trial: FrozenTrial) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield each row that belongs to a trial, without its id, after the table it goes to."""
    from optuna.distributions import distribution_to_json

    for name, axis in trial.distributions.items():
        yield (
            models.TrialParamModel,
            {
                "param_name": name,
                "param_value": axis.to_internal_repr(trial.params[name]),
                "distribution_json": distribution_to_json(axis),
            },
        )
    for key, value in trial.user_attrs.items():
        yield models.TrialUserAttributeModel, {"key": key, "value_json": json.dumps(value)}
    stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
    for step, value in trial.intermediate_values.items():
        point, kind = stored(value)
        yield (
            models.TrialIntermediateValueModel,
            {
                "step": step,
                "intermediate_value": point,
                "intermediate_value_type": kind,
            },
        )
    if trial.value is not None:
        value, kind = models.TrialValueModel.value_to_stored_repr(trial.value)
        yield models.TrialValueModel, {"objective": 0, "value": value, "value_type": kind}
