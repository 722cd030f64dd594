import os
import signal

import pytest

from sweep.data import Source, open_source
from sweep.errors import SweepError
from sweep.study.interrupts import InterruptedStudyError
from sweep.study.material import choose_data
from sweep.study.single import settle_hyperparameters, train_single
from sweep.tracking.tracker import Tracker


@pytest.fixture
def train(workspace, tiny_npz, no_figures):
    """Return a function that trains on the tiny data, and says which run it made."""
    del workspace, no_figures
    source = open_source(str(tiny_npz))
    choice, rows = choose_data(source, val_size=None, split_seed=0, given=str(tiny_npz))

    def train(on_epoch=lambda *_: None, test_source: Source | None = None, **given):
        return train_single(
            settle_hyperparameters(given, "softmax", rows),
            rows,
            choice,
            Tracker("tiny"),
            loss="softmax",
            epochs=3,
            seed=5,
            test_source=test_source,
            on_epoch=on_epoch,
        )

    train.rows = rows
    return train


def only_run():
    (run,) = Tracker("tiny").runs(role="train")
    return run


def test_what_is_left_out_is_the_reports_own_setting_without_flips_of_what_has_no_shape(train):
    settled = settle_hyperparameters({"l2": 0.5}, "softmax", train.rows)
    assert vars(settled) == {
        "l2": 0.5,
        "learning_rate": 0.01,
        "decay_period": 10,
        "batch_size": 50,
        "flip_probability": 0.0,
        "decay_factor": 0.5,
    }


def test_flips_of_what_has_no_shape_are_refused(train):
    with pytest.raises(SweepError) as refused:
        settle_hyperparameters({"flip_probability": 0.5}, "softmax", train.rows)
    assert str(refused.value) == (
        "tiny has no image shape, so there is nothing to flip: got --flip-probability 0.5; "
        "leave it out"
    )


def test_a_training_is_a_finished_run_with_its_curves_setting_and_weights(train):
    epochs = []
    result = train(lambda epoch, values: epochs.append((epoch, values["val/accuracy"])))
    run = only_run()
    assert epochs == list(enumerate(result.curves["val/accuracy"], start=1))
    assert len(epochs) == 3
    assert (run.info.run_id, run.info.status) == (result.run_id, "FINISHED")
    assert run.data.metrics["val/loss"] == result.curves["val/loss"][-1]
    assert run.data.params["learning_rate"] == "0.01"
    assert run.data.tags["sweep.weights_digest"] == result.weights_digest
    assert run.data.tags["mlflow.runName"] == "train-softmax-seed-5"
    assert result.held_out is None


def test_a_divergence_fails_the_run_and_says_what_to_try(train):
    with pytest.raises(SweepError) as failed:
        train(l2=1.0, learning_rate=1e6, batch_size=2)
    assert str(failed.value).startswith("the training diverged in epoch 1: ")
    assert str(failed.value).endswith("; try a smaller --learning-rate")
    assert only_run().info.status == "FAILED"


def test_a_defect_fails_the_run_and_is_not_put_down_to_the_learning_rate(train):
    def broken(*_):
        raise KeyError("gone")

    with pytest.raises(SweepError) as failed:
        train(broken)
    run = only_run()
    assert str(failed.value) == (
        f"the training broke: KeyError: 'gone'; run {run.info.run_id} has what it recorded"
    )
    assert run.info.status == "FAILED"
    assert run.data.tags["sweep.ending"] == "error"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_training_in_order(train, number, code):
    with pytest.raises(InterruptedStudyError, match="stopped by SIG") as stopped:
        train(lambda epoch, _: os.kill(os.getpid(), number) if epoch == 2 else None)
    assert stopped.value.exit_code == code
    run = only_run()
    assert run.info.status == "FAILED"
    assert run.data.tags["sweep.reason"] == f"stopped by {number.name}"
    points = Tracker("tiny").client.get_metric_history(run.info.run_id, "val/loss")
    assert [point.step for point in points] == [1, 2]


@pytest.mark.slow
def test_a_signal_that_comes_after_the_last_epoch_takes_nothing_away(train, monkeypatch):
    monkeypatch.setattr(
        "sweep.study.training_run.log_classifier", lambda *_: os.kill(os.getpid(), signal.SIGINT)
    )
    assert len(train().curves["val/loss"]) == 3
    assert only_run().info.status == "FINISHED"


def test_test_rows_are_opened_only_if_their_source_is_given(train, tiny_npz, monkeypatch):
    source = open_source(str(tiny_npz))
    opened = []
    test = type(source).test
    monkeypatch.setattr(type(source), "test", lambda it: opened.append(it) or test(it))
    assert train().held_out is None
    assert opened == []
    result = train(test_source=source)
    assert result.held_out is not None
    assert (len(opened), result.held_out.rows) == (1, 9)
    run = Tracker("tiny").client.get_run(result.run_id)
    assert run.data.metrics["test/accuracy"] == result.held_out.accuracy
