"""Both stores, read from copies: opening one may roll back what a dead process left."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sweep.doctor.agreement import compare, waiting_files
from sweep.doctor.finding import REPAIR, Finding, Level
from sweep.doctor.machine import check_folder, check_lanes, check_locks, check_versions
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search.lock import runner_of
from sweep.search.record import OLD_CONFIG, load_study
from sweep.search.run_command import run_command
from sweep.search.storage import open_storage
from sweep.search.trials import tally
from sweep.tracking.address import database_path
from sweep.tracking.address_rules import check_address
from sweep.workspace import Workspace

if TYPE_CHECKING:
    from sweep.search.record import StudyRecord
    from sweep.tracking.tracker import Tracker

TIMEOUT_SECONDS = 5.0
"""How long another process may hold a database before it counts as locked."""


def examine(workspace: Workspace, tracking_uri: str | None = None) -> list[Finding]:
    """Look at everything, and change nothing.

    Parameters
    ----------
    workspace
        The working folder.
    tracking_uri
        Address of the MLflow store; the usual one where it is not given.

    """
    found = [check_versions(), check_lanes(), *check_folder(workspace)]
    if not workspace.folder.is_dir():
        return found
    return [*found, check_locks(workspace), *check_stores(workspace, tracking_uri)]


def check_stores(
    workspace: Workspace, tracking_uri: str | None = None, timeout: float = TIMEOUT_SECONDS
) -> list[Finding]:
    """Look at both databases, and compare what they say of each study."""
    from sweep.tracking.tracker import tracking_uri as resolve

    original = workspace.optuna_database
    if not original.exists():
        return [Finding(Level.OK, str(original), "not here yet: no study was begun here")]
    with TemporaryDirectory(prefix="sweep-doctor-", ignore_cleanup_errors=True) as room:
        copies = Workspace(Path(room))
        copies.folder.mkdir()
        record = check_database(original, copies.optuna_database, timeout)
        uri, found = _check_tracking(resolve(tracking_uri, workspace), copies, timeout)
        if record.level == Level.FAIL:
            return [record, *found]
        return [record, *found, *_check_studies(workspace, copies, uri)]


def _check_tracking(
    uri: str, copies: Workspace, timeout: float
) -> tuple[str | None, list[Finding]]:
    """Return an address at which MLflow's store can be read, if any, and what was found."""
    path = database_path(uri)
    try:
        if path is None:
            check_address(uri)
            return uri, []
    except SweepError as error:
        return None, [Finding(Level.FAIL, "MLflow's store", str(error))]
    if not path.exists():
        advice = f"{REPAIR} makes it anew, from the record"
        return None, [Finding(Level.FAIL, str(path), "is missing", advice)]
    finding = check_database(path, copies.mlflow_database, timeout)
    readable = f"sqlite:///{copies.mlflow_database}" if finding.level == Level.OK else None
    return readable, [finding]


def check_database(original: Path, copy: Path, timeout: float = TIMEOUT_SECONDS) -> Finding:
    """Copy a database, and look whether the copy is whole."""
    check = str(original)
    try:
        copy_database(original, copy, timeout)
        with closing(sqlite3.connect(copy)) as connection:
            said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.OperationalError as error:
        advice = "wait for whoever holds it, or check the disk"
        said_so = f"does not answer: {error}"
        return Finding(Level.FAIL, check, said_so, advice, unreachable=True)
    except sqlite3.DatabaseError as error:
        said, tables = [str(error)], 1
    except OSError as error:
        advice = "check its permissions and the disk"
        said_so = f"cannot be read: {error.strerror}"
        return Finding(Level.FAIL, check, said_so, advice, unreachable=True)
    if said == ["ok"] and tables:
        return Finding(Level.OK, check, f"whole, {original.stat().st_size / 1e6:.1f} MB")
    damage = "; ".join(" ".join(each.split()) for each in said)
    return Finding(
        Level.FAIL,
        check,
        f"is damaged: {damage}" if tables else "is empty",
        f"move it away and put back a copy of it, or recover: sqlite3 {original} .recover",
    )


