import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sweep.space import BASELINES
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.note import study_note
from sweep.study.opening import begin_study

WHAT = (
    "**tiny-softmax**: a search for the best setting of a linear classifier with the softmax loss "
    "on tiny, by val-accuracy after 6 epochs (tpe sampler, median pruner, seed 0).\n\n"
)
RESULT = """\
Trials: 1 complete, 0 pruned, 0 failed.

Chosen: trial 0, best by val-accuracy, not confirmed: validation accuracy 80.0 % [54.8, 93.0] \
(95 % interval for 15 rows; the best of many trials flatters).

| hyperparameter | value |
|---|---|
| l2 | 0.123457 |
| learning_rate | 0.01 |
| decay_period | 10 |
| batch_size | 50 |
| flip_probability | 0.2 |
| seed | 17 |

Reproduce it, bit for bit:

    sweep reproduce tiny-softmax"""


@pytest.fixture
def study(make_settings):
    return begin_study(make_settings(), optuna.storages.InMemoryStorage())


def test_a_note_without_a_complete_trial_says_so(study):
    study.optuna.add_trial(create_trial(state=TrialState.FAIL))
    assert study_note(study) == (
        WHAT + "Trials: 0 complete, 0 pruned, 1 failed.\n\nNo trial is complete yet."
    )


def test_the_note_has_the_best_trial_its_interval_and_the_command_that_repeats_it(study):
    study.optuna.enqueue_trial({**BASELINES["softmax"], "l2": 0.123456789})
    trial = study.optuna.ask()
    study.settings.space.suggest(trial)
    for key, value in {
        attributes.CURVES: {"val/accuracy": [0.1, 0.8], "val/loss": [2.0, 1.0]},
        attributes.ENDING: str(Ending.COMPLETE),
        attributes.SEAT: {"seed": 17},
    }.items():
        trial.set_user_attr(key, value)
    study.optuna.tell(trial, 0.8)
    assert study_note(study) == WHAT + RESULT
