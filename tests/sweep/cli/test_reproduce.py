import json

import numpy as np

from sweep.analysis.reproduce import Verdict
from sweep.cli.reproduce import describe
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


def test_a_trial_comes_out_bit_for_bit(tiny_study, invoke):
    study = tiny_study(1)
    result = invoke("reproduce", study.name)
    assert result.exit_code == 0
    assert result.stdout == (
        "tiny-softmax trial 0: MATCH (bit for bit): 12 curve points and the weights\n"
    )
    (run,) = Tracker("tiny", study.workspace).runs(role="reproduce")
    assert run.data.tags["sweep.original_trial"] == "0"
    facts = json.loads(invoke("reproduce", study.name, "--trial", "0", "--json").stdout)
    assert list(facts) == KEYS
    assert (facts["trial"], facts["matches"], facts["tolerance"]) == (0, "bit for bit", 1e-3)


def test_a_trial_that_comes_out_otherwise_is_told_from_where_on(recorded_study, tiny_study, invoke):
    from sweep.search.record import TRIAL

    del recorded_study
    study = tiny_study(1)
    storage = study.storage
    trial_id = storage.get_trial_id_from_study_id_trial_number(study.optuna._study_id, 0)
    record = study.optuna.trials[0].user_attrs[TRIAL]
    record["curves"]["val/loss"][1] *= 1.01
    _overwrite(study, trial_id, TRIAL, record)
    result = invoke("reproduce", study.name)
    assert result.exit_code == 3
    first, where, *_ = result.stdout.splitlines()
    assert first == "tiny-softmax trial 0: NO MATCH at a tolerance of 0.001"
    assert where.startswith("  parts at epoch 2: val/loss ")
    assert "trial 0 of 'tiny-softmax' does not come out the same" in result.stderr
    as_json = invoke("reproduce", study.name, "--json")
    assert as_json.exit_code == 3
    assert json.loads(as_json.stdout)["matches"] == "no"


def _overwrite(study, trial_id, key, value):
    """Change what an ended trial has on record, which Optuna refuses."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(study.workspace.optuna_database)) as connection, connection:
        connection.execute(
            "UPDATE trial_user_attributes SET value_json = ? WHERE trial_id = ? AND key = ?",
            (json.dumps(value), trial_id, key),
        )


def test_a_verdict_is_described_in_lines():
    assert describe("s", verdict()) == [
        "s trial 7: NO MATCH at a tolerance of 0.001",
        "  parts at epoch 2: val/loss 0.5 -> 0.505",
        "  largest difference: curves 0.0099, weights 2e-05",
        "  differs: numpy 1.0 -> 2.0",
        "  differs: blas a -> b",
    ]


def test_a_match_within_the_tolerance_is_told_as_one():
    lines = describe("s", verdict(matches="within tolerance", environment_differences=[]))
    assert lines[0] == "s trial 7: MATCH within a tolerance of 0.001"
    assert lines[-1] == "  differs: nothing that was recorded"


def test_weights_that_are_gone_are_said_to_be():
    lines = describe("s", verdict(weights_difference=None))
    assert "weights unknown, the first weights are gone" in lines[2]


def test_changed_data_are_no_match(tiny_study, tiny_npz, tmp_path, invoke):
    path = tmp_path / "mine.npz"
    path.write_bytes(tiny_npz.read_bytes())
    study = tiny_study(1, data=str(path), study_name="moved")
    with np.load(tiny_npz) as kept:
        np.savez(path, X=kept["X"] + 1, y=kept["y"])
    result = invoke("reproduce", study.name)
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"NO MATCH: {path}: the data digest is not the recorded one: " in result.stderr
    assert result.stderr.count("\n") == 1
    assert Tracker("mine", study.workspace).runs(role="reproduce") == []


def test_a_trial_that_has_not_ended_is_refused(tiny_study, invoke):
    from dataclasses import replace

    from sweep.search.trials import Status

    study = tiny_study(1)
    study.begin(replace(study.trial(0), index=1, status=Status.RUNNING), None)
    result = invoke("reproduce", study.name, "--trial", "1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "trial 1 of 'tiny-softmax' has no result to reproduce" in result.stderr
