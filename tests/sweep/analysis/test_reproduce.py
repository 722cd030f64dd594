import json
import signal
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from sweep.analysis import pending_files, reproduce_trial, trial_key
from sweep.analysis.reproduce import compare_curves
from sweep.analysis.runs import kept_runs
from sweep.engine import LocalEngine
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search.lock import InterruptedStudyError
from sweep.search.trials import Status, best_trial
from sweep.search_space import read_space
from sweep_model.classifier import LinearClassifier

ROWS = {"train": 1000, "val": 100}


class Watched(LocalEngine):
    """Remembers in which lanes of which panels each trial trained."""

    places: ClassVar[dict[int, set[tuple[int, int]]]] = {}

    def run_pass(self):
        results = super().run_pass()
        for key, (panel, lane) in self._panels._places.items():
            self.places.setdefault(key, set()).add((id(panel), lane))
        return results


@pytest.fixture
def space():
    """Return a space of one batch size, in which a third of the settings diverge."""
    axes = ["batch_size=5", "learning_rate=0.003,0.03,1e6", "l2=1e-4,1"]
    return read_space("softmax", overrides=axes)


@pytest.fixture
def study(make_study, make_config, space, search, tiny_data):
    """Return a finished study of one trial, without MLflow."""
    safe = space.replace(read_space("softmax", overrides=["learning_rate=0.03"]).axes)
    config = make_config(epochs=3, slots=1, space=safe, sampler="random")
    return search(make_study(config), tiny_data, 1)


@pytest.fixture
def again(tiny_data, tracker):
    """Return a function that reproduces a trial whose record holds the changes."""

    def again(study, number=0, *, tolerance=1e-3, on_epoch=lambda *_: None, **changes):
        trial = replace(study.trial(number), **changes)
        return reproduce_trial(
            study, trial, tiny_data, tracker, tolerance=tolerance, on_epoch=on_epoch
        )

    return again


def test_another_objective_decides_with_balanced_classes_and_comes_out_bit_for_bit(
    make_study, make_config, space, search, tiny_data
):
    config = make_config(
        epochs=3, slots=4, space=space, sampler="random", objective="val-macro-f1", pruner="none"
    )
    weighted = replace(config, study="weighted", class_weight="balanced")
    uneven = replace(tiny_data, training=tiny_data.training.first(40))  # 14, 13 and 13 rows
    plain, study = (search(make_study(each), uneven, 4) for each in (config, weighted))
    best = best_trial(weighted, study.trials())
    curves = [trial.curves["val/macro_f1"] for trial in study.trials()]
    assert best.last("val/macro_f1") == max(curve[-1] for curve in curves if len(curve) == 3)
    assert best.metrics["val_at_end/macro_f1"] == pytest.approx(best.last("val/macro_f1"))
    assert plain.trial(best.number).weights_digest != best.weights_digest
    verdict = reproduce_trial(study, best, uneven, None, tolerance=0)
    assert (verdict.matches, verdict.points) == ("bit for bit", 21)


def test_whatever_became_of_a_trial_it_comes_out_bit_for_bit(
    make_study, make_config, space, search, tiny_data, again
):
    config = make_config(epochs=9, space=space, sampler="random", seed=3)
    study = search(make_study(config), tiny_data, 20, engine_class=Watched)
    trials = study.trials()
    moved = [t for t in trials if len(Watched.places.get(t.number, ())) > 1]
    kinds = {
        "complete": next(t for t in trials if t.status == Status.COMPLETE and t.index),
        "pruned": next(t for t in trials if t.status == Status.PRUNED and t.epochs > 1),
        "failed": next(t for t in trials if t.status == Status.FAILED),
        "begun late": next(t for t in trials if t.first_pass > 2 and t.status != Status.FAILED),
        "failed late": next(t for t in trials if t.first_pass > 0 and t.status == Status.FAILED),
        "moved": next(t for t in moved if t.status == Status.COMPLETE),
    }
    for kind, trial in kinds.items():
        verdict = again(study, trial.number, tolerance=0.0)
        assert verdict.record() == {
            "trial": trial.number,
            "matches": "bit for bit",
            "points": 7 * trial.epochs,
            "parts_at": None,
            "largest_curve_difference": 0.0,
            "weights_difference": 0.0,
            "tolerance": 0.0,
            "environment_differences": [],
        }, kind
        assert verdict.holds


def test_a_trial_that_diverges_in_another_epoch_does_not_match(study, again):
    trial = study.trial(0)
    curves = {name: [*curve, 1.0] for name, curve in trial.curves.items()}
    later = again(study, status=Status.FAILED, curves=curves)
    assert later.matches == "no"
    assert later.parts_at.endswith("train/loss 1.0 -> not there")
    assert json.loads(json.dumps(later.record(), allow_nan=False))["matches"] == "no"


def test_the_reproduction_is_a_run_that_points_to_the_original(study, again, tracker):
    again(study)
    (run,) = tracker.runs(role="reproduce", **study.tags)
    trial = study.trial(0)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.runName"] == "reproduce-trial-000"
    assert run.data.tags["sweep.original_run"] == trial_key(study, 0)
    assert run.data.tags["sweep.reproduce.matches"] == "bit for bit"
    assert run.data.tags["sweep.weights_digest"] == trial.weights_digest
    assert run.data.metrics["val/loss"] == trial.last("val/loss")
    for name, value in trial.metrics.items():
        assert run.data.metrics[name] == value
    assert len(study.trials()) == 1


