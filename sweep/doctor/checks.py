"""Checks of the machine, the folder and both stores; nothing is changed."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from sweep.doctor.agreement import compare, waiting_files
from sweep.environment import BLAS_THREADS, environment
from sweep.errors import StoreUnreachableError, SweepError
from sweep.io import may_write, read_only, sqlite_address
from sweep.search import OLD_CONFIG, holder, is_held, load_study, open_storage, runner_of, tally
from sweep.tracking import (
    TESTED_MLFLOW,
    NoExperimentError,
    Tracker,
    check_address,
    database_path,
    newest_experiment,
    tracking_uri,
    untested_mlflow,
)
from sweep.workspace import Workspace

if TYPE_CHECKING:
    from sweep.search import StudyRecord
    from sweep_model.panels import Problem

REPAIR = "sweep doctor --repair"
ENOUGH_SPACE, LEAST_SPACE = 1e9, 5e7
"""Bytes. Fifty trials on CIFAR-10 take about 80 MB."""
CLASSES, LANES, IMAGE = 10, (4, 8), (3, 32, 32)
BATCH_SIZES = (50, 100, 200, 400)
"""What default studies train with, on the images of CIFAR-10 and on rows that are no images."""
TIMEOUT_SECONDS = 5.0
"""How long another process may hold a database before it counts as locked."""


class Level(StrEnum):
    """How bad it is: as it should be, worth knowing, or wrong."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line of `sweep doctor`.

    Attributes
    ----------
    level, check, message
        How it is, what was looked at, and the finding in a phrase.
    advice
        The next step; empty where nothing is to be done.
    details
        Each thing that is wrong, where there may be many.
    unreachable
        Whether it could not be looked at because a store does not answer.

    """

    level: Level
    check: str
    message: str
    advice: str = ""
    details: tuple[str, ...] = ()
    unreachable: bool = False

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON, under stable names."""
        plain = asdict(self) | {"level": str(self.level), "details": list(self.details)}
        del plain["unreachable"]
        return plain


def examine(workspace: Workspace, uri: str | None = None) -> list[Finding]:
    """Look at everything, and change nothing; `uri` is MLflow's address where it is not the usual.

    Whatever cannot be looked at is a finding, too.
    """
    findings = [check_versions(), check_lanes(), *check_folder(workspace)]
    if workspace.folder.is_dir():
        findings += [check_locks(workspace), *check_stores(workspace, uri)]
    return findings


# The machine and the folder


def check_versions() -> Finding:
    """Say which Python, packages and BLAS train and record here."""
    here = environment()
    names = ", ".join(f"{name} {value}" for name, value in here.items() if name != "blas_threads")
    if here["blas"] == "unknown":
        message = f"{names}: this BLAS's threads cannot be limited, so trials may not reproduce"
        return Finding(Level.WARN, "versions", message, "install NumPy from pip")
    if untested_mlflow() is not None:
        message = f"{names}: with an MLflow other than {TESTED_MLFLOW} `sweep ui` opens plain pages"
        return Finding(Level.WARN, "versions", message, f"pip install 'mlflow=={TESTED_MLFLOW}.*'")
    return Finding(Level.OK, "versions", names)


def check_lanes() -> Finding:
    """Say whether this BLAS gives a training the same bits in each lane of a panel."""
    from threadpoolctl import threadpool_limits

    from sweep_model.panels import lanes_agree

    with threadpool_limits(BLAS_THREADS, user_api="blas"):
        differing = [
            f"{lanes} lanes, batches of {size} {what}"
            for what, problem in {"images": _problem(images=True), "rows": _problem()}.items()
            for lanes in LANES
            for size in BATCH_SIZES
            if not lanes_agree(problem, lanes=lanes, batch_size=size)
        ]
    return lanes_finding(differing)


def lanes_finding(differing: list[str]) -> Finding:
    """Return what `check_lanes` says of the panels in which lanes differ."""
    if not differing:
        message = "a training has the same bits in each lane: trials may be moved"
        return Finding(Level.OK, "lanes", message)
    return Finding(
        Level.WARN,
        "lanes",
        "this BLAS gives a training other bits in another lane: trials are not moved, which is "
        "slower, and `sweep reproduce` may not match bit for bit",
        "install NumPy from pip, whose OpenBLAS was tested",
        tuple(differing),
    )


