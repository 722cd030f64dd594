import io
from errno import ENOENT, ENOSPC

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name
from PIL import Image

from sweep.data import Prepared
from sweep.plots import colour_limit, weight_values, weights_montage
from sweep.search import training_log
from sweep.search.training_log import TrainingLog, WeightImages, draw_files, metric_name, parameters
from sweep_model.classifier import LinearClassifier
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import SOFTMAX
from sweep_model.panels import LaneState
from sweep_model.preprocessing import MirrorBasis, Standardiser
from sweep_model.training import EpochResult, Evaluation, Rows, Training

GIVEN = {
    "l2": 0.1,
    "learning_rate": 0.01,
    "decay_period": 10,
    "batch_size": 50,
    "flip_probability": 0.2,
}
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")  # no top 5 of three classes
WEIGHTS = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [-1, -1, -1, -1]], np.float32)


def prepared(image_shape=(1, 2, 2), names=("flat/bed", "tall", "unseen")):
    rows = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], np.float32)
    labels = np.array([0, 1, 1, 0])
    return Prepared(
        name="squares",
        training=Rows(rows, labels),
        validation=Rows(rows, labels),
        sample=4,
        standardiser=Standardiser.fit(rows),
        class_names=names,
        image_shape=image_shape,
        data_digest="d" * 64,
        split_digest="s" * 64,
    )


@pytest.fixture
def begin():
    """Return a function that begins the log of a training of seven epochs."""

    def begin(epochs=7, **data):
        training = Training(hyperparameters=Hyperparameters(**GIVEN), epochs=epochs, seed=3)
        return TrainingLog.begun(training, prepared(**data), "softmax")

    return begin


def state(size=1.0, image_shape=(1, 2, 2)):
    basis = MirrorBasis(4, image_shape)
    return LaneState(basis.turn(size * WEIGHTS), np.zeros(3, np.float32))


def result(epoch, accuracy=0.5, **final):
    return EpochResult(
        epoch=epoch,
        learning_rate=0.25,
        evaluations={
            "train": Evaluation(loss=1.0, cost=1.5, accuracy=0.75),
            "val": Evaluation(loss=2.0, cost=2.5, accuracy=accuracy),
            **final,
        },
    )


def train(log, epochs):
    for epoch in epochs:
        log.record(result(epoch, epoch / 10))
        if log.wants_image(epoch):
            log.take_image(state(epoch), epoch)


def written(log, folder, *, figures=True):
    trouble = log.write_files(folder, log.classifier(state()), title="t", figures=figures)
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    return trouble, files


def steps(files):
    images = [name for name in files if name.startswith("images/") and name.endswith(".png")]
    return sorted(int(name.split("+")[2]) for name in images)


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
    without = parameters(Hyperparameters(**GIVEN | {"l2": 0.0}), loss="bce", epochs=7, seed=3)
    assert "log10_l2" not in without


def test_every_epoch_is_kept_with_the_time_at_which_it_ended(begin):
    log = begin()
    log.record(result(1, 0.25))
    log.record(result(2, 0.5))
    assert log.curves == {
        "train/loss": [1.0, 1.0],
        "train/cost": [1.5, 1.5],
        "train/accuracy": [0.75, 0.75],
        "val/loss": [2.0, 2.0],
        "val/cost": [2.5, 2.5],
        "val/accuracy": [0.25, 0.5],
    }
    assert log.epoch == len(log.times) == 2
    assert log.metrics == {}


def test_the_last_epoch_is_measured_on_all_training_rows(begin):
    log, whole = begin(epochs=1), Evaluation(loss=3.0, cost=4.0, accuracy=0.5)
    log.record(result(1, final=whole))
    assert log.metrics == {
        "final/train_loss": 3.0,
        "final/train_cost": 4.0,
        "final/train_accuracy": 0.5,
    }
    curve_of_all = begin(epochs=1)
    curve_of_all.record(result(1))
    assert curve_of_all.metrics["final/train_loss"] == 1.0


