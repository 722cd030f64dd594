"""Take in a study from a file that nobody vouches for: all of it is checked, then all is stored."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from sweep.archive.container import MAX_BYTES, unpack
from sweep.archive.contents import Contents, read_contents
from sweep.archive.plain import RefusedError
from sweep.archive.storing import store_study, taken
from sweep.archive.study_record import BUILT_IN
from sweep.errors import SweepError
from sweep.settings import STUDY_NAME, Settings
from sweep.space.axes import shown
from sweep.study import attributes
from sweep.study.lock import study_lock
from sweep.study.material import reopen_data, reopen_source
from sweep.study.opening import load_study, study_names
from sweep.study.storage import create_storage, making_stores
from sweep.study.training_run import log_classifier
from sweep.tracking.run import Run
from sweep.tracking.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.storages import BaseStorage

    from sweep.study.opening import OpenStudy


@dataclass(frozen=True)
class Archive:
    """An archive that was read and found good: what it holds, and its SHA-256."""

    contents: Contents
    digest: str


def read_archive(file: Path) -> Archive:
    """Read an archive; whatever is wrong with it is one line.

    Raises
    ------
    SweepError
        There is no such file, or it is none that sweep can take in.

    """
    try:
        if not file.is_file():
            raise SweepError(f"{file}: there is no such file")
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise SweepError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        contents = read_contents(unpack(content))
    except (RefusedError, SweepError) as error:
        raise SweepError(
            f"{file}: {error}; nothing was taken in: have it exported and sent again"
        ) from error
    return Archive(contents, hashlib.sha256(content).hexdigest())


def import_study(
    archive: Archive,
    *,
    name: str | None = None,
    data: Path | None = None,
    tracking_uri: str | None = None,
) -> OpenStudy:
    """Store an archive's study here, under its own name or another.

    Its model goes to MLflow first and its record to the Optuna store last, in one transaction: a
    process that dies in between has imported nothing, and the next import finds the model. Its
    trials get their runs in MLflow at the next `sweep run`, see `study.reconcile`.

    Parameters
    ----------
    archive
        Read and found good.
    name
        Of the study here.
    data
        Where the study's own .npz file lies here.
    tracking_uri
        Address of the MLflow store.

    Raises
    ------
    SweepError
        There is a study of this name, or the data are not those of the study.

    """
    contents = archive.contents
    settings = _settled(contents.settings, name, data)
    storage = create_storage()
    with study_lock(settings.study):
        if settings.study in study_names(storage):
            raise taken(settings.study)
        run = None
        if contents.model is not None:
            run = _keep_model(archive, settings, tracking_uri)
        _store(storage, replace(contents, settings=settings), run)
        study = load_study(settings.study, storage)
        if run is not None:
            run.tags({"study_id": study.identity})
            with suppress(SweepError):  # the study is here all the same
                run.end("FINISHED")
    return study


def _settled(settings: Settings, name: str | None, data: Path | None) -> Settings:
    """Return the settings with the name and the place of the data that they have here."""
    name = settings.study if name is None else name
    if not STUDY_NAME.fullmatch(name):
        raise SweepError(
            "a study name has 1 to 80 letters, digits, dots, dashes or underscores and begins "
            f"with a letter or digit: got {shown(name)}; choose another with --as NAME"
        )
    if data is not None and settings.data.source in BUILT_IN:
        raise SweepError(
            f"{data}: the study is on {settings.data.source}, not on a file; leave --data out"
        )
    choice = settings.data
    if choice.source not in BUILT_IN:
        file = (Path(choice.source) if data is None else data.expanduser()).resolve()
        choice = replace(choice, source=str(file), directory=str(file.parent))
    settings = replace(settings, study=name, data=choice)
    if data is not None:
        try:
            reopen_data(choice, reopen_source(choice))
        except SweepError as error:
            raise SweepError(
                f"--data {data}: these are not the study's data: {error}; name another file, or "
                "leave --data out and see to it later"
            ) from error
    return settings


def _keep_model(archive: Archive, settings: Settings, tracking_uri: str | None) -> Run:
    """Log the chosen trial's model where `study.champion` looks for it: by its digest."""
    model, chosen = archive.contents.model, archive.contents.chosen
    assert model is not None and chosen is not None  # noqa: S101, PT018 - the one comes with the other
    with making_stores():
        tracker = Tracker(settings.data.name, uri=tracking_uri)
    tags = {"role": "import", "study": settings.study, "archive": archive.digest}
    # One that is still running was left by an import that died before it stored the study.
    left = [run for run in tracker.runs(**tags) if run.info.status == "RUNNING"]
    if left:
        run = Run(tracker, left[0].info.run_id)
    else:
        note = f"The model of trial {chosen.number} of `{settings.study}`, from an archive."
        run = Run.create(tracker, f"import-{settings.study}", tags=tags, note=note)
    log_classifier(run, model)
    run.tags({"original_trial": chosen.number, "weights_digest": model.digest})
    run.flush()
    return run


def _store(storage: BaseStorage, contents: Contents, run: Run | None) -> None:
    settings = contents.settings
    record = {**settings.record(), "study_id": uuid4().hex}
    known = {attributes.SETTINGS: record, **contents.known}
    with _withdrawn_if_broken(run):
        store_study(storage, settings.study, settings.direction, known, contents.trials)


@contextmanager
def _withdrawn_if_broken(run: Run | None) -> Iterator[None]:
    """Delete the run of the model where the study could not be stored."""
    try:
        yield
    except BaseException:
        if run is not None:
            with suppress(SweepError), run.tracker.reaching():
                run.tracker.client.delete_run(run.id)
        raise