def _problem(*, images: bool = False) -> Problem:
    import numpy as np

    from sweep_model.losses import LOSSES
    from sweep_model.panels import Problem
    from sweep_model.preprocessing import MirrorBasis, MirrorRows

    n, features = 2 * max(BATCH_SIZES), int(np.prod(IMAGE))
    rows = np.random.default_rng(0).standard_normal((n, features), dtype=np.float32)
    labels = np.arange(n) % CLASSES
    mirrored = MirrorRows(rows, labels, MirrorBasis(features, IMAGE if images else None))
    return Problem(rows=mirrored, evaluation={}, loss=LOSSES["softmax"], classes=CLASSES)


def check_folder(workspace: Workspace) -> list[Finding]:
    """Say whether `mlruns/` may be written to, and how much of its disk is free."""
    folder = workspace.folder
    existing = folder if folder.is_dir() else workspace.root
    check, space = f"{folder}/", check_space(shutil.disk_usage(existing).free)
    if folder.exists() and not folder.is_dir():
        advice = "move it away, or change the folder"
        return [Finding(Level.FAIL, check, "is a file, not a folder", advice), space]
    if not may_write(existing):
        message = f"{existing.resolve()} cannot be written to: studies can be read, and not run"
        return [Finding(Level.WARN, check, message, "to run some, work in a copy of it"), space]
    if existing != folder:
        return [Finding(Level.OK, check, "not here yet: `sweep run` makes it"), space]
    return [Finding(Level.OK, check, f"{existing.resolve()}, writable"), space]


def check_space(free: float) -> Finding:
    """Judge how many bytes of the disk are free."""
    message, advice = f"{free / 1e9:.1f} GB free", "free some: fifty trials take about 0.1 GB"
    if free >= ENOUGH_SPACE:
        return Finding(Level.OK, "disk", message)
    return Finding(Level.WARN if free >= LEAST_SPACE else Level.FAIL, "disk", message, advice)


def check_locks(workspace: Workspace) -> Finding:
    """Say which locks are held, and by whom as far as they said."""
    held = [path for path in sorted(workspace.folder.glob("*.lock")) if is_held(path)]
    message = "; ".join(f"{path.name} is held by {holder(path)}" for path in held)
    return Finding(Level.OK, "locks", message or "none is held")


# Both stores, read from copies: opening one may roll back what a dead process left


def check_stores(
    workspace: Workspace, uri: str | None = None, timeout: float = TIMEOUT_SECONDS
) -> list[Finding]:
    """Look at both databases, and compare what they say of each study."""
    original = workspace.optuna_database
    if not original.exists():
        return [Finding(Level.OK, str(original), "not here yet: no study was begun here")]
    with TemporaryDirectory(prefix="sweep-doctor-", ignore_cleanup_errors=True) as room:
        copies = Workspace(Path(room))
        copies.folder.mkdir()
        record = check_database(original, copies.optuna_database, timeout)
        address = tracking_uri(uri, workspace)
        readable, findings = _check_tracking(address, copies, timeout)
        findings.insert(0, record)
        if record.level != Level.FAIL:
            findings += _check_studies(workspace, copies, readable)
    originals = {copies.optuna_database: original, copies.mlflow_database: database_path(address)}
    return [_renamed(finding, originals) for finding in findings]


def _renamed(finding: Finding, originals: dict[Path, Path | None]) -> Finding:
    """Let a finding name the file itself where it names its copy."""
    message = finding.message
    for copy, path in originals.items():
        message = message.replace(str(copy), str(path))
    return replace(finding, message=message)


def _check_tracking(
    uri: str, copies: Workspace, timeout: float
) -> tuple[str | None, list[Finding]]:
    """Return an address at which MLflow's store can be read, if any, and what was found."""
    path = database_path(uri)
    if path is None:
        try:
            check_address(uri)
        except SweepError as error:
            return None, [Finding(Level.FAIL, "MLflow's store", str(error))]
        return uri, []
    if not path.exists():
        advice = f"{REPAIR} makes it anew, from the record"
        return None, [Finding(Level.FAIL, str(path), "is missing", advice)]
    finding = check_database(path, copies.mlflow_database, timeout)
    readable = sqlite_address(copies.mlflow_database) if finding.level == Level.OK else None
    return readable, [finding]