def test_weights_are_kept_before_training_at_some_epochs_and_at_the_end(begin, tmp_path):
    log = begin()
    train(log, range(1, 8))
    assert log.images.steps == [0, 1, 3]
    trouble, files = written(log, tmp_path / "files")
    assert trouble == ""
    assert steps(files) == [0, 1, 3, 7]
    others = [name for name in files if not name.startswith("images/")]
    assert others == [
        "classifier/classifier.npz",
        "figures/class_weights.png",
        "figures/curves.png",
    ]
    sizes = set()
    for path in (tmp_path / "files/images").glob("*.png"):
        with Image.open(path) as image:
            sizes.add(image.size)
    assert len(sizes) == 1


def test_what_a_full_disk_does_not_take_is_drawn_later(begin, tmp_path, monkeypatch):
    log, files = begin(), tmp_path / "files"
    train(log, range(1, 8))
    for number, waits in ((ENOSPC, True), (ENOENT, False)):  # or a font is missing

        def fail(*_, number=number):
            raise OSError(number, "no")

        with monkeypatch.context() as patch:
            patch.setattr("sweep.tracking.write_figure", fail)
            if waits:
                with pytest.raises(OSError, match="no"):
                    written(log, files)
            else:
                assert "no" in written(log, files)[0]
        assert draw_files(files) == ""
        assert (files / "figures/curves.png").exists() == waits


def test_a_picture_is_the_same_whenever_it_is_drawn(begin, tmp_path):
    log, folders = begin(), [tmp_path / "now", tmp_path / "later"]
    train(log, range(1, 8))
    _, names = written(log, folders[0])
    log.write_files(folders[1], log.classifier(state()), title="t", figures=True, draw=False)
    assert not (folders[1] / "figures").exists()
    draw_files(folders[1])
    for name in names:
        now, later = ((folder / name).read_bytes() for folder in folders)
        assert now == later, name


def test_of_a_pruned_trial_the_last_image_is_kept_also_for_the_last_epoch_and_no_figure(
    begin, tmp_path
):
    log = begin()
    train(log, range(1, 3))
    _, files = written(log, tmp_path / "files", figures=False)
    assert steps(files) == [2, 7]
    images = [path.read_bytes() for path in (tmp_path / "files/images").glob("*.png")]
    assert images[0] == images[1]
    assert [name for name in files if not name.startswith("images/")] == [
        "classifier/classifier.npz"
    ]


def test_without_an_image_shape_no_weights_are_drawn(begin, tmp_path):
    log = begin(image_shape=None)
    log.record(result(1))
    assert not log.wants_image(1)
    classifier = log.classifier(state(image_shape=None))
    log.write_files(tmp_path / "files", classifier, title="t", figures=True)
    assert [path.name for path in (tmp_path / "files").iterdir()] != []
    assert not (tmp_path / "files/images").exists()
    assert [path.name for path in (tmp_path / "files/figures").iterdir()] == ["curves.png"]


def test_the_classifier_is_that_of_the_weights_in_pixel_order(begin, tmp_path):
    log = begin()
    log.record(result(1))
    classifier = log.classifier(state())
    np.testing.assert_allclose(classifier.weights, WEIGHTS, atol=1e-6)
    written(log, tmp_path / "files")
    kept = LinearClassifier.load(tmp_path / "files/classifier/classifier.npz")
    assert kept.digest == classifier.digest
    assert kept.loss is SOFTMAX


def test_accuracy_is_told_for_each_class_that_has_validation_rows(begin):
    log = begin(epochs=1)
    log.record(result(1))
    log.measure(log.classifier(state()))
    of_classes = {name: log.metrics[name] for name in log.metrics if "accuracy_of" in name}
    assert of_classes == {"val_accuracy_of/flat_bed": 1.0, "val_accuracy_of/tall": 0.5}


