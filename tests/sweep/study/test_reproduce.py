import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.interrupts import InterruptedStudyError
from sweep.study.passes import Budget
from sweep.study.reproduce import compare_curves, reproduce
from sweep.study.training_run import log_classifier
from sweep.tracking.run import Run
from sweep_model.linear import LinearClassifier

ROWS = {"train": 1000, "val": 100}


@pytest.fixture
def loop(tiny_study, no_figures):
    del no_figures
    return tiny_study(epochs=3)


@pytest.fixture
def one_trial(loop):
    loop.run(Budget(1))
    return loop


def again(loop, tolerance=1e-3, number=0, **changes):
    """Reproduce a trial whose record holds the changes."""
    trial = loop.study.trials()[number]
    record = {getattr(attributes, name.upper()): value for name, value in changes.items()}
    trial._user_attrs = trial.user_attrs | record
    return reproduce(loop.study, trial, loop.data, loop.tracker, tolerance=tolerance)


def recorded_curves(loop):
    return json.loads(json.dumps(loop.study.trials()[0].user_attrs[attributes.CURVES]))


def test_a_complete_trial_comes_out_bit_for_bit(one_trial):
    verdict = again(one_trial, tolerance=0.0)
    assert verdict.record() == {
        "trial": 0,
        "matches": "bit for bit",
        "points": 18,
        "parts_at": None,
        "largest_curve_difference": 0.0,
        "weights_difference": 0.0,
        "tolerance": 0.0,
        "environment_differences": [],
    }
    assert verdict.holds


def test_a_pruned_trial_is_followed_to_the_epoch_where_it_ended(loop, monkeypatch):
    monkeypatch.setattr(
        "sweep.study.ledger.Ledger.why_prune", lambda *args: "behind" if args[2] == 2 else None
    )
    loop.run(Budget(1))
    assert loop.study.trials()[0].user_attrs[attributes.ENDING] == Ending.PRUNED
    verdict = again(loop)
    assert (verdict.matches, verdict.points) == ("bit for bit", 12)


def test_a_diverged_trial_diverges_again_in_the_same_epoch(tiny_study, no_figures, monkeypatch):
    del no_figures
    monkeypatch.setattr("sweep.study.failures.FAILURES_IN_A_ROW", 1)
    loop = tiny_study(overrides=("learning_rate=1e6", "l2=1", "batch_size=25"), epochs=6)
    with pytest.raises(SweepError, match="1 trials in a row failed"):
        loop.run(Budget(1))
    recorded = loop.study.trials()[0].user_attrs
    assert recorded[attributes.ENDING] == Ending.DIVERGED
    assert again(loop).matches == "bit for bit"
    longer = {name: [*curve, 1.0] for name, curve in recorded[attributes.CURVES].items()}
    later = again(loop, curves=longer)
    assert later.matches == "no"
    assert later.parts_at.endswith("train/loss 1.0 -> not there")


def test_the_reproduction_is_a_run_that_points_to_the_original(one_trial):
    again(one_trial)
    (original,) = one_trial.tracker.runs(role="trial")
    (run,) = one_trial.tracker.runs(role="reproduce")
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.runName"] == "reproduce-trial-000"
    assert run.data.tags["sweep.original_run_id"] == original.info.run_id
    assert run.data.tags["sweep.reproduce.matches"] == "bit for bit"
    assert run.data.params == original.data.params
    assert run.data.metrics == original.data.metrics
    assert len(one_trial.study.trials()) == 1


def test_a_curve_that_is_off_by_less_than_the_tolerance_still_matches(one_trial):
    curves = recorded_curves(one_trial)
    curves["val/loss"][1] *= 1 + 1e-5
    verdict = again(one_trial, curves=curves)
    assert verdict.matches == "within tolerance"
    assert verdict.holds
    assert verdict.largest_curve_difference == pytest.approx(1e-5, rel=1e-3)
    assert verdict.parts_at.startswith("epoch 2: val/loss ")


def test_weights_that_are_off_by_less_than_the_tolerance_still_match(one_trial):
    kept = one_trial.tracker.runs(role="trial")[0]
    path = Path(kept.info.artifact_uri.removeprefix("file://")) / "classifier" / "classifier.npz"
    first = LinearClassifier.load(path)
    nudged = replace(first, weights=first.weights * np.float32(1 + 1e-4))
    other = Run.create(one_trial.tracker, "other", tags={"weights_digest": nudged.digest})
    log_classifier(other, nudged)
    other.flush()

    verdict = again(one_trial, weights_digest=nudged.digest)
    assert verdict.matches == "within tolerance"
    assert verdict.parts_at == "the weights after the last epoch"
    assert verdict.weights_difference == pytest.approx(1e-4, rel=1e-2)
    assert again(one_trial, weights_digest=nudged.digest, tolerance=1e-5).matches == "no"


def test_weights_that_cannot_be_compared_do_not_match(one_trial):
    verdict = again(one_trial, weights_digest="0" * 64)
    assert (verdict.matches, verdict.weights_difference) == ("no", None)


