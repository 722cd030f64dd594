import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep_model.classifier import LinearClassifier
from sweep_model.losses import BCE, SOFTMAX
from sweep_model.npz import read_arrays, write_arrays
from sweep_model.preprocessing import Standardiser

MEMBERS = ["weights", "bias", "mean", "factor", "loss", "image_shape", "class_names"]


def classifier_of(seed, *, loss=SOFTMAX, image_shape=(1, 2, 3), class_names=("cat", "dog")):
    rng = np.random.default_rng(seed)
    return LinearClassifier(
        weights=rng.normal(size=(2, 6)).astype(np.float32),
        bias=rng.normal(size=2).astype(np.float32),
        standardiser=Standardiser.fit(rng.integers(0, 256, (9, 6), dtype=np.uint8)),
        loss=loss,
        image_shape=image_shape,
        class_names=class_names,
    )


@pytest.fixture
def classifier():
    return classifier_of(1)


@pytest.fixture
def rows(rng):
    return rng.integers(0, 256, (5, 6), dtype=np.uint8)


def test_scores_are_w_x_plus_b_of_the_standardised_row(classifier, rows):
    scores = classifier.scores(rows)
    mean, factor = classifier.standardiser.mean, classifier.standardiser.factor
    for i in range(5):
        for k in range(2):
            x = (rows[i] - mean) * factor
            by_hand = sum(classifier.weights[k] * x) + classifier.bias[k]
            assert scores[i, k] == pytest.approx(by_hand, rel=1e-5, abs=1e-6)


def test_predictions_and_probabilities_are_those_of_the_scores(rows):
    for loss in (SOFTMAX, BCE):
        classifier = classifier_of(1, loss=loss)
        scores, predicted = classifier.scores(rows), classifier.predict(rows)
        assert predicted.dtype == np.int64
        np.testing.assert_array_equal(predicted, scores.argmax(axis=1))
        np.testing.assert_array_equal(classifier.probabilities(rows), loss.probabilities(scores))


def test_rows_that_cannot_be_scored_are_refused_with_what_mends_them(classifier):
    for rows, message in (
        (np.zeros((5, 7)), "rows must be (n, 6), got shape (5, 7)"),
        (np.zeros(6), "got shape (6,); give a single row as row[None]"),
        (np.zeros((5, 2, 3)), "(5, 2, 3); flatten them: rows.reshape(len(rows), -1)"),
        (np.zeros((5, 2, 3, 1)), "images.transpose(0, 3, 1, 2).reshape(len(images), -1)"),
        (np.array([[1, np.nan, np.inf, 4, 5, 6]]), "2 of 6 values are NaN or infinite; drop or fi"),
    ):
        with pytest.raises(ValueError, match=re.escape(message) + ("$" if "7" in message else "")):
            classifier.predict(rows)


@given(
    seed=st.integers(0, 100),
    loss=st.sampled_from([SOFTMAX, BCE]),
    image_shape=st.sampled_from([None, (1, 2, 3), (3, 2, 1)]),
    class_names=st.tuples(st.text("aé猫 /\n"), st.text("bß犬")),
)
def test_a_saved_classifier_comes_back_bit_for_bit(tmp_path_factory, **parts):
    classifier = classifier_of(**parts)
    path = tmp_path_factory.getbasetemp() / "classifier.npz"
    classifier.save(path)
    again = LinearClassifier.load(path)
    assert again.digest == classifier.digest
    for ours, theirs in (
        (again.weights, classifier.weights),
        (again.bias, classifier.bias),
        (again.standardiser.mean, classifier.standardiser.mean),
        (again.standardiser.factor, classifier.standardiser.factor),
    ):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert ours.tobytes() == theirs.tobytes()
    assert again.loss is classifier.loss
    assert again.image_shape == classifier.image_shape
    assert again.class_names == classifier.class_names


