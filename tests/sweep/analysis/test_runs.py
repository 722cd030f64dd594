from dataclasses import replace

import pytest

from sweep.analysis import trial_key, trial_state
from sweep.analysis.runs import StudyMirror, study_state
from sweep.tracking import Mirror


@pytest.fixture
def trials(make_trial):
    """Return a complete, a pruned, a failed and a running trial."""
    return [
        make_trial(0, [0.2, 0.8, 0.5, 0.6, 0.6, 0.7], metrics={"final/train_loss": 0.25}),
        make_trial(1, [0.4], status="pruned", reason="rung 1", first_pass=2),
        make_trial(2, [], status="failed", reason="diverged in epoch 1"),
        make_trial(3, [0.3], status="running", first_pass=6),
    ]


@pytest.fixture
def study(make_study, trials):
    return make_study(trials=trials)


class Background:
    """Takes what a background mirror would send."""

    def __init__(self):
        self.sent = []

    def update(self, states):
        self.sent.append(list(states))


def test_the_run_of_a_trial_says_all_that_is_on_record(study, trials, tiny_data):
    trial = trials[0]
    state = trial_state(study, trial, tiny_data)
    assert state.key == trial_key(study, 0)
    assert (state.name, state.parent) == ("trial-000", study.identity)
    assert (state.status, state.final) == ("FINISHED", True)
    assert (state.began, state.ended, state.times) == (trial.began, trial.ended, trial.times)
    for name, value in trial.params.items():
        assert state.parameters[name] == value
    assert state.parameters["seed"] == study.config.training_seed
    assert (state.parameters["first_pass"], state.parameters["lanes"]) == (0, 4)
    assert state.curves["val/accuracy"] == trial.curves["val/accuracy"]
    assert state.curves["train/learning_rate"] == [0.01] * 6
    assert state.metrics == {
        "final/train_loss": 0.25,
        "final/val_accuracy": trial.last("val/accuracy"),
        "final/val_loss": trial.last("val/loss"),
        "best/val_accuracy": 0.8,
        "best/epoch": 2,
    }
    assert state.tags["weights_digest"] == trial.weights_digest
    assert state.tags["status"] == "complete"
    assert state.tags["study_id"] == study.identity
    assert state.tags["environment.numpy"] == trial.environment["numpy"]
    assert [each["context"] for each in state.inputs] == ["training", "validation"]
    assert state.files == study.workspace.pending("tiny-softmax") / "trial-000"
    assert state.note.startswith("**Trial 0 of tiny-softmax**")


def test_a_run_ends_as_its_trial_does(study, trials, tiny_data):
    states = [trial_state(study, trial, tiny_data) for trial in trials]
    assert [state.status for state in states] == ["FINISHED", "KILLED", "FAILED", "RUNNING"]
    assert [state.final for state in states] == [True, True, True, False]
    assert states[1].tags["reason"] == "rung 1"
    assert "reason" not in states[0].tags
    assert ["final/val_loss" in state.metrics for state in states] == [True, False, False, False]
    assert states[3].files is None
    assert "best/epoch" not in states[3].metrics


def test_an_ended_trial_is_said_to_be_of_the_versions_it_trained_with(study, trials, tiny_data):
    old = replace(trials[0], environment={"numpy": "1.0"})
    assert trial_state(study, old, tiny_data).tags["environment.numpy"] == "1.0"


def test_the_run_of_a_study_says_what_it_searches(study, trials, tiny_data):
    state = study_state(study, trials, tiny_data, note="a note")
    assert (state.key, state.name, state.note) == (study.identity, "tiny-softmax", "a note")
    assert state.parameters == {
        "loss": "softmax",
        "epochs": 6,
        "seed": 0,
        "sampler": "tpe",
        "pruner": "halving",
        "objective": "val-accuracy",
        "train_curve": "sample",
        "class_weight": "none",
        "val_size": 15,
        "split_seed": 0,
        "normalise": "standardise",
        "slots": 8,
        "lanes": 4,
        "sampler.multivariate": True,
        "sampler.constant_liar": False,
        "sampler.n_startup_trials": 8,
        "space.l2": "1e-05:1:log",
        "space.learning_rate": "0.0001:10:log",
        "space.decay_period": "2:50:log",
        "space.batch_size": "50,100,200,400",
        "space.flip_probability": "0:0.5",
    }
    assert state.tags["data_digest"] == "d" * 64
    assert (state.began, state.ended, state.final) == (trials[0].began, None, False)


def test_the_best_so_far_stands_against_the_finished_trials(make_study, make_trial, tiny_data):
    trials = [
        make_trial(0, [0.1, 0.5], first_pass=0, losses=[1.0, 0.9]),
        make_trial(1, [0.9], status="pruned", first_pass=0),
        make_trial(2, [0.1, 0.4], first_pass=1),
        make_trial(3, [0.1, 0.7], first_pass=2, losses=[1.0, 0.2]),
    ]
    study = make_study(trials=trials)
    state = study_state(study, trials, tiny_data, note="")
    assert state.curves == {
        "best/val_accuracy": [None, 0.5, 0.5, 0.7],
        "best/val_loss": [None, 0.9, 0.9, 0.2],
    }
    ended = [trials[number].ended for number in (1, 0, 2, 3)]
    assert state.times == ended


def test_the_best_so_far_only_grows_also_where_a_queued_trial_has_the_first_number(
    make_study, make_trial, tiny_data
):
    study = make_study()
    ends = [make_trial(1, [0.5], index=0), make_trial(0, [0.7], index=1), make_trial(2, [0.6])]
    histories = [
        study_state(study, ends[: n + 1], tiny_data, note="").curves["best/val_accuracy"]
        for n in range(3)
    ]
    assert histories == [[0.5], [0.5, 0.7], [0.5, 0.7, 0.7]]


def test_a_start_hands_over_what_the_store_lacks(study, tiny_data):
    background = Background()
    mirror = StudyMirror(study, tiny_data, background)
    mirror.begin([trial_key(study, 1)])
    keys = [state.key for states in background.sent for state in states]
    assert keys == [study.identity, trial_key(study, 0), trial_key(study, 2)]


def test_a_start_removes_the_files_that_the_store_has(study, tiny_data):
    folders = [study.workspace.pending(study.name) / f"trial-{n:03d}" for n in (0, 1)]
    for folder in folders:
        folder.mkdir(parents=True)
    StudyMirror(study, tiny_data, Background()).begin({trial_key(study, 0)})
    assert [folder.exists() for folder in folders] == [False, True]


def test_the_run_of_the_study_follows_when_a_trial_ends(study, trials, tiny_data):
    background = Background()
    mirror = StudyMirror(study, tiny_data, background)
    mirror.update([trials[3]])
    assert [state.key for state in background.sent[-1]] == [trial_key(study, 3)]
    mirror.update([replace(trials[3], status=trials[0].status, curves=trials[0].curves, ended=1)])
    assert [state.key for state in background.sent[-1]] == [trial_key(study, 3), study.identity]


def test_a_study_has_one_run_however_often_it_is_opened(study, trials, tiny_data, tracker):
    state = study_state(study, trials, tiny_data, note="first")
    first = Mirror(tracker).update(replace(state, status="FINISHED", ended=state.began + 1))
    again = Mirror(tracker).update(study_state(study, trials, tiny_data, note="second"))
    (run,) = tracker.runs(role="study", **study.tags)
    assert first == again == run.info.run_id
    assert run.data.tags["mlflow.note.content"] == "second"
    assert run.data.metrics["best/val_accuracy"] == 0.7
