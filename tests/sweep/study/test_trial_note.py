from __future__ import annotations

import pytest

from sweep.engine import Seat
from sweep.space import BASELINES
from sweep.study.ending import Ending
from sweep.study.trial_note import trial_note
from sweep_model.hyperparameters import Hyperparameters

SEAT = Seat(seed=17, first_pass=3, slot=1, width=2, micro_batch=25, block=4)
CURVES = {
    "train/loss": [2.0, 1.5, 1.25],
    "train/cost": [2.25, 1.75, 1.5],
    "train/accuracy": [0.25, 0.5, 0.75],
    "val/loss": [2.5, 2.0, 1.75],
    "val/cost": [2.75, 2.25, 2.0],
    "val/accuracy": [0.2, 0.8, 0.6],
}
NOTE = """\
**Trial 7 of tiny-softmax**: how well does a linear classifier with the softmax loss do on tiny in \
the setting below? The study searches for the best val-accuracy after 6 epochs.

**Pruned** after 3 of 6 epochs, with a validation accuracy of 60.0 % [35.7, 80.2] (95 % interval \
for 15 rows): epoch 3: val/accuracy 0.6000, worse than the median.

**Setting**

| hyperparameter&emsp; | value |
| --- | --- |
| l2&emsp; | 0.1 |
| learning_rate&emsp; | 0.01 |
| decay_period&emsp; | 10 |
| batch_size&emsp; | 50 |
| flip_probability&emsp; | 0.2 |
| decay_factor&emsp; | 0.5 |
| epochs&emsp; | 6 |
| seed&emsp; | 17 |

**Measured**

| &emsp; | validation&emsp; | training |
| --- | --- | --- |
| accuracy&emsp; | 60.0 %&emsp; | 75.0 % |
| loss (nats)&emsp; | 1.75&emsp; | 1.25 |
| cost (nats)&emsp; | 2&emsp; | 1.5 |

After epoch 3. The best epoch was 2, with a validation accuracy of 80.0 %; it is the last that \
counts.

**How to reproduce it**

```sh
# exit code 0: it matches; 3: it does not
sweep reproduce tiny-softmax --trial 7
```

It trains the trial again in its own seat (slot 1 of a stack of 2, from pass 3 on) and compares \
every point of its curves and its weights: bit for bit on the same machine with the same versions.

**Keep in mind**

This is one training among many: with another seed it would come out a little otherwise, and \
whichever trial is chosen for its validation result looks better on these rows than it is. \
`sweep confirm tiny-softmax` trains the best on seeds that the search never saw. The test rows \
stay sealed until `sweep test` opens them."""


@pytest.fixture
def note(make_settings):
    """Return a function that describes trial 7."""
    setting = Hyperparameters(**BASELINES["softmax"])

    def describe(ending, reason="", curves=CURVES):
        return trial_note(
            make_settings(), 7, setting, SEAT, curves=curves, ending=ending, reason=reason
        )

    return describe


def test_the_note_says_what_was_asked_given_and_found_and_how_to_repeat_it(note):
    reason = "epoch 3: val/accuracy 0.6000, worse than the median"
    assert note(Ending.PRUNED, reason) == NOTE


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (None, "**Training** after 3 of 6 epochs, with"),
        (Ending.COMPLETE, "**Complete** after 3 of 6 epochs, with"),
        (Ending.DIVERGED, "**Diverged** after 3 of 6 epochs, with"),
        (Ending.ERROR, "**Broken off** after 3 of 6 epochs, with"),
        (Ending.INTERRUPTED, "**Interrupted** after 3 of 6 epochs, with"),
    ],
)
def test_the_note_says_how_the_trial_ended(note, ending, said):
    assert said in note(ending)


@pytest.mark.parametrize("ending", [*Ending, None])
def test_only_a_trial_with_a_result_has_a_command_that_reproduces_it(note, ending):
    reproducible = ending in {Ending.COMPLETE, Ending.PRUNED, Ending.DIVERGED}
    assert ("sweep reproduce" in note(ending)) == reproducible


def test_an_interrupted_trial_is_finished_by_the_same_run(note):
    assert "the same `sweep run` finishes it" in note(Ending.INTERRUPTED, "stopped by SIGTERM")


def test_a_trial_without_an_epoch_has_no_table_of_results(note):
    told = note(Ending.DIVERGED, "diverged in epoch 1", {name: [] for name in CURVES})
    assert "**Diverged** after 0 of 6 epochs: diverged in epoch 1." in told
    assert "validation&emsp; |" not in told


def test_a_reason_cannot_break_the_note(note):
    told = note(Ending.ERROR, "ValueError: <b>|\n# no")
    assert "rows): ValueError: &lt;b&gt;\\| # no." in told


def test_the_longest_note_is_one_that_mlflow_takes(make_settings):
    from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

    setting = Hyperparameters(**BASELINES["softmax"])
    settings = make_settings(study="x" * 80)
    told = trial_note(
        settings, 10**6, setting, SEAT, curves=CURVES, ending=Ending.ERROR, reason="<" * 10**5
    )
    assert len(told) < MAX_TAG_VAL_LENGTH


def test_the_printed_command_is_one_that_sweep_knows(note):
    from sweep.cli import main

    (line,) = [each for each in note(Ending.COMPLETE).splitlines() if "sweep reproduce" in each]
    program, command, study, option, number = line.split()
    assert (program, study, number) == ("sweep", "tiny-softmax", "7")
    options = main.get_command(None, command).params
    assert option in [name for each in options for name in each.opts]