def check_database(original: Path, copy: Path, timeout: float = TIMEOUT_SECONDS) -> Finding:
    """Copy a database, and look whether the copy is whole."""
    check = str(original)
    try:
        copy_database(original, copy, timeout)
        with closing(sqlite3.connect(copy)) as connection:
            damage = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.OperationalError as error:
        advice = "wait for whoever holds it, or check the disk"
        message = f"does not answer: {error}"
        return Finding(Level.FAIL, check, message, advice, unreachable=True)
    except sqlite3.DatabaseError as error:
        damage, tables = [str(error)], 1
    except OSError as error:
        advice, message = "check its permissions and the disk", f"cannot be read: {error.strerror}"
        return Finding(Level.FAIL, check, message, advice, unreachable=True)
    if damage == ["ok"] and tables:
        return Finding(Level.OK, check, f"whole, {original.stat().st_size / 1e6:.1f} MB")
    message = "; ".join(" ".join(each.split()) for each in damage)
    message = f"is damaged: {message}" if tables else "is empty"
    advice = f"move it away and put back a copy of it, or recover: sqlite3 {original} .recover"
    return Finding(Level.FAIL, check, message, advice)


def copy_database(original: Path, copy: Path, timeout: float = TIMEOUT_SECONDS) -> None:
    """Copy a database as it stands now, without changing a byte of it or of its folder."""
    try:
        with (
            closing(sqlite3.connect(read_only(original), uri=True, timeout=timeout)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(target)
    except sqlite3.OperationalError:
        journal = original.with_name(f"{original.name}-journal")
        if not journal.exists():
            raise
        # Left by a process that died; SQLite undoes in the copy what that had not finished.
        copy.unlink(missing_ok=True)
        shutil.copyfile(original, copy)
        shutil.copyfile(journal, copy.with_name(f"{copy.name}-journal"))


def _check_studies(workspace: Workspace, copies: Workspace, uri: str | None) -> list[Finding]:
    import optuna

    try:
        storage = open_storage(copies)
        summaries = optuna.get_all_study_summaries(storage)
    except SweepError as error:
        message = str(error).replace(f"{copies.optuna_database}: ", "")
        return [Finding(Level.FAIL, str(workspace.optuna_database), message)]
    findings = []
    for summary in sorted(summaries, key=lambda summary: summary.study_name):
        name, attributes = summary.study_name, summary.user_attrs
        if not any(key.startswith("sweep:") for key in attributes):
            continue  # another program's
        try:
            study = load_study(name, storage, workspace)
            findings += check_study(study, _tracker(study, uri), compared=uri is not None)
        except SweepError as error:
            level = Level.WARN if OLD_CONFIG in attributes else Level.FAIL
            away = isinstance(error, StoreUnreachableError)
            findings.append(Finding(level, f"study {name}", str(error), unreachable=away))
    return findings


def _tracker(study: StudyRecord, uri: str | None) -> Tracker | None:
    """Connect to the study's experiment; None where there is none, as nothing is to be created."""
    if uri is None:
        return None
    name = study.config.data.name
    try:
        newest_experiment(uri, name)
    except NoExperimentError:
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
        message = f"is being run by {runner}; it is looked at when that has ended"
        return [Finding(Level.OK, check, message)]
    findings = [
        _agreement(study, tracker, str(counts))
        if compared
        else Finding(Level.OK, check, f"{counts}; not compared with MLflow")
    ]
    if counts.running:
        message = f"{counts.running} trials unfinished, and nobody runs it"
        advice = f"go on with it: sweep run {study.name}"  # with all that it records
        findings.append(Finding(Level.WARN, check, message, advice))
    return findings


def _agreement(study: StudyRecord, tracker: Tracker | None, counts: str) -> Finding:
    check, sync = f"study {study.name}", f"sweep sync {study.name}"
    if study.trials() and (tracker is None or not tracker.runs(role="study", **study.tags)):
        why = "it was imported, or that is another store or was lost"
        return Finding(Level.WARN, check, f"{counts}; no run in this MLflow store: {why}", sync)
    waiting = waiting_files(study)
    if waiting:
        where = f"the files of {len(waiting)} runs wait for MLflow in {waiting[0].parent}"
        return Finding(Level.WARN, check, f"{counts}; {where}", sync)
    details = tuple(each.message for each in compare(study, tracker))
    if details:
        return Finding(
            Level.FAIL, check, f"{len(details)} disagreements with MLflow", REPAIR, details
        )
    return Finding(Level.OK, check, f"{counts}; MLflow says the same")
