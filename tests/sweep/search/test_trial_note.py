import pytest

from sweep.cli import main
from sweep.search.trial_note import trial_note
from sweep.search.trials import Status

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
| epochs&emsp; | 6 |
| seed&emsp; | SEED |

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

It trains the trial alone, from pass 3 on, """


@pytest.fixture
def note(make_config, make_trial):
    """Return a function that describes trial 7."""

    def describe(status, reason="", curves=CURVES, **changes):
        trial = make_trial(7, status=status, reason=reason, curves=curves, first_pass=3)
        return trial_note(make_config(**changes), trial)

    return describe


def test_the_note_says_what_was_asked_given_and_found_and_how_to_repeat_it(note, make_config):
    told = note("pruned", "epoch 3: val/accuracy 0.6000, worse than the median")
    assert told.startswith(NOTE.replace("SEED", str(make_config().training_seed)))
    assert "`sweep confirm tiny-softmax`" in told


def test_the_note_says_how_the_trial_stands_and_only_an_ended_one_can_be_reproduced(note):
    for status, word in {
        Status.RUNNING: "Training",
        Status.COMPLETE: "Complete",
        Status.PRUNED: "Pruned",
        Status.FAILED: "Failed",
    }.items():
        told = note(status)
        assert f"**{word}** after 3 of 6 epochs, with" in told
        assert ("sweep reproduce" in told) == (status != Status.RUNNING)


def test_a_trial_without_an_epoch_has_no_table_of_results(note):
    told = note("failed", "diverged in epoch 1", {name: [] for name in CURVES})
    assert "**Failed** after 0 of 6 epochs: diverged in epoch 1." in told
    assert "validation&emsp; |" not in told


def test_a_reason_cannot_break_the_note(note):
    told = note("failed", "ValueError: <b>|\n# no")
    assert "rows): ValueError: &lt;b&gt;\\| # no." in told


def test_the_longest_note_is_one_that_mlflow_takes(note):
    from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

    assert len(note("failed", "<" * 10**5, study="x" * 80)) < MAX_TAG_VAL_LENGTH


def test_the_printed_command_is_one_that_sweep_knows(note):
    (line,) = [each for each in note("complete").splitlines() if "sweep reproduce" in each]
    program, command, study, option, number = line.split()
    assert (program, study, number) == ("sweep", "tiny-softmax", "7")
    options = main.get_command(None, command).params
    assert option in [name for each in options for name in each.opts]
