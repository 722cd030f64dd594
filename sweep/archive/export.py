"""Write a study into one .zip file, and only such a file as reads back as the same study."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis import fetch_classifier, find_refit, find_selected
from sweep.archive.load import CURVES, MODEL, README, REFIT, STUDY, TRIALS, unpack
from sweep.archive.models import BUILT_IN, FORMAT, VERSION, RefusedError
from sweep.config import NORMALISATIONS, SUFFIXES
from sweep.curves import metrics_of
from sweep.errors import SweepError
from sweep.io import check_replaceable, scratch_folder, with_room, write_whole
from sweep.search import BUDGETS, CONFIRMATION, TEST_OPENINGS, Status, study_lock, tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweep.config import StudyConfig
    from sweep.search import StudyRecord, TrialRecord
    from sweep.tracking import Tracker
    from sweep_model.classifier import LinearClassifier

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest of the format: the bytes do not tell the hour
_PLAIN_FILE = 0o100644 << 16


@dataclass(frozen=True)
class Exported:
    """An archive that was written.

    Attributes
    ----------
    file
        Where it lies.
    trials, selected
        What is in it.
    size, digest
        Of the file: bytes and SHA-256.

    """

    file: Path
    trials: list[TrialRecord]
    selected: TrialRecord | None
    size: int
    digest: str


def export_study(study: StudyRecord, tracker: Tracker, file: Path) -> Exported:
    """Write the study as it stands, whole or not at all; an earlier archive is replaced.

    Of a trial that has not ended its beginning is written: the imported study trains it, as here.

    Raises
    ------
    SweepError
        The study is being run, its model is gone, its record is not as sweep writes it, or the file
        cannot be written, or is something else's.

    """
    check_replaceable(file, mark=FORMAT.encode(), kind="archive")
    with study_lock(study.workspace, study.name):
        trials = [_portable_trial(trial) for trial in study.trials()]
        selected = find_selected(study)
        pruned = selected is not None and study.trial(selected.number) != selected
        full = selected if pruned else None
        refit = None if selected is None else find_refit(study, selected)
        record = {
            "format": FORMAT,
            "version": VERSION,
            "config": _portable_config(study.config),
            "budgets": study.attribute(BUDGETS, []),
            "test_openings": study.attribute(TEST_OPENINGS, []),
            "confirmation": study.attribute(CONFIRMATION),
            "in_full": None if full is None else vars(_portable_trial(full)),
            "refit": None if refit is None else vars(_portable_trial(refit)),
            "trials": [vars(trial) for trial in trials],
        }
        classifiers = {
            name: fetch_classifier(study, trial, tracker)
            for name, trial in ((MODEL, selected), (REFIT, refit))
            if trial is not None
        }
    members = {
        README: _readme(study.config, trials, selected).encode(),
        STUDY: json.dumps(record).encode(),
        TRIALS: _trials_table(study.config, trials).encode(),
        CURVES: _curves_table(study.config, trials).encode(),
    }
    members |= {name: _saved(classifier) for name, classifier in classifiers.items()}
    content = _pack(members)
    _read_back(study.name, content, trials)
    try:
        write_whole(file, content)
    except OSError as error:
        raise SweepError(
            f"{file}: cannot be written: {with_room(str(error.strerror), file)}; "
            "choose another place with --out"
        ) from error
    return Exported(file, trials, selected, len(content), hashlib.sha256(content).hexdigest())


def _portable_trial(trial: TrialRecord) -> TrialRecord:
    """Return the trial with its words in one line each."""
    reason, trouble = (" ".join(text.split())[:1000] for text in (trial.reason, trial.trouble))
    return replace(trial, reason=reason, trouble=trouble)


def _portable_config(config: StudyConfig) -> dict[str, Any]:
    """Return the config without the folders of this machine."""
    record = config.record()
    data = {name: value for name, value in record["data"].items() if name != "directory"}
    if files := config.data.files:
        suffix = Path(files.data).suffix  # a folder's is a part of its name
        data["source"] = data["name"] + (suffix if suffix.lower() in SUFFIXES else "")
        data["parts"] = files.at(lambda path: Path(path).name).parts()
    elif data["source"] not in BUILT_IN:
        data["source"] = f"{data['name']}.npz"
    usual = {"parts": {}, "normalise": NORMALISATIONS[0]}
    data = {name: value for name, value in data.items() if value != usual.get(name)}
    return record | {"data": data}


def _read_back(name: str, content: bytes, trials: Sequence[TrialRecord]) -> None:
    """Refuse to write what an import would refuse, or would not make the same study of."""
    try:
        study, *_ = unpack(content)
    except (RefusedError, SweepError) as error:
        raise SweepError(f"study {name!r} cannot be exported: {error}") from error
    if study.records != trials:
        raise SweepError(f"study {name!r} cannot be exported: its trials would be others")


def _pack(members: dict[str, bytes]) -> bytes:
    """Return a .zip of the members as they are: the same bytes for the same study."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, _PLAIN_FILE  # the same on any system
            archive.writestr(entry, content)
    return packed.getvalue()


