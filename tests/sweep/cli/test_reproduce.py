import json

import numpy as np
import pytest

from sweep.cli.reproduce import describe
from sweep.study.reproduce import Verdict
from sweep.tracking.tracker import Tracker

KEYS = [
    "study",
    "trial",
    "matches",
    "points",
    "parts_at",
    "largest_curve_difference",
    "weights_difference",
    "tolerance",
    "environment_differences",
]


def verdict(**changes):
    values = {
        "trial": 7,
        "matches": "no",
        "points": 36,
        "parts_at": "epoch 2: val/loss 0.5 -> 0.505",
        "largest_curve_difference": 0.0099,
        "weights_difference": 2e-5,
        "tolerance": 1e-3,
        "environment_differences": ["numpy 1.0 -> 2.0", "blas a -> b"],
    }
    return Verdict(**(values | changes))


@pytest.fixture
def tiny_trial(tiny_study, no_figures):
    """Return a study with one complete trial on an .npz file."""
    from sweep.study.passes import Budget

    del no_figures
    loop = tiny_study()
    loop.run(Budget(1))
    return loop


def test_the_best_trial_comes_out_bit_for_bit(tiny_trial, invoke):
    said = invoke("reproduce", tiny_trial.study.name)
    assert said.exit_code == 0
    assert said.stdout == (
        "tiny-softmax trial 0: MATCH (bit for bit): 12 curve points and the weights\n"
    )
    (run,) = Tracker("tiny").runs(role="reproduce")
    assert run.data.tags["sweep.original_trial"] == "0"


def test_a_trial_of_ones_choice_as_json_has_stable_keys(tiny_trial, invoke):
    said = invoke("reproduce", tiny_trial.study.name, "--trial", "0", "--json")
    assert said.exit_code == 0
    facts = json.loads(said.stdout)
    assert list(facts) == KEYS
    assert (facts["trial"], facts["matches"], facts["tolerance"]) == (0, "bit for bit", 1e-3)


def test_a_trial_that_comes_out_otherwise_is_told_from_where_on_and_what_differs(
    tiny_trial, invoke, monkeypatch
):
    monkeypatch.setattr("sweep.study.reproduce.reproduce", lambda *_, **__: verdict())
    said = invoke("reproduce", tiny_trial.study.name)
    assert said.exit_code == 3
    assert said.stdout == (
        "tiny-softmax trial 7: NO MATCH at a tolerance of 0.001\n"
        "  parts at epoch 2: val/loss 0.5 -> 0.505\n"
        "  largest difference: curves 0.0099, weights 2e-05\n"
        "  differs: numpy 1.0 -> 2.0\n"
        "  differs: blas a -> b\n"
    )
    assert said.stderr.endswith(": trial 7 of 'tiny-softmax' does not come out the same\n")
    as_json = invoke("reproduce", tiny_trial.study.name, "--json")
    assert as_json.exit_code == 3
    assert json.loads(as_json.stdout)["matches"] == "no"


def test_a_match_within_the_tolerance_is_told_as_one():
    lines = describe("s", verdict(matches="within tolerance", environment_differences=[]))
    assert lines[0] == "s trial 7: MATCH within a tolerance of 0.001"
    assert lines[-1] == "  differs: nothing that was recorded"


def test_weights_that_are_gone_are_said_to_be():
    lines = describe("s", verdict(weights_difference=None))
    assert "weights unknown, the first weights are gone" in lines[2]


def test_changed_data_are_no_match(tiny_trial, tmp_path, invoke):
    study = tiny_trial.study
    moved = tmp_path / "tiny.npz"
    with np.load(study.settings.data.source) as kept:
        np.savez(moved, X=kept["X"] + 1, y=kept["y"])
    record = study.settings.record()
    study.optuna.set_user_attr(
        "sweep:settings", record | {"data": record["data"] | {"source": str(moved)}}
    )
    said = invoke("reproduce", study.name)
    assert (said.exit_code, said.stdout) == (3, "")
    assert f"NO MATCH: {moved}: the data digest is not the recorded one: " in said.stderr
    assert said.stderr.count("\n") == 1
    assert Tracker("tiny").runs(role="reproduce") == []


def test_a_trial_without_a_result_is_refused(recorded_study, invoke, monkeypatch):
    monkeypatch.setattr("sweep.study.material.reopen_data", lambda *_: None)
    monkeypatch.setattr("sweep.tracking.tracker.Tracker", lambda *_, **__: None)
    trial = recorded_study.trials()[1]
    trial._user_attrs = trial.user_attrs | {
        "sweep:ending": "interrupted",
        "sweep:reason": "stopped by SIGTERM",
    }
    monkeypatch.setattr("sweep.study.results.find_trial", lambda *_: trial)
    said = invoke("reproduce", recorded_study.name, "--trial", "1")
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == (
        "sweep: error: trial 1 of 'digits-softmax' has no result to reproduce: stopped by "
        "SIGTERM; choose another from `sweep show digits-softmax`\n"
    )
