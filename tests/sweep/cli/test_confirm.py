import json

import pytest

from sweep.study.confirmation import Confirmation, Confirmed
from sweep.study.passes import Budget
from sweep.tracking.champion import champion_run
from sweep.tracking.tracker import Tracker


@pytest.fixture
def study(tiny_study, no_figures, monkeypatch):
    """Return the name of a study with four complete trials."""
    del no_figures
    monkeypatch.setattr("sweep.study.confirm_run.confirmation_figure", lambda *_, **__: None)
    loop = tiny_study(sampler="random", pruner="none", epochs=2)
    loop.run(Budget(4))
    return loop.study.name


def test_a_confirmation_is_told_in_a_table_and_chooses_its_winner(study, invoke):
    said = invoke("confirm", study, "--top", "3", "--seeds", "5")
    assert said.exit_code == 0
    title, *rest = said.stdout.splitlines()
    assert title.startswith("tiny-softmax: val/accuracy on 5 fresh seeds, 2 epochs each")
    table = [line.split() for line in rest if line.rstrip().endswith("winner")]
    winner = table[-1][0]
    assert f"chosen: trial {winner}, val/accuracy " in said.stdout
    assert "noise floor: " in said.stdout
    assert "only `sweep test tiny-softmax` can tell" in said.stdout
    best = invoke("best", study).stdout
    assert best.startswith(f"chosen: trial {winner}, confirmed on 5 fresh seeds: val/accuracy ")
    assert "sweep confirm" not in best


def test_as_json_it_has_stable_keys_and_stands_on_a_run_of_its_own(study, invoke):
    told = json.loads(invoke("confirm", study, "--top", "2", "--seeds", "3", "--json").stdout)
    assert list(told) == [
        "study",
        "metric",
        "direction",
        "epochs",
        "seeds",
        "finished",
        "trials",
        "baseline",
        "chosen_trial",
        "noise_floor",
    ]
    assert told["noise_floor"] is None  # three seeds say too little
    first = told["trials"][0]
    assert first["trial"] == told["chosen_trial"]
    assert first["behind"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    (run,) = Tracker("tiny").runs(role="confirm")
    assert run.info.status == "FINISHED"
    points = Tracker("tiny").client.get_metric_history(
        run.info.run_id, f"confirmed/trial-{first['trial']:03d}"
    )
    assert [point.value for point in points] == first["values"]


def test_asked_again_it_trains_nothing_and_logs_nothing_twice(study, invoke):
    first = invoke("confirm", study, "--top", "2", "--seeds", "2")
    assert invoke("confirm", study, "--top", "2", "--seeds", "2").stdout == first.stdout
    assert len(Tracker("tiny").runs(role="confirm")) == 1


def test_the_winner_becomes_the_registered_champion(study, invoke):
    told = json.loads(invoke("confirm", study, "--seeds", "2", "--json").stdout)
    tracker = Tracker("tiny")
    (run,) = tracker.runs(role="trial", study=study, trial=told["chosen_trial"])
    assert champion_run(tracker, study) == run.info.run_id


@pytest.fixture
def told(monkeypatch, invoke, study):
    """Return a function that tells a made-up confirmation as `sweep confirm` would."""

    def tell(*values, baseline):
        trials = [Confirmed(trial=i, search=0.9, values=v) for i, v in enumerate(values)]
        confirmation = Confirmation(
            metric="val/accuracy",
            direction="maximize",
            epochs=2,
            seeds=[1, 2],
            finished=4,
            trials=trials,
            baseline=Confirmed(trial=-1, search=float("nan"), values=baseline),
        )
        monkeypatch.setattr("sweep.study.confirm.Confirming.run", lambda *_: confirmation)
        monkeypatch.setattr("sweep.study.confirm_run.log_confirmation", lambda *_: None)
        return invoke("confirm", study).stdout

    return tell


def test_a_setting_that_diverged_has_no_numbers_but_says_so(told):
    text = told([0.8, 0.9], [0.7, float("nan")], baseline=[float("nan")] * 2)
    assert "diverged on 1" in text
    assert "diverged on 2" in text
    assert "nan" not in text


def test_a_baseline_that_beats_them_all_is_said_to(told):
    assert "the search has found nothing better" in told([0.8, 0.8], baseline=[0.9, 0.9])
    assert "nothing better" not in told([0.8, 0.8], baseline=[0.7, 0.7])


def test_show_marks_what_the_noise_floor_cannot_tell_from_the_chosen_trial(recorded_study, invoke):
    confirmation = Confirmation(
        metric="val/accuracy",
        direction="maximize",
        epochs=3,
        seeds=[1, 2, 3, 4, 5],
        finished=3,
        trials=[Confirmed(trial=2, search=0.9, values=[0.8] * 5)],
        baseline=Confirmed(trial=-1, search=float("nan"), values=[0.79, 0.81, 0.83, 0.79, 0.8]),
    )
    recorded_study.optuna.set_user_attr("sweep:confirmation", confirmation.record())
    shown = invoke("show", recorded_study.name).stdout
    assert "*2 complete" in shown
    assert "\N{ALMOST EQUAL TO}" not in shown  # trial 0 is 0.1 behind, the floor is 0.066
    assert ", confirmed on 5 fresh seeds\n" in shown
    wide = confirmation.record() | {
        "baseline": {"trial": -1, "search": None, "values": [0.7, 0.8, 0.9, 0.7, 0.8]}
    }
    recorded_study.optuna.set_user_attr("sweep:confirmation", wide)
    shown = invoke("show", recorded_study.name).stdout
    assert "\N{ALMOST EQUAL TO}0 complete" in shown
    assert "\N{ALMOST EQUAL TO} nearer to it than the noise floor" in shown