def test_a_curve_that_is_off_by_more_is_no_match_and_the_first_point_is_named(one_trial):
    curves = recorded_curves(one_trial)
    told = curves["val/loss"][2]
    curves["val/loss"][2] *= 1.01
    verdict = again(one_trial, curves=curves, environment={"numpy": "1.0"})
    assert not verdict.holds
    assert verdict.parts_at == f"epoch 3: val/loss {curves['val/loss'][2]!r} -> {told!r}"
    assert "numpy 1.0 -> " in "; ".join(verdict.environment_differences)
    (run,) = one_trial.tracker.runs(role="reproduce")
    assert run.info.status == "FAILED"


def test_a_trial_without_a_result_of_its_own_is_refused(loop, monkeypatch):
    monkeypatch.setattr("sweep.study.failures.FAILURES_IN_A_ROW", 1)

    def broken(*_):
        raise ValueError("a broken row")

    monkeypatch.setattr("sweep.study.trial_life.TrialLife.record", broken)
    with pytest.raises(SweepError, match="1 trials in a row failed"):
        loop.run(Budget(1))
    with pytest.raises(SweepError) as refused:
        again(loop)
    assert str(refused.value) == (
        "trial 0 of 'tiny-softmax' has no result to reproduce: ValueError: a broken row; "
        "choose another from `sweep show tiny-softmax`"
    )


def test_a_defect_in_the_second_training_is_not_called_a_mismatch(one_trial, monkeypatch):
    def broken(*_, **__):
        yield from ()
        raise KeyError("gone")

    monkeypatch.setattr("sweep.study.reproduce.train_alone", broken)
    with pytest.raises(SweepError) as failed:
        again(one_trial)
    assert str(failed.value) == (
        "trial 0 of 'tiny-softmax' broke when run again: KeyError: 'gone'; its run in MLflow has "
        "what it recorded"
    )
    (run,) = one_trial.tracker.runs(role="reproduce")
    assert run.info.status == "FAILED"


@pytest.mark.slow
def test_a_signal_ends_the_second_training_in_order(one_trial, monkeypatch):
    monkeypatch.setattr(
        "sweep.study.training_run.TrainingRun.record",
        lambda *_: os.kill(os.getpid(), signal.SIGTERM),
    )
    with pytest.raises(InterruptedStudyError) as stopped:
        again(one_trial)
    assert str(stopped.value) == "trial 0 was not reproduced: stopped by SIGTERM"
    assert stopped.value.exit_code == 143
    (run,) = one_trial.tracker.runs(role="reproduce")
    assert run.info.status == "FAILED"


def test_equal_curves_part_nowhere():
    assert compare_curves({"val/loss": [1.0, 0.5]}, {"val/loss": [1.0, 0.5]}, ROWS) == (None, 0.0)


def test_the_first_epoch_is_named_whatever_the_order_of_the_metrics():
    parts_at, largest = compare_curves(
        {"train/loss": [4.0, 2.0, 1.0], "val/loss": [4.0, 2.0, 1.0]},
        {"train/loss": [4.0, 2.0, 2.0], "val/loss": [4.0, 1.5, 1.0]},
        ROWS,
    )
    assert parts_at == "epoch 2: val/loss 2.0 -> 1.5"
    assert largest == 0.5


@pytest.mark.parametrize(
    ("recorded", "again"), [([4.0], [4.0, 2.0]), ([4.0, 2.0], [4.0]), ([4.0, 0.0], [4.0])]
)
def test_a_point_that_only_one_side_has_is_infinitely_far(recorded, again):
    parts_at, largest = compare_curves({"val/loss": recorded}, {"val/loss": again}, ROWS)
    assert parts_at.startswith("epoch 2: val/loss ")
    assert "not there" in parts_at
    assert largest == float("inf")


def test_an_earlier_difference_is_named_before_a_missing_point():
    parts_at, _ = compare_curves({"val/loss": [4.0, 2.0]}, {"val/loss": [3.0]}, ROWS)
    assert parts_at == "epoch 1: val/loss 4.0 -> 3.0"


def test_a_difference_from_zero_is_whole():
    assert compare_curves({"val/loss": [0.0]}, {"val/loss": [0.25]}, ROWS)[1] == 1.0


@pytest.mark.parametrize(("moved", "apart"), [(1, 0.0), (2, 0.0), (3, 0.005), (-3, 0.005)])
def test_two_rows_that_fall_the_other_way_are_named_but_no_difference(moved, apart):
    parts_at, largest = compare_curves(
        {"val/accuracy": [0.5, 0.5]}, {"val/accuracy": [0.5, 0.5 + moved / 100]}, ROWS
    )
    assert parts_at.startswith("epoch 2: val/accuracy 0.5 -> ")
    assert largest == pytest.approx(apart)


def test_the_verdict_on_a_missing_point_is_json_that_every_program_reads(one_trial):
    curves = {metric: [*curve, 1.0] for metric, curve in recorded_curves(one_trial).items()}
    verdict = again(one_trial, curves={**curves, "val/loss": curves["val/loss"][:-2]})
    assert json.loads(json.dumps(verdict.record(), allow_nan=False))["matches"] == "no"