def copy_database(original: Path, copy: Path, timeout: float = TIMEOUT_SECONDS) -> None:
    """Copy a database as it stands now, without changing a byte of it or of its folder."""
    unopened = _is_logged(original) and not _beside(original, "-wal").exists()
    how = "immutable=1" if unopened else "mode=ro"
    address = f"{original.resolve().as_uri()}?{how}"
    try:
        with (
            closing(sqlite3.connect(address, uri=True, timeout=timeout)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(target)
    except sqlite3.OperationalError:
        journal = _beside(original, "-journal")
        if not journal.exists():
            raise
        # Left by a process that died; SQLite undoes in the copy what that had not finished.
        copy.unlink(missing_ok=True)
        shutil.copyfile(original, copy)
        shutil.copyfile(journal, _beside(copy, "-journal"))


def _is_logged(database: Path) -> bool:
    """Whether it has a write-ahead log; where there is none yet, reading would make an empty one.

    https://www.sqlite.org/fileformat.html, offset 18: the file format's read and write version.
    """
    with database.open("rb") as file:
        return file.read(20)[18:] == b"\2\2"


def _beside(database: Path, ending: str) -> Path:
    return database.with_name(database.name + ending)


def _check_studies(workspace: Workspace, copies: Workspace, uri: str | None) -> list[Finding]:
    import optuna

    found = []
    try:
        storage = open_storage(copies)
        summaries = optuna.get_all_study_summaries(storage)
    except SweepError as error:
        said = str(error).replace(f"{copies.optuna_database}: ", "")
        return [Finding(Level.FAIL, str(workspace.optuna_database), said)]
    for summary in sorted(summaries, key=lambda summary: summary.study_name):
        name, attributes = summary.study_name, summary.user_attrs
        if not any(key.startswith("sweep:") for key in attributes):
            continue  # another program's
        try:
            study = load_study(name, storage, workspace)
            found += check_study(study, _tracker(study, uri), compared=uri is not None)
        except SweepError as error:
            level = Level.WARN if OLD_CONFIG in attributes else Level.FAIL
            away = isinstance(error, StoreUnreachableError)
            found.append(Finding(level, f"study {name}", str(error), unreachable=away))
    return found


def _tracker(study: StudyRecord, uri: str | None) -> Tracker | None:
    """Connect to the study's experiment; None where there is none, as nothing is to be created."""
    from sweep.tracking.tracker import Tracker, newest_experiment

    if uri is None:
        return None
    name = study.config.data.name
    try:
        newest_experiment(uri, name)
    except StoreUnreachableError:
        raise
    except SweepError:
        return None
    return Tracker(name, study.workspace, uri=uri)


def check_study(
    study: StudyRecord, tracker: Tracker | None, *, compared: bool = True
) -> list[Finding]:
    """Compare a study with MLflow, unless somebody runs it."""
    check, trials = f"study {study.name}", study.trials()
    counts = tally(trials)
    runner = runner_of(study.workspace, study.name)
    if runner is not None:
        said = f"is being run by {runner}; it is looked at when that has ended"
        return [Finding(Level.OK, check, said)]
    if not compared:
        found = [Finding(Level.OK, check, f"{counts}; not compared with MLflow")]
    else:
        found = [_agreement(study, tracker, str(counts))]
    if counts.running:
        command = run_command(study.config, max(1, counts.finished + counts.running))
        said = f"{counts.running} trials unfinished, and nobody runs it"
        found.append(Finding(Level.WARN, check, said, f"go on with it: {command}"))
    return found


def _agreement(study: StudyRecord, tracker: Tracker | None, counts: str) -> Finding:
    check = f"study {study.name}"
    if study.trials() and (tracker is None or not tracker.runs(role="study", **study.tags)):
        said = "no run in this MLflow store: it was imported, or that is another store or was lost"
        return Finding(Level.WARN, check, f"{counts}; {said}", f"sweep sync {study.name}")
    waiting = waiting_files(study)
    if waiting:
        said = f"the files of {len(waiting)} trials wait for MLflow in {waiting[0].parent}"
        return Finding(Level.WARN, check, f"{counts}; {said}", f"sweep sync {study.name}")
    details = tuple(map(str, compare(study, tracker)))
    if details:
        said = f"{len(details)} disagreements with MLflow"
        return Finding(Level.FAIL, check, said, REPAIR, details)
    return Finding(Level.OK, check, f"{counts}; MLflow says the same")