def test_curves_or_weights_that_are_off_match_within_the_tolerance_or_not_at_all(
    study, again, tracker
):
    told = study.trial(0).curves["val/loss"]

    def off(epoch, factor):
        curves = {name: list(curve) for name, curve in study.trial(0).curves.items()}
        curves["val/loss"][epoch - 1] *= factor
        return curves

    verdict = again(study, curves=off(2, 1 + 1e-5))
    assert (verdict.matches, verdict.holds) == ("within tolerance", True)
    assert verdict.largest_curve_difference == pytest.approx(1e-5, rel=1e-3)
    assert verdict.parts_at.startswith("epoch 2: val/loss ")
    curves = off(3, 1.01)
    verdict = again(study, curves=curves, environment={"numpy": "1.0"})
    assert (verdict.matches, verdict.holds) == ("no", False)
    assert verdict.parts_at == f"epoch 3: val/loss {curves['val/loss'][2]!r} -> {told[2]!r}"
    assert "numpy 1.0 -> " in "; ".join(verdict.environment_differences)
    (failed,) = (run for run in tracker.runs(role="reproduce") if run.info.status == "FAILED")
    assert failed.data.tags["sweep.reproduce.matches"] == "no"

    path = pending_files(study, 0) / "classifier" / "classifier.npz"
    first = LinearClassifier.load(path)
    nudged = replace(first, weights=first.weights * np.float32(1 + 1e-4))
    nudged.save(path)
    verdict = again(study, weights_digest=nudged.digest)
    assert verdict.matches == "within tolerance"
    assert verdict.parts_at == "the weights after the last epoch"
    assert verdict.weights_difference == pytest.approx(1e-4, rel=1e-2)
    assert again(study, weights_digest=nudged.digest, tolerance=1e-5).matches == "no"
    verdict = again(study, weights_digest="0" * 64)  # they are gone
    assert (verdict.matches, verdict.weights_difference) == ("no", None)


def test_without_mlflow_only_weights_that_differ_cannot_be_judged(study, tiny_data):
    trial = study.trial(0)
    whole = reproduce_trial(study, trial, tiny_data, None, tolerance=0.0)
    assert whole.matches == "bit for bit"
    other = replace(trial, weights_digest="0" * 64)
    with pytest.raises(StoreUnreachableError, match="does not answer"):
        reproduce_trial(study, other, tiny_data, None, tolerance=1e-3)
    assert len(kept_runs(study.workspace.pending(study.name))) == 1
    curves = {name: [2 * value for value in curve] for name, curve in trial.curves.items()}
    assert (
        reproduce_trial(
            study, replace(other, curves=curves), tiny_data, None, tolerance=1e-3
        ).matches
        == "no"
    )


def test_a_trial_that_has_not_ended_has_nothing_to_reproduce(study, again):
    with pytest.raises(SweepError, match="has no result to reproduce"):
        again(study, status=Status.RUNNING)


def test_a_second_training_that_is_stopped_or_breaks_leaves_no_verdict(study, again, tracker):
    def broken(*_):
        raise KeyError("gone")

    def stopped(*_):
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyError, match="gone"):
        again(study, on_epoch=broken)
    with pytest.raises(InterruptedStudyError, match="not reproduced") as ended:
        again(study, on_epoch=stopped)
    assert ended.value.exit_code == 143
    assert tracker.runs(role="reproduce") == []


# The comparison of curves


def test_curves_part_at_the_first_epoch_that_differs_whatever_the_order_of_metrics():
    same = {"val/loss": [1.0, 0.5]}
    assert compare_curves(same, same, ROWS) == (None, 0.0)
    parts_at, largest = compare_curves(
        {"train/loss": [4.0, 2.0, 1.0], "val/loss": [4.0, 2.0, 1.0]},
        {"train/loss": [4.0, 2.0, 2.0], "val/loss": [4.0, 1.5, 1.0]},
        ROWS,
    )
    assert parts_at == "epoch 2: val/loss 2.0 -> 1.5"
    assert largest == 0.5


def test_a_point_that_only_one_side_has_is_infinitely_far():
    for recorded, again in (([4.0], [4.0, 2.0]), ([4.0, 2.0], [4.0]), ([4.0, 0.0], [4.0])):
        parts_at, largest = compare_curves({"val/loss": recorded}, {"val/loss": again}, ROWS)
        assert parts_at.startswith("epoch 2: val/loss ")
        assert "not there" in parts_at
        assert largest == float("inf")
    parts_at, _ = compare_curves({"val/loss": [4.0, 2.0]}, {"val/loss": [3.0]}, ROWS)
    assert parts_at == "epoch 1: val/loss 4.0 -> 3.0"


def test_a_difference_from_zero_is_whole():
    assert compare_curves({"val/loss": [0.0]}, {"val/loss": [0.25]}, ROWS)[1] == 1.0


def test_two_rows_that_fall_the_other_way_are_named_but_no_difference():
    for moved, apart in ((1, 0.0), (2, 0.0), (3, 0.005), (-3, 0.005)):
        parts_at, largest = compare_curves(
            {"val/accuracy": [0.5, 0.5]}, {"val/accuracy": [0.5, 0.5 + moved / 100]}, ROWS
        )
        assert parts_at.startswith("epoch 2: val/accuracy 0.5 -> ")
        assert largest == pytest.approx(apart)
