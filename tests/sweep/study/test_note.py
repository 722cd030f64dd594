import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sweep.space import BASELINES, Choices, Range
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.note import searched, study_note
from sweep.study.opening import begin_study

QUESTION = """\
**tiny-softmax**: which setting of a linear classifier with the softmax loss is best on tiny, by \
val-accuracy after 6 epochs?

"""
SETTING = """

**Setting**

| &emsp; |  |
| --- | --- |
| data&emsp; | tiny |
| SHA-256 of the rows&emsp; | DIGEST |
| validation rows&emsp; | 15, split seed 0 |
| sampler, pruner&emsp; | tpe, median |
| seed&emsp; | 0 |
| trials side by side&emsp; | 2, in stacks of 2 |

""".replace("DIGEST", "d" * 64)
SPACE = """\
| hyperparameter&emsp; | searched |
| --- | --- |
| l2&emsp; | 1e-05 to 1, logarithmic |
| learning_rate&emsp; | 0.0001 to 0.1, logarithmic |
| decay_period&emsp; | 2 to 50, logarithmic |
| batch_size&emsp; | 25, 50, 100, 200, 400 |
| flip_probability&emsp; | 0 to 0.5 |"""
CHOSEN = """\
| hyperparameter&emsp; | searched&emsp; | trial 0 |
| --- | --- | --- |
| l2&emsp; | 1e-05 to 1, logarithmic&emsp; | 0.123457 |
| learning_rate&emsp; | 0.0001 to 0.1, logarithmic&emsp; | 0.01 |
| decay_period&emsp; | 2 to 50, logarithmic&emsp; | 10 |
| batch_size&emsp; | 25, 50, 100, 200, 400&emsp; | 50 |
| flip_probability&emsp; | 0 to 0.5&emsp; | 0.2 |
| seed&emsp; | &emsp; | 17 |"""
RESULT = """\
**Trial 0**, best by val-accuracy, not confirmed, with a validation accuracy of 80.0 % \
[54.8, 93.0] (95 % interval for 15 rows; the best of many trials flatters). Trials: 1 complete, \
0 pruned, 0 failed."""
AGAIN = """

**How to reproduce it**

```sh
"""
WHOLE = """\
# the whole study, in a folder of its own
sweep run --study tiny-softmax --loss softmax --data /data/tiny.npz \\
    --val-size 15 --epochs 6 --trials 1 --slots 2 \\
    --width 2
```"""
OF_CHOSEN = """\
# the chosen trial again; every bit is compared
sweep reproduce tiny-softmax
# the best trials on fresh seeds: which is it?
sweep confirm tiny-softmax
"""


@pytest.fixture
def study(make_settings):
    return begin_study(make_settings(), optuna.storages.InMemoryStorage())


def test_a_note_without_a_complete_trial_says_so(study):
    study.optuna.add_trial(create_trial(state=TrialState.FAIL))
    none = "Trials: 0 complete, 0 pruned, 1 failed. No trial is complete yet."
    assert study_note(study) == QUESTION + none + SETTING + SPACE + AGAIN + WHOLE


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
    assert study_note(study) == QUESTION + RESULT + SETTING + CHOSEN + AGAIN + OF_CHOSEN + WHOLE


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
