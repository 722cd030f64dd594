from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, top_k_accuracy_score

from sweep.analysis import open_test_rows, pending_files, trial_state
from sweep.analysis.runs import study_state
from sweep.analysis.test_set import evaluate_on_test_rows
from sweep.data import Dataset
from sweep.errors import SweepError
from sweep.search.record import TEST_OPENINGS
from sweep.tracking import Mirror
from sweep_model.classifier import LinearClassifier
from sweep_model.losses import BCE, SOFTMAX
from sweep_model.preprocessing import Standardiser

WEIGHTS = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], np.float32)
CLASSIFIER = LinearClassifier(
    weights=WEIGHTS,
    bias=np.array([0.5, 0, 0], np.float32),
    standardiser=Standardiser(np.zeros(4, np.float32), np.ones(4, np.float32)),
    loss=SOFTMAX,
    image_shape=None,
    class_names=("a/b", "c", "d"),
)


class Sealed:
    """Four test rows of three classes, the third without rows; counts how often it is opened."""

    def __init__(self, *, fails=False, has_test=True):
        self.opened, self.fails, self.has_test = 0, fails, has_test

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
def study(make_study, make_trial):
    """Return a study of one complete trial, whose classifier waits for MLflow."""
    study = make_study(trials=[make_trial(weights_digest=CLASSIFIER.digest)])
    folder = pending_files(study, 0) / "classifier"
    folder.mkdir(parents=True)
    CLASSIFIER.save(folder / "classifier.npz")
    return study


@pytest.fixture
def opened(study, tracker):
    return lambda source: open_test_rows(study, study.trial(0), source, tracker)


def test_accuracy_comes_with_its_interval_and_the_classes_that_have_rows():
    result = evaluate_on_test_rows(CLASSIFIER, Sealed())
    assert (result.accuracy, result.rows) == (0.75, 4)
    assert result.per_class == {"a/b": 1.0, "c": 0.5}
    # Wilson's interval for 3 of 4: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    assert result.low == pytest.approx(0.30064, abs=1e-5)
    assert result.high == pytest.approx(0.95441, abs=1e-5)
    names = ("accuracy", "low", "high", "rows", "per_class", "further", "draws")
    assert tuple(result.record()) == names


def test_all_metrics_of_the_test_rows_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    labels, rows = rng.integers(7, size=200), rng.normal(size=(200, 5))
    standardiser = Standardiser(np.zeros(5), np.ones(5))
    for loss in (SOFTMAX, BCE):
        classifier = LinearClassifier(
            weights=rng.normal(size=(7, 5)).astype(np.float32),
            bias=rng.normal(size=7).astype(np.float32),
            standardiser=standardiser,
            loss=loss,
            image_shape=None,
            class_names=tuple("abcdefg"),
        )
        source = SimpleNamespace(test=lambda: SimpleNamespace(rows=rows, labels=labels))
        result = evaluate_on_test_rows(classifier, source)
        predicted, shares = classifier.predict(rows), classifier.probabilities(rows)
        shares /= shares.sum(axis=1, keepdims=True)
        expected = {
            "top5_accuracy": top_k_accuracy_score(labels, shares, k=5),
            "balanced_accuracy": balanced_accuracy_score(labels, predicted),
            "macro_f1": f1_score(labels, predicted, average="macro"),
            "log_loss": log_loss(labels, shares),
        }
        assert list(result.further) == list(expected)
        for name, value in expected.items():
            found = result.further[name]
            assert found.value == pytest.approx(value, rel=1e-5)
            assert found.low < value < found.high
            assert result.metrics()[f"test/{name}_low"] == found.low
            assert result.record()["further"][name]["high"] == found.high


def test_openings_at_the_same_time_are_all_counted(study, opened):
    with ThreadPoolExecutor() as pool:
        counts = list(pool.map(lambda _: opened(Sealed())[1], range(4)))
    assert sorted(counts) == [1, 2, 3, 4]
    openings = study.attribute(TEST_OPENINGS)
    assert len(openings) == 4
    assert all("result" in opening for opening in openings)


def test_each_opening_is_counted_and_stands_on_the_trial_and_the_study(
    study, opened, tracker, tiny_data
):
    mirror = Mirror(tracker)
    mirror.update(study_state(study, study.trials(), tiny_data, note=""))
    mirror.update(trial_state(study, study.trial(0), tiny_data))
    source = Sealed()
    first, openings = opened(source)
    assert openings == 1
    again, openings = opened(source)
    assert (openings, source.opened) == (2, 2)
    assert again == first
    for role in ("trial", "study"):
        (run,) = tracker.runs(role=role)
        points = tracker.client.get_metric_history(run.info.run_id, "test/accuracy")
        assert [(point.step, point.value) for point in points] == [
            (1, first.accuracy),
            (2, first.accuracy),
        ]
        assert "test_accuracy_of/a_b" in run.data.metrics


def test_an_opening_counts_even_if_nothing_comes_of_it(study, opened):
    with pytest.raises(SweepError, match="cannot be read"):
        opened(Sealed(fails=True))
    (opening,) = study.attribute(TEST_OPENINGS)
    assert opening["trial"] == 0
    assert opened(Sealed())[1] == 2


def test_rows_stay_sealed_where_the_weights_are_gone_or_there_are_no_rows(study, opened):
    with pytest.raises(SweepError, match="cannot be read"):
        opened(Sealed(fails=True, has_test=False))
    (pending_files(study, 0) / "classifier" / "classifier.npz").unlink()
    source = Sealed()
    with pytest.raises(SweepError, match="are gone"):
        opened(source)
    assert source.opened == 0
    assert study.attribute(TEST_OPENINGS) is None
