import json
import math
import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import comparisons
import numpy as np
import pytest

from sweep.analysis import Verdict
from sweep.cli.evaluate import describe, print_confirmation
from sweep.curves import METRICS
from sweep.search import CONFIRMING, TEST_OPENINGS, Status
from sweep.search.record import TRIAL
from sweep.tracking import Tracker, champion_run, model_name

AWAY = ("--tracking-uri", "http://127.0.0.1:9")


# confirm


def test_a_confirmation_is_told_in_a_table_and_selects_its_winner(tiny_study, invoke):
    study = tiny_study(4)
    options = ("confirm", study.name, "--top", "3", "--seeds", "5")
    result = invoke(*options)
    assert (result.exit_code, result.stderr) == (0, "")
    title, *rest = result.stdout.splitlines()
    assert title.startswith("tiny-softmax: val/accuracy on 5 fresh seeds, 2 epochs each")
    (winner,) = (line.split()[0] for line in rest if line.rstrip().endswith("  winner"))
    for words in (f"selected: trial {winner}, val/accuracy ", "noise floor: "):
        assert words in result.stdout
    assert rest[-1] == "next: sweep test tiny-softmax"
    assert invoke("best", study.name).stdout.startswith(f"best: trial {winner}, val/accuracy ")
    told = json.loads(invoke(*options, "--json").stdout)  # nothing is trained again
    assert list(told) == [
        *("study", "metric", "direction", "epochs", "seeds", "finished", "trials", "baseline"),
        *("selected_trial", "noise_floor"),
    ]
    first = told["trials"][0]
    assert first["trial"] == told["selected_trial"] == int(winner)
    assert first["behind"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert set(first) == {
        *("trial", "search", "values", "confirmed_mean", "standard_error", "optimism", "behind")
    }
    assert told["baseline"]["optimism"] is None


def test_the_winner_becomes_the_registered_champion(run_tiny, in_workspace, invoke):
    study = run_tiny(4).study
    told = json.loads(invoke("confirm", study.name, "--seeds", "2", "--json").stdout)
    tracker = Tracker("tiny", in_workspace)
    (run,) = tracker.runs(role="trial", **study.tags, trial=told["selected_trial"])
    assert champion_run(tracker, model_name(tracker, study.tags)) == run.info.run_id
    assert told["noise_floor"] is None  # two seeds say too little


def test_what_a_confirmation_says_of_odd_cases(recorded_study, capsys):
    diverged, pruned = [math.nan] * 2, (3, math.nan, [0.8, 0.9])
    for trials, baseline, there, absent in (
        ([(2, 0.9, [0.8, 0.9]), (0, 0.8, [0.7, math.nan])], diverged, "diverged on 1", "nan"),
        ([(2, 0.9, [0.8, 0.9])], diverged, "diverged on 2", "nan"),
        ([pruned, (2, 0.9, [0.7, 0.8])], [0.5, 0.6], "3 pruned at epoch 1", "nan"),
        ([pruned], [0.5, 0.6], "the search pruned it at epoch 1", "nan"),
        ([(2, 0.9, [0.8, 0.8])], [0.9, 0.9], "the search has found nothing better", "nan"),
        ([(2, 0.9, [0.8, 0.8])], [0.7, 0.7], "next: sweep test ", "nothing better"),
        ([(2, 0.9, [0.8, 0.8])], [0.7, 0.7], "winner", "≈ not distinguishable"),
        ([(2, 0.9, [0.8, 0.6])], [0.7, 0.7], "≈ not distinguishable", "nothing better"),
        ([(2, 0.1 + 0.2, [0.3, 0.3 + 2e-9])], [0.1, 0.2], "winner", "-0.0000"),
    ):
        confirmation = comparisons.confirmation(*trials, baseline=baseline, epochs=3)
        print_confirmation(recorded_study, confirmation)
        text = capsys.readouterr().out
        assert there in text
        assert absent not in text


def test_confirm_and_reproduce_do_without_mlflow_and_sync_tells_it_later(tiny_study, invoke):
    study = tiny_study(2)
    confirmed = invoke("confirm", study.name, "--top", "1", "--seeds", "2", "--json", *AWAY)
    again = invoke("reproduce", study.name, "--json", *AWAY)
    for result in (confirmed, again):
        assert result.exit_code == 0
        assert "`sweep sync tiny-softmax`" in result.stderr
    assert json.loads(again.stdout)["matches"] == "bit for bit"
    tracker = Tracker(study.config.data.name, study.workspace)
    roles = ("confirm", "reproduce")
    assert [tracker.runs(role=role) for role in roles] == [[], []]
    assert invoke("sync", study.name).stdout == "tiny-softmax: 4 runs were sent\n"  # trials, too
    runs = [run for role in roles for run in tracker.runs(role=role)]
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert runs[1].data.tags["sweep.reproduce.matches"] == "bit for bit"
    assert champion_run(tracker, study.name) is not None
    assert invoke("sync", study.name).stdout == "tiny-softmax: no runs were sent\n"


# compare


@pytest.fixture
def compared(tiny_study):
    """Enter a folder with the studies `soft` and `sigmoid` of three trials each."""
    return [tiny_study(loss=loss, study=s) for loss, s in (("softmax", "soft"), ("bce", "sigmoid"))]


def test_the_answer_stands_on_top_and_all_it_rests_on_below(compared, invoke):
    assert invoke("confirm", "soft", "--top", 1, "--seeds", 2).exit_code == 0
    result = invoke("compare", "soft", "sigmoid")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert re.match(r".*\w+ \(\d+\.\d %\).* on 9 test rows, one training of each: ", lines[0])
    headings = [line.split() for line in lines if line.startswith(("study ", "pair "))]
    assert headings[0] == [
        "study",
        "trial",
        "test",
        "validation",
        "training",
        "gap",
        *headings[0][6:],
    ]
    assert headings[1][:2] == ["pair", "difference"]
    assert any(re.match(r"soft trial \d on 2 fresh seeds: \d\.\d{4} \+-", line) for line in lines)
    assert any(line.startswith("note: not confirmed on fresh seeds: sigmoid;") for line in lines)
    assert lines[-1] == "next: sweep report soft sigmoid"
    told = json.loads(invoke("compare", "soft", "sigmoid", "--json").stdout)
    assert list(told) == [
        *("sentence", "run_key", "made", "data", "data_digest", "split_digest", "test_digest"),
        *("test_rows", "class_names", "metric", "direction", "answers", "differences", "caveats"),
    ]
    assert [(each["study"], each["openings"]) for each in told["answers"]] == [
        ("soft", 2),
        ("sigmoid", 2),
    ]
    (run,) = Tracker("tiny", compared[0].workspace).runs(run_key=told["run_key"])
    assert run.data.tags["sweep.sentence"] == told["sentence"]


def test_three_studies_say_how_the_pairs_were_corrected(compared, invoke, tiny_study):
    del compared
    tiny_study(2, study="third", seed=3)
    shown = invoke("compare", "soft", "sigmoid", "third").stdout
    for words in (
        "has the highest accuracy of 3 on 9 test rows",
        "(intervals by Bonferroni, p by Holm, for all pairs together)",
        "note: the searches differ (soft -> third): finished trials 3 -> 2",
    ):
        assert words in shown


def test_what_cannot_be_compared_is_refused_with_what_differs(compared, invoke, tiny_study):
    other = tiny_study(1, study="other", split_seed=1)
    for names, code, words in (
        ((), 2, "Missing argument"),
        (("soft",), 1, "two or more different studies"),
        (("soft", "soft"), 1, "two or more different studies"),
        (("soft", "nowhere"), 1, "no study is named 'nowhere' here"),
        (("soft", "sigmoid", "other"), 1, "studies 'soft' and 'other' are of different rows (soft"),
    ):
        result = invoke("compare", *names)
        assert (result.exit_code, result.stdout) == (code, "")
        assert words in result.stderr
    assert re.search(r": split digest \w{12} -> \w{12}; ", result.stderr)
    for study in (*compared, other):
        assert study.attribute(TEST_OPENINGS) is None


# reproduce


def test_a_trial_comes_out_bit_for_bit(tiny_study, invoke):
    study = tiny_study(1)
    result = invoke("reproduce", study.name)
    assert (result.exit_code, result.stdout) == (
        0,
        "tiny-softmax trial 0: MATCH (bit for bit): 12 curve points and the weights\n",
    )
    (run,) = Tracker("tiny", study.workspace).runs(role="reproduce")
    assert run.data.tags["sweep.original_trial"] == "0"
    facts = json.loads(invoke("reproduce", study.name, "--trial", "0", "--json").stdout)
    assert list(facts) == [
        *("study", "trial", "matches", "points", "parts_at", "largest_curve_difference"),
        *("weights_difference", "tolerance", "environment_differences"),
    ]
    assert (facts["trial"], facts["matches"], facts["tolerance"]) == (0, "bit for bit", 1e-3)


def test_a_trial_that_comes_out_otherwise_is_told_from_where_on(tiny_study, invoke):
    study = tiny_study(1)
    record = study.optuna.trials[0].user_attrs[TRIAL]
    record["curves"]["val/loss"][1] *= 1.01
    with closing(sqlite3.connect(study.workspace.optuna_database)) as connection, connection:
        connection.execute(
            "UPDATE trial_user_attributes SET value_json = ? WHERE key = ?",
            (json.dumps(record), TRIAL),
        )
    result = invoke("reproduce", study.name)
    assert result.exit_code == 3
    first, where, *_ = result.stdout.splitlines()
    assert first == "tiny-softmax trial 0: NO MATCH at a tolerance of 0.001"
    assert where.startswith("  parts at epoch 2: val/loss ")
    assert "trial 0 of 'tiny-softmax' does not come out the same" in result.stderr
    as_json = invoke("reproduce", study.name, "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)["matches"]) == (3, "no")


def test_a_verdict_is_described_in_lines():
    verdict = Verdict(
        trial=7,
        matches="no",
        points=36,
        parts_at="epoch 2: val/loss 0.5 -> 0.505",
        largest_curve_difference=0.0099,
        weights_difference=2e-5,
        tolerance=1e-3,
        environment_differences=["numpy 1.0 -> 2.0", "blas a -> b"],
    )
    assert describe("s", verdict) == [
        "s trial 7: NO MATCH at a tolerance of 0.001",
        "  parts at epoch 2: val/loss 0.5 -> 0.505",
        "  largest difference: curves 0.0099, weights 2e-05",
        "  differs: numpy 1.0 -> 2.0",
        "  differs: blas a -> b",
    ]
    near = replace(verdict, matches="within tolerance", environment_differences=[])
    lines = describe("s", replace(near, weights_difference=None))
    assert lines[0] == "s trial 7: MATCH within a tolerance of 0.001"
    assert "weights unknown, the first weights are gone" in lines[2]
    assert lines[-1] == "  differs: nothing that was recorded"


def test_rows_are_found_where_they_lie_now_and_others_are_no_match(
    tiny_study, tiny_npz, tmp_path, invoke
):
    path, elsewhere = tmp_path / "mine.npz", tmp_path / "moved.npz"
    path.write_bytes(tiny_npz.read_bytes())
    study = tiny_study(1, data=str(path), study="moved")
    path.rename(elsewhere)
    for command in ("reproduce", "test", "confirm"):
        assert f"{path}: there is no such file" in invoke(command, study.name).stderr
    for command in ("reproduce", "test"):
        assert invoke(command, study.name, "--data", elsewhere).exit_code == 0
    with np.load(tiny_npz) as file:
        np.savez(elsewhere, X=file["X"] + 1, y=file["y"])
    result = invoke("reproduce", study.name, "--data", elsewhere)
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"NO MATCH: {elsewhere}: the data digest is not the recorded one: " in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_trial_that_is_not_there_or_has_not_ended_is_refused(tiny_study, invoke):
    study = tiny_study(1)
    study.begin(replace(study.trial(0), index=1, status=Status.RUNNING), None)
    for number, words in (
        ("1", "trial 1 of 'tiny-softmax' has no result to reproduce"),
        ("9", "no trial 9 of its own: it has 2; `sweep show tiny-softmax` lists"),
        (str(10**30), "it has 2"),
    ):
        result = invoke("reproduce", study.name, "--trial", number)
        assert (result.exit_code, result.stdout) == (1, "")
        assert words in result.stderr


# test


def test_each_look_at_the_test_rows_is_told_and_counted(tiny_study, invoke):
    study = tiny_study(1)
    first = invoke("test", study.name)
    accuracy, *further, count = first.stdout.splitlines()
    assert re.fullmatch(
        r"tiny-softmax trial 0 \(best by val-accuracy, not confirmed\): test accuracy "
        r"\d+\.\d % \[\d+\.\d, \d+\.\d\] \(95 % interval, 9 rows\)",
        accuracy,
    )
    for line, metric in zip(further, ("balanced accuracy", "macro F1", "log loss"), strict=True):
        assert re.fullmatch(rf"(also:|     ) {metric} [\d.]+( %)? \[[\d.]+, [\d.]+\]", line)
    assert count == "The test rows have been opened once for this study."
    assert invoke("test", study.name).stdout.splitlines() == [
        *(accuracy, *further),
        "The test rows have been opened 2 times for this study.",
    ]


def test_a_winner_that_the_search_pruned_is_tested_with_the_weights_of_all_epochs(
    tiny_study, invoke
):
    study = tiny_study(9, pruner="halving", epochs=3, seed=1)
    early = [trial.number for trial in study.trials() if trial.status == Status.PRUNED][-1]
    values = {str(number): 0.1 for number in range(9)} | {str(early): 0.99}
    seeds = [study.config.fresh_seed(number) for number in range(2)]
    study.set_attribute(CONFIRMING, {str(seed): values for seed in seeds})
    told = json.loads(invoke("confirm", study.name, "--top", 9, "--seeds", 2, "--json").stdout)
    assert told["selected_trial"] == early
    tested = json.loads(invoke("test", study.name, "--json").stdout)
    assert (tested["trial"], tested["openings"], tested["rows"]) == (early, 1, 9)
    reproduced = json.loads(invoke("reproduce", study.name, "--json").stdout)
    assert (reproduced["trial"], reproduced["matches"]) == (early, "bit for bit")
    assert reproduced["points"] == 3 * (len(METRICS) + 1)  # not only up to where it was pruned


def test_a_look_as_json_has_stable_keys_and_stands_on_the_studys_run(in_copied_study, invoke):
    # The fixture lets the digits' test rows raise when a search opens them.
    told = json.loads(invoke("test", "digits-softmax", "--json").stdout)
    assert list(told) == [
        *("study", "trial", "refit", "openings", "accuracy", "low", "high", "rows", "per_class"),
        *("further", "draws"),
    ]
    assert (told["openings"], told["rows"]) == (1, 360)
    assert set(told["per_class"]) == set("0123456789")
    (run,) = Tracker("digits", in_copied_study).runs(role="study")
    assert run.data.metrics["test/accuracy"] == told["accuracy"]
