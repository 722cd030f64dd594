import pytest
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

from sweep.search.study_note import searched, study_note
from sweep.space import Choices, Range


def test_a_note_without_a_complete_trial_says_so_and_where_was_searched(make_study, make_trial):
    trials = [make_trial(values=[], status="failed", reason="diverged in epoch 1")]
    told = study_note(make_study(trials=trials), trials)
    question, result, *_ = told.split("\n\n")
    assert question.startswith("**tiny-softmax**: which setting")
    assert "best on tiny, by val-accuracy after 6 epochs?" in question
    assert result == "Trials: 0 complete, 0 pruned, 1 failed. No trial is complete yet."
    for row in (
        f"| SHA-256 of the rows&emsp; | {'d' * 64} |",
        "| validation rows&emsp; | 15, split seed 0 |",
        "| sampler, pruner&emsp; | tpe, halving |",
        "| trials side by side&emsp; | 8, in panels of 4 |",
        "| learning_rate&emsp; | 0.0001 to 0.1, logarithmic |",
        "| batch_size&emsp; | 50, 100, 200, 400 |",
    ):
        assert f"{row}\n" in told
    assert "sweep reproduce" not in told
    assert "sweep run --study tiny-softmax --loss softmax" in told


def test_the_note_has_the_selected_trial_its_interval_and_the_commands_that_repeat_it(
    make_study, make_trial
):
    trials = [
        make_trial(0, [0.1, 0.8], params={"l2": 0.123456789}),
        make_trial(1, [0.1], status="pruned", reason="rung 1"),
    ]
    study = make_study(trials=trials)
    told = study_note(study, trials, trials[0], "best by val-accuracy, not confirmed")
    _, result, *_ = told.split("\n\n")
    assert result.startswith("**Trial 0**, best by val-accuracy, not confirmed, with a validation ")
    assert "80.0 % [54.8, 93.0] (95 % interval for 15 rows; optimistic: the best of 2)" in result
    assert result.endswith("Trials: 1 complete, 1 pruned, 0 failed.")
    assert "| hyperparameter&emsp; | searched&emsp; | trial 0 |" in told
    assert "| l2&emsp; | 1e-05 to 1, logarithmic&emsp; | 0.123457 |" in told
    assert f"| seed&emsp; | &emsp; | {study.config.training_seed} |" in told
    for command in ("sweep reproduce tiny-softmax", "sweep confirm tiny-softmax", "--trials 2"):
        assert command in told


def test_the_longest_note_is_one_that_mlflow_takes(make_config, make_study, make_trial):
    many = Choices(name="l2", values=tuple(i / 7e5 for i in range(1, 101)))
    space = make_config().space.replace({"l2": many})
    trials = [make_trial(params={"l2": many.values[0]})]
    study = make_study(make_config(study="x" * 80, space=space), trials)
    assert len(study_note(study, trials, trials[0], "confirmed")) < MAX_TAG_VAL_LENGTH


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        (Range(name="l2", low=1e-4, high=0.1, log=True), "0.0001 to 0.1, logarithmic"),
        (Range(name="decay_period", low=1, high=50), "1 to 50"),
        (Choices(name="batch_size", values=(25, 50)), "25, 50"),
        (Choices(name="l2", values=(0.5,)), "0.5, not searched"),
    ],
)
def test_an_axis_is_told_in_words(axis, words):
    assert searched(axis) == words
