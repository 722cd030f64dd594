"""Read a study from a file that nobody vouches for, and import it.

All of it is checked before anything is written. Nothing is unpickled or decompressed, and no name
within the file is used as a path.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sweep.analysis import REFIT_SUFFIX
from sweep.archive.models import BUILT_IN, ArchivedStudy, RefusedError, parse_study
from sweep.config import check_study_name
from sweep.data import reopen_data, reopen_source
from sweep.errors import StoreUnreachableError, SweepError
from sweep.io import check_file, reading, scratch_folder, with_room
from sweep.search import (
    BUDGETS,
    CONFIRMATION,
    IN_FULL,
    REFITS,
    TEST_OPENINGS,
    create_storage,
    importing_study,
    load_study,
    study_lock,
)
from sweep.search_space import shown
from sweep.tracking import CLASSIFIER
from sweep_model.classifier import LinearClassifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sweep.config import StudyConfig
    from sweep.search import StudyRecord, TrialRecord
    from sweep.workspace import Workspace

MAX_BYTES = 128 << 20
"""Of an archive. Its members are not compressed, so they hold no more than that either."""
MAX_CLASS_NAME = 80
KNOWN = README, STUDY, TRIALS, CURVES, MODEL, REFIT = (
    *("README.txt", "study.json", "trials.csv", "curves.csv", "model.npz", "refit.npz"),
)
OLD_MEMBER = "manifest.json"
"""What archives of version 0.1 have."""


@dataclass(frozen=True)
class Archive:
    """An archive that was read and checked.

    Attributes
    ----------
    study
        What it holds.
    classifier
        The selected trial's; None where none is selected.
    refit
        The one that was made of it with all rows, if there is one.
    digest
        SHA-256 of the file.

    """

    study: ArchivedStudy
    classifier: LinearClassifier | None
    refit: LinearClassifier | None
    digest: str


def read_archive(file: Path) -> Archive:
    """Read an archive; whatever is wrong with it is one line.

    Raises
    ------
    SweepError
        There is no such file, or it is none that this version of sweep can import.

    """
    with reading(file):
        check_file(file, "name the .zip that `sweep export` wrote")
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    try:
        study, classifier, refit = unpack(content)
    except StoreUnreachableError:  # no room to look at the model
        raise
    except (RefusedError, SweepError) as error:
        raise SweepError(f"{file}: {error}; nothing was imported: ask for a new export") from error
    return Archive(study, classifier, refit, hashlib.sha256(content).hexdigest())


def unpack(
    content: bytes,
) -> tuple[ArchivedStudy, LinearClassifier | None, LinearClassifier | None]:
    """Return what an archive holds: the study, the selected trial's classifier and its refit.

    Raises
    ------
    RefusedError
        It is damaged, hostile, or of another kind or version.
    SweepError
        A setting in it breaks its rule.

    """
    members = _members(content)
    study = parse_study(members[STUDY])
    refit = None if study.refit is None else study.refit.record
    return (
        study,
        _member(study, members, MODEL, study.selected),
        _member(study, members, REFIT, refit),
    )


def _member(
    study: ArchivedStudy, members: Mapping[str, bytes], name: str, trial: TrialRecord | None
) -> LinearClassifier | None:
    """Return the classifier that a trial ended with, None where there is no such trial."""
    if trial is None:
        if name in members:
            again = " on all rows" if name == REFIT else ""
            raise RefusedError(f"it holds {name}, and no trial is complete{again}")
        return None
    if name not in members:
        raise RefusedError(f"it lacks {name}, the model of trial {trial.number}")
    classifier = _read_classifier(name, members[name])
    if classifier.digest != trial.weights_digest or classifier.loss.name != study.config.loss:
        raise RefusedError(f"{name} is not the model that trial {trial.number} ended with")
    return classifier


def _members(content: bytes) -> dict[str, bytes]:
    if len(content) > MAX_BYTES:
        raise RefusedError(f"it may have {MAX_BYTES:,} bytes: it has more")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check_members(members, len(content))
            return {member.orig_filename: archive.read(member) for member in members}
    except RefusedError:
        raise
    except Exception as error:
        # As in `sweep_model.npz`: no list of what hostile bytes raise in zipfile would be complete.
        reason = str(error) or type(error).__name__
        raise RefusedError(f"it is no whole .zip file: {shown(reason)}") from error


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    names = [member.orig_filename for member in members]  # `filename` ends at a null character
    if OLD_MEMBER in names:
        raise RefusedError("it was exported by sweep 0.1: import it with that version")
    if STUDY not in names:
        raise RefusedError(f"it is no archive of a study: it holds no {STUDY}")
    strange = [name for name in names if name not in KNOWN]
    if strange or len(set(names)) < len(names):
        which = f"{shown(strange[0])} too" if strange else "one of them twice"
        raise RefusedError(f"it may hold {', '.join(KNOWN)}: got {which}")
    if any(each.compress_type != zipfile.ZIP_STORED or each.flag_bits & 1 for each in members):
        raise RefusedError("its members must be neither compressed nor encrypted")
    if sum(member.file_size for member in members) > size:
        raise RefusedError("its members are larger than it is")


def _read_classifier(name: str, content: bytes) -> LinearClassifier:
    with scratch_folder() as folder:
        path = folder / name
        path.write_bytes(content)
        try:
            classifier = LinearClassifier.load(path)
        except ValueError as error:
            reason = " ".join(str(error).replace(str(path), name).split())
            raise RefusedError(reason[:300]) from error
    for label in classifier.class_names:
        if len(label) > MAX_CLASS_NAME or not label.isprintable():
            raise RefusedError(f"{name}: a class name has up to 80 printable characters")
    return classifier


def import_study(
    archive: Archive, workspace: Workspace, *, name: str | None = None, data: Path | None = None
) -> StudyRecord:
    """Record an archive's study, under its own name or another: all of it or nothing.

    MLflow gets it with `sweep sync` or the study's next `sweep run`; until then the model waits in
    the working folder, where `fetch_classifier` finds it. `data` is where the study's own .npz file
    lies here.

    Raises
    ------
    SweepError
        There is a study of this name, or the data are not those of the study.

    """
    study = archive.study
    config = _config_here(study.config, workspace, name, data)
    plain = study.model_dump(mode="json", exclude_unset=True)
    attributes = {
        BUDGETS: plain["budgets"],
        TEST_OPENINGS: plain["test_openings"],
        CONFIRMATION: plain["confirmation"],
        **{
            name: None if again is None else {str(again.number): vars(again.record)}
            for name, again in ((IN_FULL, study.in_full), (REFITS, study.refit))
        },
    }
    attributes = {key: value for key, value in attributes.items() if value}
    storage = create_storage(workspace)
    with (
        study_lock(workspace, config.study),
        importing_study(
            config, study.records, attributes, storage, workspace, archive=archive.digest
        ),
    ):
        _keep_classifiers(archive, workspace.pending(config.study))
    return load_study(config.study, storage, workspace)


def _config_here(
    config: StudyConfig, workspace: Workspace, name: str | None, data: Path | None
) -> StudyConfig:
    """Return the config with the name and the place of the data that they have here."""
    try:
        config = replace(config, study=check_study_name(config.study if name is None else name))
    except SweepError as error:
        raise SweepError(f"{error} with --as NAME") from error
    if data is None and config.data.source in BUILT_IN:
        return config
    moved = config.data.moved(workspace.root / config.data.source if data is None else data)
    if data is not None:
        try:
            reopen_data(moved, reopen_source(moved))
        except SweepError as error:
            raise SweepError(
                f"--data {data}: these are not the study's data: {error}; name another file, or "
                "leave --data out and see to it later"
            ) from error
    return replace(config, data=moved)


def _keep_classifiers(archive: Archive, folder: Path) -> None:
    """Put the classifiers where the files are that MLflow does not have yet."""
    shutil.rmtree(folder, ignore_errors=True)  # of a study that was here under the same name
    selected = archive.study.selected
    if selected is None:
        return
    name = f"trial-{selected.number:03d}"
    kept = {name: archive.classifier, f"{name}{REFIT_SUFFIX}": archive.refit}
    for run, classifier in kept.items():
        if classifier is None:
            continue
        path = folder / run / CLASSIFIER
        try:
            path.parent.mkdir(parents=True)
            classifier.save(path)
        except OSError as error:
            raise StoreUnreachableError(
                f"{path}: the model cannot be written: {with_room(str(error.strerror), path)}; "
                "nothing was imported"
            ) from error
