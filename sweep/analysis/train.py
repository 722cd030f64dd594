"""Train one setting that the user chose, outside any study, and log it as a run."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sweep.analysis.runs import keep_run, kept_runs, send_kept_run, training_state
from sweep.analysis.test_set import HeldOutResult, evaluate_on_test_rows
from sweep.config import CLASS_WEIGHTS, StudyConfig, default_lanes, default_slots
from sweep.errors import StoreUnreachableError, SweepError
from sweep.io import scratch_folder
from sweep.search import Interrupts, Status, TrainingLog, TrialRecord, row_weights, train_alone
from sweep.search_space import BASELINES, NAMES, Choices, Space
from sweep.tracking import Mirror, Tracker
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sweep.config import DataConfig
    from sweep.curves import Curves
    from sweep.data import Prepared, Source
    from sweep.search_space import Number
    from sweep.tracking import RunState
    from sweep.workspace import Workspace

TRAININGS = "_trainings"
"""In place of a study's name, which none can have."""


@dataclass(frozen=True)
class SingleResult:
    """What one training came to; without `run_id` its run waits for `sync_trainings`."""

    curves: Curves
    weights_digest: str
    run_id: str | None
    held_out: HeldOutResult | None
    validation_rows: int
    folds: int


def fill_hyperparameters(given: Mapping[str, Number], loss: str, data: Prepared) -> Hyperparameters:
    """Fill what the user left out with the report's setting; no flips without images."""
    if data.image_shape is None and given.get("flip_probability", 0) > 0:
        raise SweepError(
            f"{data.name} has no image shape, so there is nothing to flip: got "
            f"--flip-probability {given['flip_probability']}; leave it out"
        )
    unflipped = {} if data.image_shape is not None else {"flip_probability": 0.0}
    values: dict[str, Any] = {**BASELINES[loss], **unflipped, **given}
    return Hyperparameters(**values)


def train_single(
    hyperparameters: Hyperparameters,
    data: Prepared,
    data_config: DataConfig,
    tracker: Tracker,
    workspace: Workspace,
    *,
    loss: str,
    epochs: int,
    seed: int,
    train_curve: str,
    class_weight: str = CLASS_WEIGHTS[0],
    test_source: Source | None,
    on_epoch: Callable[[int, dict[str, float]], None],
    warned: Callable[[str], None],
) -> SingleResult:
    """Train, log, and evaluate on the test rows if their source is given.

    Where MLflow is away by then, the run waits in the workspace for `sync_trainings`; `warned` is
    told.

    Raises
    ------
    SweepError
        The training diverged; the run says so.
    InterruptedStudyError
        After Ctrl-C or SIGTERM; the run says so.

    """
    name, slots, mirror = f"train-{loss}-seed-{seed}", default_slots(1), Mirror(tracker)
    params: dict[str, Any] = {each: getattr(hyperparameters, each) for each in NAMES}
    config = StudyConfig(
        study=name,
        loss=loss,
        epochs=epochs,
        seed=seed,
        sampler="random",
        pruner="none",
        objective="val-accuracy",
        train_curve=train_curve,
        class_weight=class_weight,
        data=data_config,
        space=Space({each: Choices(name=each, values=(params[each],)) for each in NAMES}),
        slots=slots,
        lanes=default_lanes(len(data.class_names), slots * max(1, data_config.folds)),
    )
    training = Training(
        hyperparameters=hyperparameters,
        epochs=epochs,
        seed=seed,
        row_weights=row_weights(class_weight, data),
        normalise=data.normalise,
    )
    log = TrainingLog.begun(training, data, loss)
    trial, key = TrialRecord(number=0, index=0, params=params, first_pass=0), uuid4().hex

    def state(trial: TrialRecord) -> RunState:
        tags = {"role": "train"}
        return training_state(config, trial, data, key=key, name=name, tags=tags, seed=seed)

    with Interrupts().listening() as interrupts:
        try:
            unfinished = f"the training has not ended; its run in MLflow is {name}"
            trained = train_alone(
                config, trial, log, interrupts, unfinished=unfinished, on_epoch=on_epoch
            )
        except BaseException as error:
            with suppress(SweepError):
                reason = f"{type(error).__name__}: {error}"
                mirror.update(state(log.ended(trial, Status.FAILED, reason=reason)))
            raise
        with scratch_folder() as folder:
            files, held_out = folder / "files", None
            ended = replace(state(trained.write_files(files, title=name)), files=files)
            kept = workspace.pending(TRAININGS) / f"{name}-{key[:8]}" / "files"
            run_id = _log(ended, mirror, kept, warned)
            if trained.classifier is None:
                reason = trained.trial.reason
                raise SweepError(f"the training {reason}; try a smaller --learning-rate")
            if test_source is not None:
                held_out = evaluate_on_test_rows(trained.classifier, test_source)
                ended = replace(ended, metrics={**ended.metrics, **held_out.metrics()})
                run_id = _log(ended, mirror, kept, warned)
    rows = len(data.validation.labels)
    curves, digest = trained.trial.curves, trained.classifier.digest
    return SingleResult(curves, digest, run_id, held_out, rows, data_config.folds)


def _log(state: RunState, mirror: Mirror, kept: Path, warned: Callable[[str], None]) -> str | None:
    """Let MLflow have a run and return its id, or put it by where MLflow is away."""
    try:
        return mirror.update(state)
    except StoreUnreachableError as error:
        is_first = not kept.exists()
        try:
            kept.mkdir(parents=True, exist_ok=True)
            if state.files is not None and state.files.is_dir():
                shutil.copytree(state.files, kept, dirs_exist_ok=True)
            keep_run(replace(state, files=kept))
        except OSError:  # where the store has no room there is none for the run either
            if is_first:
                shutil.rmtree(kept.parent, ignore_errors=True)
            raise error from None
        if is_first:
            warned(f"{error}; the run waits, and `sweep sync` sends it")
        return None


def sync_trainings(workspace: Workspace, uri: str | None = None) -> int:
    """Send MLflow the runs of `train_single` that wait for it; return how many."""
    states = kept_runs(workspace.pending(TRAININGS))
    for state in states:
        send_kept_run(state, Mirror(Tracker(str(state.tags["data"]), workspace, uri=uri)))
    return len(states)
