from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from sweep.study.image_log import EPOCHS, PAUSE_SECONDS, ImageLog
from sweep.study.weight_images import WeightImages

NAMES = ("ant", "bee", "cat")
SHAPES = {"grey": (1, 4, 4), "colour": (3, 4, 4)}
HASTE = [*range(14)]
"""A time for each epoch, so close together that a log shows only its first image live."""
LEISURE = [epoch * PAUSE_SECONDS for epoch in range(14)]
LAST = 13


class Recorder:
    """Stands in for an MLflow run, and for the timings of its tracker, whose parts do not nest."""

    def __init__(self):
        self.tracker = self.timings = self
        self.part_of, self.shown = None, []

    @contextmanager
    def part(self, name):
        assert self.part_of is None
        self.part_of = name
        yield
        self.part_of = None

    def weights_image(self, image, step):
        with self.part("figures"):
            self.shown.append((step, pixels(image)))

    @property
    def steps(self):
        return [step for step, _ in self.shown]


def pixels(image):
    return image.mode, image.size, image.convert("RGB").tobytes()


def weights(epoch, shape=SHAPES["colour"]):
    """Return weights that are largest after epoch 10."""
    values = np.random.default_rng(epoch).standard_normal((3, int(np.prod(shape))))
    return (values / (1 + abs(epoch - 10))).astype(np.float32)


def on_one_scale(epochs, shape=SHAPES["colour"]):
    """Return the images of these epochs on the scale of them all."""
    images = WeightImages(NAMES, shape)
    for epoch in epochs:
        images.take(weights(epoch, shape), epoch)
    return {epoch: pixels(images.draw(epoch)) for epoch in epochs}


@pytest.fixture
def run():
    return Recorder()


@pytest.fixture
def log(run):
    return ImageLog(run, NAMES, SHAPES["colour"])


@pytest.fixture
def train(monkeypatch):
    """Return a function that takes the weights of some epochs, each at its own time."""
    clock = [0.0]
    monkeypatch.setattr("sweep.study.image_log.time.monotonic", lambda: clock[0])

    def take(log, epochs, times, shape=SHAPES["colour"]):
        for epoch in epochs:
            clock[0] = times[epoch]
            log.take(weights(epoch, shape), epoch)

    return take


def test_the_weights_of_chosen_epochs_are_kept_nearly_evenly_on_a_logarithmic_scale(log):
    for epoch in range(1100):
        log.take(weights(epoch), epoch)
    kept = log.state()["steps"].tolist()
    assert kept == sorted(EPOCHS) == [0, 1, 3, 10, 30, 100, 300, 1000]


def test_the_weights_before_training_are_kept_and_shown_only_at_the_end(run, log, train):
    train(log, [0], LEISURE)
    assert log.state()["steps"].tolist() == [0]
    assert run.shown == []
    train(log, range(1, LAST + 1), LEISURE)
    assert 0 not in run.steps
    log.finish(weights(LAST), LAST)
    assert run.steps.count(0) == 1


def test_the_first_image_of_a_training_is_shown_at_once(run, log, train):
    train(log, [0, 1], {0: 0.0, 1: 0.001})
    assert run.steps == [1]


def test_an_image_is_shown_while_the_training_runs_where_the_last_one_is_old_enough(
    run, log, train
):
    long, short = PAUSE_SECONDS, 0.999 * PAUSE_SECONDS
    train(log, [1, 3, 10, 30], {1: 5, 3: 5 + short, 10: 5 + long, 30: 5 + long + short})
    assert run.steps == [1, 10]
    assert log.state()["steps"].tolist() == [1, 3, 10, 30]


def test_an_epoch_that_is_not_kept_is_not_shown_either_however_long_ago_the_last_one_was(
    run, log, train
):
    train(log, [1, 2, 4, 9], {1: 0, 2: 1e6, 4: 2e6, 9: 3e6})
    assert run.steps == [1]


def test_an_image_is_shown_live_on_the_scale_that_is_known_by_then(run, log, train):
    train(log, [0, 1, 2, 3], LEISURE)
    assert run.shown == [(1, on_one_scale([0, 1])[1]), (3, on_one_scale([0, 1, 3])[3])]


def test_the_limit_is_that_of_all_that_is_kept(run, log):
    assert log.limit is None
    limits = []
    for epoch in (1, 3, 9, 10):
        log.take(weights(epoch), epoch)
        limits.append(log.limit)
    assert limits[0] < limits[1] == limits[2] < limits[3]
    assert ImageLog(run, NAMES, SHAPES["colour"], log.state()).limit == log.limit


@pytest.mark.parametrize("times", [HASTE, LEISURE], ids=["in haste", "at leisure"])
@pytest.mark.parametrize("last", [1, 2, 3, 10, LAST])
def test_at_the_end_every_kept_epoch_has_one_image_on_the_last_scale(run, log, train, times, last):
    train(log, range(last + 1), times)
    live = len(run.shown)
    log.finish(weights(last), last)
    kept = sorted({0, 1, 3, 10, last} & {*range(last + 1)})
    assert log.state()["steps"].tolist() == kept
    assert dict(run.shown) == on_one_scale(kept)
    assert len(set(run.steps[live:])) == len(run.steps[live:])


def test_an_image_that_is_on_the_last_scale_already_is_not_shown_again(run, log, train):
    train(log, range(LAST + 1), LEISURE)
    assert run.steps == [1, 3, 10]
    log.finish(weights(LAST), LAST)
    assert run.steps == [1, 3, 10, 0, 1, 3, LAST]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("broken_before", [0, 1, 2, 4, 11])
@pytest.mark.parametrize(
    ("times", "times_of_parts"), [(HASTE, HASTE), (LEISURE, HASTE), (HASTE, LEISURE)]
)
def test_a_log_that_is_restored_ends_as_if_it_had_never_stopped(
    train, shape, broken_before, times, times_of_parts
):
    whole, parts = Recorder(), Recorder()
    unbroken = ImageLog(whole, NAMES, shape)
    train(unbroken, range(LAST + 1), times, shape)
    unbroken.finish(weights(LAST, shape), LAST)

    first = ImageLog(parts, NAMES, shape)
    train(first, range(broken_before), times_of_parts, shape)
    second = ImageLog(parts, NAMES, shape, first.state())
    train(second, range(broken_before, LAST + 1), times_of_parts, shape)
    second.finish(weights(LAST, shape), LAST)

    assert dict(parts.shown) == dict(whole.shown) == on_one_scale([0, 1, 3, 10, LAST], shape)
    state, unbroken_state = second.state(), unbroken.state()
    assert state.keys() == unbroken_state.keys()
    for name, array in unbroken_state.items():
        np.testing.assert_array_equal(state[name], array)


def test_the_end_leaves_nothing_to_show(run, log, train):
    train(log, range(LAST + 1), HASTE)
    log.finish(weights(LAST), LAST)
    shown = len(run.shown)
    log.finish(weights(LAST), LAST)
    assert len(run.shown) == shown
