import signal

import pytest

from sweep.analysis import fill_hyperparameters, sync_trainings, train_single
from sweep.data import choose_data, open_source
from sweep.errors import SweepError
from sweep.search.lock import InterruptedStudyError


@pytest.fixture(scope="module")
def chosen(tiny_npz):
    """Return the config of the tiny data and its rows."""
    source = open_source(str(tiny_npz))
    return choose_data(source, val_size=18, split_seed=0, mirrored=True)


@pytest.fixture
def train(chosen, tracker, workspace):
    """Return a function that trains on the tiny data."""
    config, rows = chosen

    def train(on_epoch=lambda *_: None, test_source=None, warned=print, **given):
        return train_single(
            fill_hyperparameters(given, "softmax", rows),
            rows,
            config,
            tracker,
            workspace,
            loss="softmax",
            epochs=3,
            seed=5,
            train_curve="sample",
            test_source=test_source,
            on_epoch=on_epoch,
            warned=warned,
        )

    return train


@pytest.fixture
def only_run(tracker):
    def find():
        (run,) = tracker.runs(role="train")
        return run

    return find


def test_what_is_left_out_is_the_reports_own_setting_without_flips_of_what_has_no_shape(chosen):
    assert vars(fill_hyperparameters({"l2": 0.5}, "softmax", chosen[1])) == {
        "l2": 0.5,
        "learning_rate": 0.01,
        "decay_period": 10,
        "batch_size": 50,
        "flip_probability": 0.0,
        "decay_factor": 0.5,
    }
    with pytest.raises(SweepError, match=r"nothing to flip: got --flip-probability 0\.5; leave"):
        fill_hyperparameters({"flip_probability": 0.5}, "softmax", chosen[1])


def test_a_training_is_a_finished_run_with_its_curves_setting_and_weights(train, only_run):
    epochs = []
    result = train(lambda epoch, values: epochs.append((epoch, values["val/accuracy"])))
    run = only_run()
    assert epochs == list(enumerate(result.curves["val/accuracy"], start=1))
    assert len(epochs) == 3
    assert (run.info.run_id, run.info.status) == (result.run_id, "FINISHED")
    assert run.data.metrics["val/loss"] == result.curves["val/loss"][-1]
    assert "final/train_loss" in run.data.metrics
    assert run.data.params["learning_rate"] == "0.01"
    assert run.data.tags["sweep.weights_digest"] == result.weights_digest
    assert run.data.tags["mlflow.runName"] == "train-softmax-seed-5"
    assert result.held_out is None


def test_a_divergence_fails_the_run_and_says_what_to_try(train, only_run):
    with pytest.raises(SweepError, match=r"the training diverged in epoch .*; try a smaller --lea"):
        train(l2=1.0, learning_rate=1e6, batch_size=2)
    run = only_run()
    assert (run.info.status, run.data.tags["sweep.status"]) == ("FAILED", "failed")
    assert run.data.tags["sweep.reason"].startswith("diverged in epoch ")


def test_a_training_that_is_stopped_or_breaks_is_a_failed_run_as_far_as_it_came(
    train, only_run, tracker
):
    def broken(*_):
        raise KeyError("gone")

    def stopping(number):
        return lambda epoch, _: epoch == 2 and signal.raise_signal(number)

    for on_epoch, error, code, said in (
        (stopping(signal.SIGINT), InterruptedStudyError, 130, "stopped by SIGINT"),
        (stopping(signal.SIGTERM), InterruptedStudyError, 143, "stopped by SIGTERM"),
        (broken, KeyError, None, "KeyError: 'gone'"),
    ):
        with pytest.raises(error) as raised:
            train(on_epoch)
        assert getattr(raised.value, "exit_code", None) == code
        run = only_run()
        assert run.info.status == "FAILED"
        assert said in run.data.tags["sweep.reason"]
        points = tracker.client.get_metric_history(run.info.run_id, "val/loss")
        assert [point.step for point in points] == ([1] if on_epoch is broken else [1, 2])
        tracker.client.delete_run(run.info.run_id)


def test_a_signal_that_comes_after_the_last_epoch_takes_nothing_away(train, only_run):
    result = train(lambda epoch, _: epoch == 3 and signal.raise_signal(signal.SIGINT))
    assert len(result.curves["val/loss"]) == 3
    assert only_run().info.status == "FINISHED"


def test_test_rows_are_opened_only_if_their_source_is_given(train, tiny_npz, tracker):
    class Counted:
        opened = 0

        def test(self):
            self.opened += 1
            return open_source(str(tiny_npz)).test()

    source = Counted()
    result = train(test_source=source)
    assert (source.opened, result.held_out.rows) == (1, 9)
    run = tracker.client.get_run(result.run_id)
    assert run.data.metrics["test/accuracy"] == result.held_out.accuracy


def test_a_training_that_mlflow_misses_at_its_end_waits_for_sync(
    train, only_run, tracker, workspace, tiny_npz
):
    class Away:
        def __getattr__(self, name):
            raise ConnectionRefusedError(111, "Connection refused")

    client, warnings = tracker.client, []

    def leave(epoch, _):
        tracker.client = Away() if epoch == 3 else client

    result = train(leave, open_source(str(tiny_npz)), warnings.append)
    tracker.client = client
    assert result.run_id is None
    assert ["`sweep sync` sends it" in line for line in warnings] == [True]
    assert (sync_trainings(workspace), sync_trainings(workspace)) == (1, 0)
    run = only_run()
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test/accuracy"] == result.held_out.accuracy
    assert "classifier" in {item.path for item in client.list_artifacts(run.info.run_id)}
