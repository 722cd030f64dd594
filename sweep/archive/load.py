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
from typing import TYPE_CHECKING, Any

from sweep.archive.models import BUILT_IN, ArchivedStudy, RefusedError, parse_study
from sweep.config import check_study_name
from sweep.data.reopening import reopen_data, reopen_source
from sweep.disks import scratch_folder, with_room
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search.lock import study_lock
from sweep.search.record import (
    BUDGETS,
    CONFIRMATION,
    IN_FULL,
    TEST_OPENINGS,
    importing_study,
    load_study,
)
from sweep.search.storage import create_storage
from sweep.search.training_log import CLASSIFIER_FILE, CLASSIFIER_FOLDER
from sweep.space.axes import shown
from sweep_model.classifier import LinearClassifier

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.config import StudyConfig
    from sweep.search.record import StudyRecord
    from sweep.workspace import Workspace

MAX_BYTES = 128 << 20
"""Of an archive. Its members are not compressed, so they hold no more than that either."""
README = "README.txt"
STUDY = "study.json"
TRIALS = "trials.csv"
CURVES = "curves.csv"
MODEL = "model.npz"
KNOWN = (README, STUDY, TRIALS, CURVES, MODEL)
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
    digest
        SHA-256 of the file.

    """

    study: ArchivedStudy
    classifier: LinearClassifier | None
    digest: str


def read_archive(file: Path) -> Archive:
    """Read an archive; whatever is wrong with it is one line.

    Raises
    ------
    SweepError
        There is no such file, or it is none that this version of sweep can import.

    """
    try:
        if not file.is_file():
            raise SweepError(f"{file}: there is no such file")
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise SweepError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        study, classifier = unpack(content)
    except StoreUnreachableError:  # no room to look at the model
        raise
    except (RefusedError, SweepError) as error:
        raise SweepError(f"{file}: {error}; nothing was imported: ask for a new export") from error
    return Archive(study, classifier, hashlib.sha256(content).hexdigest())


def unpack(content: bytes) -> tuple[ArchivedStudy, LinearClassifier | None]:
    """Return what an archive holds: the study and the selected trial's classifier.

    Raises
    ------
    RefusedError
        It is damaged, hostile, or of another kind or version.
    SweepError
        A setting in it breaks its rule.

    """
    members = _members(content)
    study = parse_study(members[STUDY])
    selected = study.selected
    if selected is None:
        if MODEL in members:
            raise RefusedError(f"it holds {MODEL}, and no trial is complete")
        return study, None
    if MODEL not in members:
        raise RefusedError(f"it lacks {MODEL}, the model of trial {selected.number}")
    classifier = _read_classifier(members[MODEL])
    if classifier.digest != selected.weights_digest or classifier.loss.name != study.config.loss:
        raise RefusedError(f"{MODEL} is not the model that trial {selected.number} ended with")
    return study, classifier


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
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise RefusedError(f"{member.orig_filename} must be neither compressed nor encrypted")
    if sum(member.file_size for member in members) > size:
        raise RefusedError("its members are larger than it is")


def _read_classifier(content: bytes) -> LinearClassifier:
    with scratch_folder() as folder:
        path = folder / MODEL
        path.write_bytes(content)
        try:
            classifier = LinearClassifier.load(path)
        except ValueError as error:
            said = str(error).replace(str(path), MODEL)
            raise RefusedError(" ".join(said.split())[:300]) from error
    for name in classifier.class_names:
        if len(name) > 80 or not name.isprintable():  # noqa: PLR2004 - as study names
            raise RefusedError(f"{MODEL}: a class name has up to 80 printable characters")
    return classifier


def import_study(
    archive: Archive, workspace: Workspace, *, name: str | None = None, data: Path | None = None
) -> StudyRecord:
    """Record an archive's study, under its own name or another: all of it or nothing.

    MLflow gets it with `sweep sync` or the study's next `sweep run`; until then the model waits in
    the working folder, where `fetch_classifier` finds it.

    Parameters
    ----------
    archive
        Read and checked.
    workspace
        Where to.
    name
        Of the study here.
    data
        Where the study's own .npz file lies here.

    Raises
    ------
    SweepError
        There is a study of this name, or the data are not those of the study.

    """
    study = archive.study
    config = _settled(study.config, workspace, name, data)
    known = study.model_dump(mode="json", exclude_unset=True)
    attributes = {
        BUDGETS: known["budgets"],
        TEST_OPENINGS: known["test_openings"],
        CONFIRMATION: known["confirmation"],
        IN_FULL: _in_full(study),
    }
    attributes = {key: value for key, value in attributes.items() if value}
    storage = create_storage(workspace)
    with (
        study_lock(workspace, config.study),
        importing_study(
            config, study.records, attributes, storage, workspace, archive=archive.digest
        ),
    ):
        _keep_classifier(archive, config, workspace)
    return load_study(config.study, storage, workspace)


def _in_full(study: ArchivedStudy) -> dict[str, Any]:
    """The selected trial as it came out when it was trained in full, as the record has it."""
    if study.in_full is None:
        return {}
    return {str(study.in_full.number): vars(study.in_full.record)}


def _settled(
    config: StudyConfig, workspace: Workspace, name: str | None, data: Path | None
) -> StudyConfig:
    """Return the config with the name and the place of the data that they have here."""
    try:
        config = replace(config, study=check_study_name(config.study if name is None else name))
    except SweepError as error:
        raise SweepError(str(error).replace("--study", "--as NAME")) from error
    if data is None:
        if config.data.source in BUILT_IN:
            return config
        return replace(config, data=config.data.moved(workspace.root / config.data.source))
    moved = config.data.moved(data)
    try:
        reopen_data(moved, reopen_source(moved))
    except SweepError as error:
        raise SweepError(
            f"--data {data}: these are not the study's data: {error}; name another file, or leave "
            "--data out and see to it later"
        ) from error
    return replace(config, data=moved)


def _keep_classifier(archive: Archive, config: StudyConfig, workspace: Workspace) -> None:
    """Put the selected trial's classifier where the files are that MLflow does not have yet."""
    folder = workspace.pending(config.study)
    shutil.rmtree(folder, ignore_errors=True)  # of a study that was here under the same name
    selected = archive.study.selected
    if archive.classifier is None or selected is None:
        return
    folder = folder / f"trial-{selected.number:03d}" / CLASSIFIER_FOLDER
    try:
        folder.mkdir(parents=True)
        archive.classifier.save(folder / CLASSIFIER_FILE)
    except OSError as error:
        raise StoreUnreachableError(
            f"{folder}: the model cannot be written: {with_room(str(error.strerror), folder)}; "
            "nothing was imported"
        ) from error
