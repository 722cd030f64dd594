"""Where the numbers come from: settings, data, versions, machine and code, study by study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.report.setting import searched
from sweep.report.table import Heading, Row, Table
from sweep.report.words import UNKNOWN, plain_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.report.facts import StudyFacts


def settings_table(studies: Sequence[StudyFacts]) -> Table:
    """Return what was chosen for each study."""
    return _table(
        "Settings",
        "What each study was given, from which its trials follow.",
        studies,
        [_settings(study) for study in studies],
    )


def _settings(study: StudyFacts) -> dict[str, str]:
    settings, data = study.settings, study.settings.data
    return {
        "loss": settings.loss,
        "objective": settings.objective,
        "trials": str(study.tally),
        "epochs": str(settings.epochs),
        "sampler": settings.sampler,
        "pruner": settings.pruner,
        "seed": str(settings.seed),
        "layout": str(settings.layout),
        **{plain_name(name): searched(axis) for name, axis in settings.space.axes.items()},
        "data": data.name,
        "validation rows": f"{data.val_size:,}",
        "split seed": str(data.split_seed),
        "data digest": data.data_digest,
        "split digest": data.split_digest,
    }


def versions_table(studies: Sequence[StudyFacts]) -> Table:
    """Return with what, and on which machine, the chosen trials were trained."""
    return _table(
        "Versions",
        "Versions and machine of each chosen trial's training, and the commit of the folder in "
        "which its study was begun.",
        studies,
        [_versions(study) for study in studies],
    )


def _versions(study: StudyFacts) -> dict[str, str]:
    git = study.git
    if not git:
        return {**study.environment, "git commit": UNKNOWN}
    changed = ", with changes" if git.get("dirty") == "True" else ""
    return {**study.environment, "git commit": f"{git.get('commit', UNKNOWN)}{changed}"}


def _table(
    name: str, caption: str, studies: Sequence[StudyFacts], columns: Sequence[dict[str, str]]
) -> Table:
    names = dict.fromkeys(name for column in columns for name in column)
    return Table(
        name,
        caption,
        [
            Heading(name.lower(), numeric=False),
            *(Heading(study.name, numeric=False) for study in studies),
        ],
        [Row(plain_name(row), [column.get(row, UNKNOWN) for column in columns]) for row in names],
        look="sheet",
    )