def _saved(classifier: LinearClassifier) -> bytes:
    with scratch_folder() as folder:
        classifier.save(folder / MODEL)
        return (folder / MODEL).read_bytes()


def _trials_table(config: StudyConfig, trials: Iterable[TrialRecord]) -> str:
    """Return a row per trial; the objective stands where a trial is complete."""
    metrics = metrics_of(config)
    names = list(config.space.axes)
    head = ["trial", "status", "epochs", "objective", *metrics, *names]
    rows = [
        [
            trial.number,
            trial.status,
            trial.epochs,
            trial.last(config.metric) if trial.status == Status.COMPLETE else None,
            *(trial.last(metric) if trial.epochs else None for metric in metrics),
            *(trial.params[name] for name in names),
            *(trial.index, trial.first_pass, trial.weights_digest),
            *(_utc(trial.began), _utc(trial.ended), trial.reason),
        ]
        for trial in trials
    ]
    return _csv([*head, "index", "first_pass", "weights_digest", "began", "ended", "reason"], rows)


def _curves_table(config: StudyConfig, trials: Iterable[TrialRecord]) -> str:
    """Return a row per trial and epoch, from 1."""
    metrics = metrics_of(config)
    rows = [
        [trial.number, epoch + 1, *(trial.curves[metric][epoch] for metric in metrics)]
        for trial in trials
        for epoch in range(trial.epochs)
    ]
    return _csv(["trial", "epoch", *metrics], rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(head)
    table.writerows(rows)
    return written.getvalue()


def _utc(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _readme(
    config: StudyConfig, trials: Sequence[TrialRecord], selected: TrialRecord | None
) -> str:
    return TEXT.format(
        format=FORMAT,
        study=config.study,
        loss=config.loss,
        data=config.data.name,
        objective=config.objective,
        epochs=config.epochs,
        tally=tally(trials),
        selected="No trial is complete." if selected is None else f"Selected: {selected.number}.",
        model="" if selected is None else MODEL_TEXT,
    )


TEXT = """\
A {format} archive: {study}, a search for the best setting of a linear classifier
with the {loss} loss on {data}, by {objective} after {epochs} epochs.

Trials: {tally}. {selected}

trials.csv   a row per trial: status, last metrics, setting, digest of its weights, times
curves.csv   a row per trial and epoch (from 1): the metrics after it
study.json   all of it as sweep recorded it: config with SHA-256 digests of data and split, trials
             with the versions they ran on, looks at the test rows, confirmation
{model}
The columns:
train/..., val/...     training and validation rows
.../loss, .../cost     mean loss in nats; with l2 * sum(W^2) added
.../accuracy           fraction of rows
l2, learning_rate, decay_period (epochs between two halvings of the rate), batch_size,
flip_probability       the setting; normalise, too, where that was searched
trial, first_pass      with the setting, the seed and the lanes they decide every bit of a trial
status                 complete, pruned (ended early), failed, or running when it was exported

With pandas:
    curves = pandas.read_csv("curves.csv")
    curves.pivot(index="epoch", columns="trial", values="val/accuracy").plot()
With R:
    curves <- read.csv("curves.csv", check.names = FALSE)
With sweep:
    sweep import FILE.zip
    sweep show {study}
    sweep reproduce {study}    (trains the selected trial again, and compares)
"""
MODEL_TEXT = """\
model.npz    the selected trial's weights (classes, features) and bias, and mean and factor that
             standardise a row x: the scores are W ((x - mean) * factor) + b; with an array
             `unit` a row is divided by its length before
refit.npz    the same after training on validation rows, too, where `sweep test --refit` has run
"""
