import json
import math

import pytest

from sweep.analysis.confirmation import BASELINE, Confirmation, Confirmed
from sweep.cli.confirm import print_confirmation
from sweep.tracking.champion import champion_run, model_name
from sweep.tracking.tracker import Tracker

OPTIONS = ("--top", "3", "--seeds", "5")


@pytest.fixture
def study(tiny_study):
    """Enter a folder with a study of four complete trials; return its record."""
    return tiny_study(4)


def test_a_confirmation_is_told_in_a_table_and_selects_its_winner(study, invoke):
    result = invoke("confirm", study.name, *OPTIONS)
    assert (result.exit_code, result.stderr) == (0, "")
    title, *rest = result.stdout.splitlines()
    assert title.startswith("tiny-softmax: val/accuracy on 5 fresh seeds, 2 epochs each")
    (winner,) = (line.split()[0] for line in rest if line.rstrip().endswith("  winner"))
    assert f"selected: trial {winner}, val/accuracy " in result.stdout
    assert "noise floor: " in result.stdout
    assert "next: sweep test tiny-softmax | " in result.stdout
    best = invoke("best", study.name).stdout
    assert best.startswith(f"selected: trial {winner}, confirmed on 5 fresh seeds: val/accuracy ")
    assert "sweep confirm" not in best


def test_as_json_it_has_stable_keys_and_asked_again_it_says_the_same(study, invoke):
    results = [invoke("confirm", study.name, *OPTIONS, "--json") for _ in range(2)]
    assert results[0].stdout == results[1].stdout
    told = json.loads(results[0].stdout)
    assert list(told) == [
        *("study", "metric", "direction", "epochs", "seeds", "finished", "trials", "baseline"),
        *("selected_trial", "noise_floor"),
    ]
    first = told["trials"][0]
    assert first["trial"] == told["selected_trial"]
    assert first["behind"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert set(first) == {
        *("trial", "search", "values", "confirmed_mean", "standard_error", "optimism", "behind")
    }
    assert told["baseline"]["optimism"] is None
    (run,) = Tracker("tiny", study.workspace).runs(role="confirm")
    assert run.info.status == "FINISHED"


def test_the_winner_becomes_the_registered_champion(run_tiny, in_workspace, invoke):
    study = run_tiny(4).study
    told = json.loads(invoke("confirm", study.name, "--seeds", "2", "--json").stdout)
    tracker = Tracker("tiny", in_workspace)
    (run,) = tracker.runs(role="trial", **study.tags, trial=told["selected_trial"])
    assert champion_run(tracker, model_name(tracker, study.tags)) == run.info.run_id
    assert told["noise_floor"] is None  # two seeds say too little


@pytest.fixture
def told(recorded_study, capsys):
    """Return a function that tells a made-up confirmation of settings as `sweep confirm` would."""

    def tell(trials, baseline):
        confirmation = Confirmation(
            metric="val/accuracy",
            direction="maximize",
            epochs=3,
            seeds=[1, 2],
            finished=4,
            trials=[Confirmed(trial=n, search=s, values=values) for n, s, values in trials],
            baseline=Confirmed(trial=BASELINE, search=math.nan, values=baseline),
        )
        print_confirmation(recorded_study, confirmation)
        return capsys.readouterr().out

    return tell


def test_a_setting_that_diverged_has_no_numbers_but_says_so(told):
    text = told([(2, 0.9, [0.8, 0.9]), (0, 0.8, [0.7, math.nan])], [math.nan] * 2)
    assert "diverged on 1" in text
    assert "diverged on 2" in text
    assert "nan" not in text


def test_a_trial_that_was_pruned_says_at_which_epoch_in_place_of_a_value(told):
    text = told([(3, math.nan, [0.8, 0.9]), (2, 0.9, [0.7, 0.8])], [0.5, 0.6])
    assert "3 pruned at epoch 1" in text
    assert "the search pruned it at epoch 1" in text
    assert "nan" not in text
    assert "next: sweep test " in text


def test_a_baseline_that_beats_them_all_is_said_to(told):
    trials = [(2, 0.9, [0.8, 0.8])]
    assert "the search has found nothing better" in told(trials, [0.9, 0.9])
    assert "nothing better" not in told(trials, [0.7, 0.7])


def test_an_optimism_of_nothing_has_no_minus(told):
    assert "-0.0000" not in told([(2, 0.1 + 0.2, [0.3, 0.3 + 2e-9])], [0.1, 0.2])
