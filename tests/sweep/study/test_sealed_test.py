from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sweep.data import Dataset
from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.passes import Budget
from sweep.study.sealed_test import evaluate_on_test_rows, open_test_rows
from sweep_model.linear import LinearClassifier
from sweep_model.losses import SOFTMAX
from sweep_model.standardise import Standardiser


class Sealed:
    """Four test rows of three classes, the third without rows; counts how often it is opened."""

    has_test = True

    def __init__(self, *, fails=False):
        self.opened = 0
        self.fails = fails

    def test(self):
        self.opened += 1
        if self.fails:
            raise SweepError("the test rows cannot be read")
        return Dataset(
            name="tiny",
            rows=np.eye(4, dtype=np.float32),
            labels=np.array([0, 1, 1, 0]),
            class_names=("a/b", "c", "d"),
            image_shape=None,
        )


@pytest.fixture
def loop(tiny_study, no_figures):
    del no_figures
    loop = tiny_study()
    loop.run(Budget(1))
    return loop


def opened(loop, source):
    return open_test_rows(loop.study, loop.study.trials()[0], source, loop.tracker)


def test_accuracy_comes_with_its_interval_and_the_classes_that_have_rows():
    classifier = LinearClassifier(
        weights=np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], np.float32),
        bias=np.array([0.5, 0, 0], np.float32),
        standardiser=Standardiser(np.zeros(4, np.float32), np.ones(4, np.float32)),
        loss=SOFTMAX,
        image_shape=None,
        class_names=("a/b", "c", "d"),
    )
    result = evaluate_on_test_rows(classifier, Sealed())
    assert (result.accuracy, result.rows) == (0.75, 4)
    assert result.per_class == {"a/b": 1.0, "c": 0.5}
    # Wilson's interval for 3 of 4: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    assert result.low == pytest.approx(0.30064, abs=1e-5)
    assert result.high == pytest.approx(0.95441, abs=1e-5)
    assert list(result.record()) == ["accuracy", "low", "high", "rows", "per_class"]


def test_openings_at_the_same_time_are_all_counted(loop):
    with ThreadPoolExecutor() as pool:
        counts = list(pool.map(lambda _: opened(loop, Sealed())[1], range(4)))
    assert sorted(counts) == [1, 2, 3, 4]
    openings = loop.study.optuna.user_attrs[attributes.TEST_OPENINGS]
    assert len(openings) == 4
    assert all("result" in opening for opening in openings)


def test_each_opening_is_counted_and_stands_on_the_trial_and_the_study(loop):
    source = Sealed()
    first, openings = opened(loop, source)
    assert openings == 1
    again, openings = opened(loop, source)
    assert (openings, source.opened) == (2, 2)
    assert again == first
    for role in ("trial", "study"):
        (run,) = loop.tracker.runs(role=role)
        points = loop.tracker.client.get_metric_history(run.info.run_id, "test/accuracy")
        assert [(point.step, point.value) for point in points] == [
            (1, first.accuracy),
            (2, first.accuracy),
        ]
        assert "test_accuracy_of/1" in run.data.metrics


def test_an_opening_counts_even_if_nothing_comes_of_it(loop):
    with pytest.raises(SweepError, match="cannot be read"):
        opened(loop, Sealed(fails=True))
    (opening,) = loop.study.optuna.user_attrs[attributes.TEST_OPENINGS]
    assert opening["trial"] == 0
    assert opened(loop, Sealed())[1] == 2


def test_rows_stay_sealed_where_the_weights_are_gone(loop):
    (run,) = loop.tracker.runs(role="trial")
    loop.tracker.client.delete_run(run.info.run_id)
    source = Sealed()
    with pytest.raises(SweepError, match="are gone"):
        opened(loop, source)
    assert source.opened == 0
    assert attributes.TEST_OPENINGS not in loop.study.optuna.user_attrs


def test_where_there_are_no_test_rows_nothing_is_counted(loop):
    source = Sealed(fails=True)
    source.has_test = False
    with pytest.raises(SweepError, match="cannot be read"):
        opened(loop, source)
    assert attributes.TEST_OPENINGS not in loop.study.optuna.user_attrs