def test_what_ends_is_measured_by_every_metric_with_intervals(begin):
    log = begin(epochs=2)
    log.record(result(1))
    log.measure(log.classifier(state()))  # as one that is pruned
    names = [f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")]
    assert sorted(log.metrics) == sorted(f"val_at_end/{name}" for name in names)
    for name in METRICS:
        value, low, high = (log.metrics[f"val_at_end/{name}{end}"] for end in ("", "_low", "_high"))
        assert low <= value <= high


def test_the_accuracies_of_very_many_classes_are_not_recorded_one_by_one(begin, monkeypatch):
    monkeypatch.setattr(training_log, "MANY_CLASSES", 2)
    log = begin(epochs=1)
    log.record(result(1))
    log.measure(log.classifier(state()))
    assert not any(name.startswith("val_accuracy_of/") for name in log.metrics)


def test_a_figure_that_fails_is_told_and_everything_else_is_kept(begin, tmp_path):
    log = begin()
    log.record(result(1))
    log.curves["val/loss"] = "broken"
    trouble, files = written(log, tmp_path / "files")
    assert trouble
    assert "classifier/classifier.npz" in files
    assert steps(files) == [0, 1]


def test_what_an_earlier_attempt_left_is_replaced_as_a_whole(begin, tmp_path):
    log, folder = begin(), tmp_path / "files"
    log.record(result(1))
    for place in (folder, tmp_path / ".files.partial"):
        place.mkdir()
        (place / "left.txt").touch()
    _, files = written(log, folder)
    assert "left.txt" not in files
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_a_classifier_that_cannot_be_written_is_the_callers_to_say(begin, tmp_path):
    log = begin()
    log.record(result(1))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        written(log, tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("text", "name"),
    [("cat", "cat"), ("a/b:c", "a_b_c"), ("Katze (groß)", "Katze _groß_"), ("x" * 99, "x" * 80)],
)
def test_a_metric_name_holds_only_what_mlflow_takes(text, name):
    assert metric_name(text) == name
    _validate_metric_name(name)


NAMES = ("ant", "bee", "cat")
SHAPES = {"grey": (1, 4, 4), "colour": (3, 4, 4), "five channels": (5, 4, 4)}


def weights(step, shape=SHAPES["colour"], size=1.0):
    rng = np.random.default_rng(step)
    return (size * rng.standard_normal((len(NAMES), int(np.prod(shape))))).astype(np.float32)


def limit_of(values, shape=SHAPES["colour"]):
    return colour_limit(weight_values(values, shape))


def drawn(picture):
    return np.asarray(picture.convert("RGB")).astype(int)


def montage(values, shape, *, limit, names=NAMES):
    """Return the montage of these weights on a known scale."""
    return drawn(weights_montage(weight_values(values, shape), names, limit=limit))


def training(sizes, shape=SHAPES["colour"]):
    """Return the images of a training whose weights have these sizes."""
    images = WeightImages(NAMES, shape)
    for step, size in enumerate(sizes):
        images.take(weights(step, shape, size), step)
    return images


def through_a_file(state):
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as kept:
        return dict(kept)


def test_the_limit_grows_with_the_weights_and_never_shrinks():
    images = WeightImages(NAMES, SHAPES["colour"])
    assert images.limit is None
    limits = []
    for step, size in enumerate([1.0, 2.0, 5.0, 3.0], start=1):
        images.take(weights(step, size=size), step)
        limits.append(images.limit)
    own = [limit_of(weights(step, size=size)) for step, size in ((1, 1.0), (2, 2.0), (3, 5.0))]
    assert limits == [*own, own[-1]]


def test_the_weights_before_training_count_only_until_there_are_others():
    images = training([9.0])
    assert images.limit == limit_of(weights(0, size=9.0))
    images.take(weights(1), 1)
    assert images.limit == limit_of(weights(1))
    assert images.steps == [0, 1]


def test_an_image_is_the_montage_on_the_known_scale_but_for_a_step_or_two():
    for name, steps in (("grey", 1), ("colour", 2), ("five channels", 1)):
        shape = SHAPES[name]
        images = training([1.0, 2.0, 4.0], shape)
        for step, size in ((1, 2.0), (2, 4.0)):
            values = weight_values(weights(step, shape, size), shape)
            known = weights_montage(values, NAMES, limit=images.limit)
            off = np.asarray(images.draw(step)).astype(int) - np.asarray(known)
            assert 0 < np.abs(off).max() <= steps  # places in a palette, or of 255


def test_an_image_has_a_palette_where_its_pixels_are_single_weights():
    modes = [training([1.0, 1.0], shape).draw(1).mode for shape in SHAPES.values()]
    assert modes == ["P", "RGB", "P"]


def test_what_is_drawn_at_the_end_looks_as_if_the_last_limit_had_been_known():
    for shape in SHAPES.values():
        sizes = [1.0, 1.1, 3.0, 10.0]
        images = training(sizes, shape)
        for step in images.steps:
            known = montage(weights(step, shape, sizes[step]), shape, limit=images.limit)
            off = drawn(images.draw(step)) - known
            assert np.abs(off).max() <= 4  # steps of a palette are larger


@given(st.floats(1e-30, 1e30), st.floats(1.0, 100.0))
def test_a_colour_is_off_by_two_steps_at_most_where_the_limit_has_grown(unit, growth):
    shape = SHAPES["colour"]
    first = np.clip(weights(1, size=unit), -2 * unit, 2 * unit)  # nothing beyond twice the limit
    images = WeightImages(NAMES, shape)
    images.take(first, 1)
    images.take(growth * first, 2)
    known = montage(first, shape, limit=images.limit)
    assert np.abs(drawn(images.draw(1)) - known).max() <= 2


def test_a_weight_far_beyond_the_limit_is_drawn_as_twice_the_limit():
    images = WeightImages(("one",), (1, 1, 1000))
    extreme = np.ones((1, 1000), np.float32)
    extreme[0, 0] = 1000
    images.take(extreme, 1)
    images.take(np.full((1, 1000), 4.0, np.float32), 2)
    extreme[0, 0] = 2
    known = montage(extreme, (1, 1, 1000), limit=4.0, names=("one",))
    assert np.abs(drawn(images.draw(1)) - known).max() <= 2


def test_a_training_that_goes_on_draws_the_same_pixels_as_an_unbroken_one():
    sizes = [1.0, 0.5, 2.0, 1.5]
    for shape in SHAPES.values():
        unbroken = training(sizes, shape)
        for broken_after in range(5):
            first = training(sizes[:broken_after], shape)
            restored = WeightImages.restored(NAMES, shape, through_a_file(first.state()))
            assert (restored.limit, restored.steps) == (first.limit, first.steps)
            for step in range(broken_after, 4):
                restored.take(weights(step, shape, sizes[step]), step)
            assert (restored.limit, restored.steps) == (unbroken.limit, [0, 1, 2, 3])
            for step in range(4):
                np.testing.assert_array_equal(
                    drawn(restored.draw(step)), drawn(unbroken.draw(step))
                )


def test_the_state_is_of_plain_arrays_with_one_byte_for_each_weight():
    state = training([1.0, 2.0]).state()
    assert {name: (array.dtype, array.shape) for name, array in state.items()} == {
        "steps": (np.int64, (2,)),
        "codes": (np.int8, (2, 3, 4, 4, 3)),
        "limits": (np.float64, (2,)),
    }


def test_weight_zero_has_the_colour_of_zero():
    images = WeightImages(NAMES, SHAPES["grey"])
    images.take(np.zeros((3, 16), np.float32), 1)
    known = montage(np.zeros((3, 16)), SHAPES["grey"], limit=1.0)
    np.testing.assert_array_equal(drawn(images.draw(1)), known)
    images.take(np.full((3, 16), 7.0, np.float32), 2)
    np.testing.assert_array_equal(drawn(images.draw(1)), known)


def test_weights_that_are_not_finite_are_kept_as_zero_or_as_twice_the_limit():
    images = WeightImages(NAMES, SHAPES["colour"])
    broken = weights(1)
    broken[0, :3] = np.nan, np.inf, -np.inf
    images.take(broken, 1)
    own = images.limit
    images.take(weights(2, size=5.0), 2)
    assert images.limit == limit_of(weights(2, size=5.0))
    broken[0, :3] = 0, 2 * own, -2 * own
    known = montage(broken, SHAPES["colour"], limit=images.limit)
    assert np.abs(drawn(images.draw(1)) - known).max() <= 2
