from pathlib import Path

import numpy as np
import pytest
from mlflow.utils.validation import _validate_metric_name

from sweep.data import Prepared
from sweep.study.ending import Ending
from sweep.study.image_log import PAUSE_SECONDS
from sweep.study.training_run import WHOLE, TrainingRun, log_curves, metric_name, parameters
from sweep.timings import Timings
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.linear import LinearClassifier
from sweep_model.losses import SOFTMAX
from sweep_model.results import EpochResult, Evaluation, Rows, SlotState
from sweep_model.standardise import Standardiser

GIVEN = {
    "l2": 0.1,
    "learning_rate": 0.01,
    "decay_period": 10,
    "batch_size": 50,
    "flip_probability": 0.2,
}


class Recorder:
    """Stands in for an MLflow run."""

    def __init__(self):
        self.tracker = self
        self.timings = Timings()
        self.points, self.images, self.figures, self.set_tags = [], {}, {}, {}
        self.classifier, self.given, self.data_sets = None, {}, []

    def metrics(self, values, step=0):
        self.points += [(name, step, value) for name, value in values.items()]

    def weights_image(self, image, step):
        self.images[step] = image

    def figure(self, figure, path):
        self.figures[path] = figure

    def file(self, path, folder):
        assert (Path(path).name, folder) == ("classifier.npz", "classifier")
        self.classifier = LinearClassifier.load(path)

    def tags(self, values):
        assert WHOLE not in self.set_tags, "a run is called whole last of all"
        self.set_tags |= values

    def parameters(self, values):
        self.given |= values

    def inputs(self, values):
        self.data_sets += values

    def last(self, name):
        return [(step, value) for metric, step, value in self.points if metric == name][-1]


