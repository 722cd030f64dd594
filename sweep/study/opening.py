"""Create a study or go on with it, with just the settings it was begun with."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sweep.errors import SweepError
from sweep.layout import LayoutChoice
from sweep.settings import Settings
from sweep.study import attributes
from sweep.study.storage import reaching_store

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class OpenStudy:
    """A study of the store with the settings that it recorded."""

    optuna: optuna.Study
    settings: Settings
    identity: str
    """Tells this study's runs from those of a namesake, where folders share an MLflow server."""
    storage: BaseStorage

    @property
    def name(self) -> str:
        """The study's name, in both stores."""
        return self.settings.study

    @property
    def tags(self) -> dict[str, str]:
        """The tags that all runs of this study carry, and no other's."""
        return {"study": self.name, "study_id": self.identity}

    def trials(self) -> list[FrozenTrial]:
        """Return all trials, by number."""
        with reaching_store():
            return self.optuna.get_trials(deepcopy=False)

    def attribute(self, key: str, default: Any = None) -> Any:
        """Return what the study records under one of `sweep.study.attributes`."""
        with reaching_store():
            return self.optuna.user_attrs.get(key, default)

    def set_attribute(self, key: str, value: object) -> None:
        """Record something of the study beside its trials."""
        with reaching_store():
            self.optuna.set_user_attr(key, value)


def begin_study(
    settings: Settings, storage: BaseStorage, asked: LayoutChoice | None = None
) -> OpenStudy:
    """Create the study, or open it where it exists with the same settings.

    It keeps the layout that it was begun with, but for what of it is `asked` for.
    """
    import optuna

    with reaching_store():
        with contextlib.suppress(optuna.exceptions.DuplicatedStudyError):
            optuna.create_study(
                study_name=settings.study, storage=storage, direction=settings.direction
            )
        study = optuna.load_study(study_name=settings.study, storage=storage)
        if _is_bare(study, settings.direction):
            record = {**settings.record(), "study_id": uuid4().hex}
            study.set_user_attr(attributes.SETTINGS, record)
    return resume_study(settings, storage, asked)


def resume_study(
    settings: Settings, storage: BaseStorage, asked: LayoutChoice | None = None
) -> OpenStudy:
    """Open a study that was begun, or refuse where that was with other settings."""
    existing = load_study(settings.study, storage)
    layout = (asked or LayoutChoice()).resume(existing.settings.layout)
    differences = existing.settings.differences(replace(settings, layout=layout))
    if differences:
        raise SweepError(
            f"study {settings.study!r} was begun with other settings (recorded -> now): "
            f"{'; '.join(differences)}; give the recorded ones to go on with it, or name a new "
            "one with --study"
        )
    return replace(existing, settings=replace(existing.settings, layout=layout))


def _is_bare(study: optuna.Study, direction: str) -> bool:
    """Whether nothing stands in it: just made, or its process ended before it said what it is."""
    directions = [way.name.lower() for way in study.directions]
    return directions == [direction] and not study.user_attrs and not study.get_trials()


def load_study(name: str, storage: BaseStorage) -> OpenStudy:
    """Open a study by its name."""
    import optuna

    try:
        with reaching_store():
            study = optuna.load_study(study_name=name, storage=storage)
            record = study.user_attrs.get(attributes.SETTINGS)
    except (KeyError, UnicodeEncodeError) as error:  # bytes that are no text name none either
        names = ", ".join(study_names(storage)) or "none yet"
        raise SweepError(f"no study is named {name!r} here; there are: {names}") from error
    if not isinstance(record, dict) or record.get("study") != name:
        raise SweepError(
            f"study {name!r} was not begun by sweep: it records no settings; "
            "name a new one with --study"
        )
    plain = {key: value for key, value in record.items() if key != "study_id"}
    return OpenStudy(study, Settings.from_record(plain), record.get("study_id", name), storage)


def recorded_studies(storage: BaseStorage) -> list[OpenStudy]:
    """Open every study that sweep began, in alphabetical order."""
    import optuna

    with reaching_store():
        summaries = optuna.get_all_study_summaries(storage)
    return [
        load_study(summary.study_name, storage)
        for summary in sorted(summaries, key=lambda summary: summary.study_name)
        if attributes.SETTINGS in summary.user_attrs
    ]


def study_names(storage: BaseStorage) -> list[str]:
    """Return the names of all studies of the store, in alphabetical order."""
    import optuna

    with reaching_store():
        return sorted(optuna.get_all_study_names(storage))