def test_a_classifier_of_rows_of_one_length_keeps_it_in_its_file(classifier, rows, tmp_path):
    unit = replace(classifier, standardiser=Standardiser.unfitted(6, unit=True))
    unit.save(tmp_path / "a.npz")
    again = LinearClassifier.load(tmp_path / "a.npz")
    assert np.array_equal(again.scores(rows), unit.scores(rows))
    np.testing.assert_allclose(again.scores(rows * 3.0), unit.scores(rows), rtol=1e-5)


def test_the_digest_tells_one_bit_and_the_shape_but_not_the_layout_in_memory(classifier):
    def zeros(classes, features):
        return LinearClassifier(
            weights=np.zeros((classes, features), np.float32),
            bias=np.zeros(classes, np.float32),
            standardiser=Standardiser(*np.zeros((2, features))),
            loss=SOFTMAX,
            image_shape=None,
            class_names=("any",) * classes,
        )

    nudged = classifier.weights.copy()
    nudged[0, 0] = np.nextafter(nudged[0, 0], np.float32(9))
    assert len(classifier.digest) == 64
    assert replace(classifier, weights=nudged).digest != classifier.digest
    fortran = replace(classifier, weights=np.asfortranarray(classifier.weights))
    assert fortran.digest == classifier.digest
    # Fourteen zeros each.
    assert len({zeros(*shape).digest for shape in ((2, 6), (1, 13), (7, 1))}) == 3


def test_parts_that_do_not_fit_are_refused(classifier):
    for message, change in {
        "weights must be": {"weights": np.zeros(6, np.float32)},
        "bias must be float32": {"bias": np.zeros(3, np.float32)},
        "weights must be float32": {"weights": np.zeros((2, 6))},
        "weights must be finite": {"weights": np.full((2, 6), np.nan, np.float32)},
        "mean must be": {"standardiser": Standardiser(np.zeros(5), np.ones(6))},
        "factor must be finite": {"standardiser": Standardiser(np.zeros(6), np.full(6, np.inf))},
        "class_names must be 2 names": {"class_names": ("cat",)},
        "image_shape must hold 6 features": {"image_shape": (1, 2, 4)},
        "got \\(-1, -2, 3\\)": {"image_shape": (-1, -2, 3)},
    }.items():
        with pytest.raises(ValueError, match=message):
            replace(classifier, **change)


def test_a_file_with_another_content_is_refused_with_the_reason(classifier, tmp_path):
    path = tmp_path / "classifier.npz"
    for message, change in {
        "loss must be one of": {"loss": np.array("hinge")},
        "got array\\(\\['bce'": {"loss": np.array(["bce"])},
        "image_shape must be 3 whole": {"image_shape": np.array([2, 3])},
        "got array\\(\\[1., 2., 3.": {"image_shape": np.array([1.0, 2.0, 3.0])},
        "class_names must be a list": {"class_names": np.array([1, 2])},
        "class_names must be 2 names": {"class_names": np.array(["cat"])},
        "weights must be float32": {"weights": np.zeros((2, 6), ">f4")},
        "bias must be finite": {"bias": np.array([0, np.inf], np.float32)},
        "weights must be \\(k, d\\)": {"weights": np.array(1, np.float32)},
        "mean and factor must be floats": {"mean": np.zeros(6, "M8[s]")},
    }.items():
        classifier.save(path)
        write_arrays(path, read_arrays(path, MEMBERS) | change)
        with pytest.raises(ValueError, match=f"classifier.npz is not a classifier: .*{message}"):
            LinearClassifier.load(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"classifier.npz cannot be read: File is not a zip file"):
        LinearClassifier.load(path)


def test_a_file_of_an_earlier_version_has_its_mean_and_factor_in_float32(classifier, tmp_path):
    path = tmp_path / "classifier.npz"
    classifier.save(path)
    arrays = read_arrays(path)
    short = {name: arrays[name].astype(np.float32) for name in ("mean", "factor")}
    write_arrays(path, arrays | short)
    rows = np.arange(30, dtype=np.uint8).reshape(5, 6)
    expected = classifier.scores(rows)
    np.testing.assert_array_equal(LinearClassifier.load(path).scores(rows), expected)