@pytest.fixture
def run():
    return Recorder()


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose only number is the time."""
    times = [0.0]
    monkeypatch.setattr("sweep.study.image_log.time.monotonic", lambda: times[0])
    return times


def prepared(image_shape=(1, 2, 2)):
    rows = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], np.float32)
    labels = np.array([0, 1, 1, 0])
    return Prepared(
        name="squares",
        training=Rows(rows, labels),
        validation=Rows(rows, labels),
        standardiser=Standardiser.fit(rows),
        class_names=("flat/bed", "tall", "unseen"),
        image_shape=image_shape,
        data_digest="d" * 64,
        split_digest="s" * 64,
    )


def result(epoch, accuracy=0.5, size=1.0):
    weights = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [-1, -1, -1, -1]], np.float32)
    return EpochResult(
        epoch=epoch,
        learning_rate=0.25,
        train=Evaluation(loss=1.0, cost=1.5, accuracy=0.75),
        val=Evaluation(loss=2.0, cost=2.5, accuracy=accuracy),
        weights=size * weights,
        bias=np.zeros(3, np.float32),
    )


def test_parameters_have_log10_twins_because_the_axes_of_the_ui_are_linear():
    values = parameters(Hyperparameters(**GIVEN), loss="bce", epochs=7, seed=3)
    assert values == GIVEN | {
        "loss": "bce",
        "epochs": 7,
        "seed": 3,
        "decay_factor": 0.5,
        "log10_l2": -1.0,
        "log10_learning_rate": -2.0,
    }


def test_no_l2_has_no_logarithm():
    values = parameters(Hyperparameters(**GIVEN | {"l2": 0.0}), loss="bce", epochs=7, seed=3)
    assert "log10_l2" not in values


def test_every_epoch_is_recorded_under_its_own_step(run):
    training = TrainingRun(run, prepared(), "softmax")
    first = training.record(result(1, 0.25))
    training.record(result(2, 0.5))
    assert first == {
        "train/loss": 1.0,
        "train/cost": 1.5,
        "train/accuracy": 0.75,
        "val/loss": 2.0,
        "val/cost": 2.5,
        "val/accuracy": 0.25,
    }
    assert training.curves["val/accuracy"] == [0.25, 0.5]
    assert [point for point in run.points if point[0] == "val/accuracy"] == [
        ("val/accuracy", 1, 0.25),
        ("val/accuracy", 2, 0.5),
    ]
    assert ("train/learning_rate", 1, 0.25) in run.points


@pytest.fixture
def begun(run, make_settings):
    """Return a function that begins a training and logs what it is given."""

    def begin(**shape):
        given = parameters(Hyperparameters(**GIVEN), loss="softmax", epochs=7, seed=3)
        return TrainingRun.begun(run, prepared(**shape), make_settings().data, given)

    return begin


def test_what_a_training_is_given_and_runs_on_is_told_at_its_beginning(run, begun):
    training = begun()
    assert (training.loss, training.epoch) == ("softmax", 0)
    assert run.given["seed"] == 3
    assert run.set_tags["data_digest"] == "d" * 64
    assert [each["context"] for each in run.data_sets] == ["training", "validation"]
    assert training.images.state()["steps"].tolist() == [0]
    assert run.images == {}
    assert run.points == []


def shown_live(training, epochs, clock, pace):
    """Train on for these epochs, each so many seconds long, and tell what is shown meanwhile."""
    for epoch in epochs:
        clock[0] += pace
        training.record(result(epoch, epoch / 10, size=epoch))
    return sorted(training.run.images)


@pytest.mark.parametrize(
    ("pace", "pace_of_parts"), [(0, 0), (PAUSE_SECONDS, 0), (0, PAUSE_SECONDS)]
)
def test_a_training_that_goes_on_from_its_state_ends_as_if_it_had_never_stopped(
    begun, make_settings, clock, pace, pace_of_parts
):
    seen = {0: [1], PAUSE_SECONDS: [1, 3]}
    whole = begun()
    assert shown_live(whole, range(1, 8), clock, pace) == seen[pace]
    whole.log_ending(Ending.COMPLETE, "", title="t")
    run = whole.run

    given = {"loss": "softmax", "seed": 3}
    before = TrainingRun.begun(Recorder(), whole.data, make_settings().data, given)
    assert shown_live(before, range(1, 4), clock, pace_of_parts) == seen[pace_of_parts]
    slot = SlotState(first_pass=0, weights=None, bias=before.bias)
    rest = Recorder()
    after = TrainingRun.continued(rest, whole.data, "softmax", before.state(slot), before.weights)
    assert after.epoch == 3
    assert after.classifier().digest == before.classifier().digest
    assert shown_live(after, range(4, 8), clock, pace_of_parts) == []
    after.log_ending(Ending.COMPLETE, "", title="t")
    assert after.curves == whole.curves
    assert before.run.points + rest.points == run.points
    assert rest.set_tags == {name: run.set_tags[name] for name in rest.set_tags}
    assert sorted(rest.images) == [0, 1, 3, 7]  # all on the scale that is known at the end
    assert rest.images == run.images
    assert all(rest.images[epoch] != image for epoch, image in before.run.images.items())


def test_recorded_curves_are_logged_with_the_rates_that_were_trained_with(run):
    setting = Hyperparameters(**GIVEN | {"decay_period": 1})
    log_curves(run, {"val/loss": [2.0, 1.0]}, setting)
    assert run.points == [
        ("val/loss", 1, 2.0),
        ("val/loss", 2, 1.0),
        ("train/learning_rate", 1, 0.01),
        ("train/learning_rate", 2, 0.005),
    ]


def test_of_recorded_curves_only_what_the_store_lacks_is_logged_if_so_asked(run):
    run.steps = lambda metric: {1} if metric == "val/loss" else {1, 2}
    log_curves(run, {"val/loss": [2.0, 1.0]}, Hyperparameters(**GIVEN), missing=True)
    assert run.points == [("val/loss", 2, 1.0)]


def test_weights_are_drawn_before_training_at_chosen_epochs_and_at_the_end(run, begun, clock):
    training = begun()
    assert shown_live(training, range(1, 8), clock, PAUSE_SECONDS) == [1, 3]
    training.log_ending(Ending.COMPLETE, "", title="t")
    assert sorted(run.images) == [0, 1, 3, 7]
    assert len({image.size for image in run.images.values()}) == 1


def test_without_an_image_shape_no_weights_are_drawn(run, begun):
    training = begun(image_shape=None)
    assert training.state(None).images == {}
    training.record(result(1))
    training.log_ending(Ending.COMPLETE, "", title="t")
    assert run.images == {}
    assert list(run.figures) == ["figures/curves.png"]


def test_the_end_keeps_the_best_epoch_the_figures_and_the_classifier(run):
    training = TrainingRun(run, prepared(), "softmax")
    for epoch, accuracy in enumerate((0.25, 0.75, 0.75, 0.5), start=1):
        training.record(result(epoch, accuracy))
    training.log_ending(Ending.PRUNED, "fell behind", title="t")
    assert run.last("best/val_accuracy") == (0, 0.75)
    assert run.last("best/epoch") == (0, 2)
    assert set(run.figures) == {"figures/curves.png", "figures/class_weights.png"}
    kept = training.classifier()
    assert kept is not None
    assert run.classifier.digest == kept.digest
    assert run.classifier.loss is SOFTMAX
    assert run.set_tags == {
        "ending": "pruned",
        "reason": "fell behind",
        "weights_digest": kept.digest,
        WHOLE: True,
    }


def test_accuracy_is_told_for_each_class_that_has_validation_rows(run):
    training = TrainingRun(run, prepared(), "softmax")
    training.record(result(1))
    training.log_ending(Ending.COMPLETE, "", title="t")
    told = {name: value for name, _, value in run.points if name.startswith("val_accuracy_of/")}
    assert told == {"val_accuracy_of/flat_bed": 1.0, "val_accuracy_of/tall": 0.5}


def test_a_training_without_an_epoch_leaves_its_ending_alone(run):
    training = TrainingRun(run, prepared(), "softmax")
    training.log_ending(Ending.DIVERGED, "diverged in epoch 1", title="t")
    assert training.classifier() is None
    assert (run.points, run.figures, run.classifier) == ([], {}, None)
    assert run.set_tags == {
        "ending": "diverged",
        "reason": "diverged in epoch 1",
        WHOLE: True,
    }


@pytest.mark.parametrize(
    ("text", "name"),
    [("cat", "cat"), ("a/b:c", "a_b_c"), ("Katze (groß)", "Katze _groß_"), ("x" * 99, "x" * 80)],
)
def test_a_metric_name_holds_only_what_mlflow_takes(text, name):
    assert metric_name(text) == name
    _validate_metric_name(name)
