from __future__ import annotations

import numpy as np
import pytest

from sweep.figures.confusion import MOST_NAMES, MOST_NUMBERS, confusion_figure

COUNTS = [[8, 2, 0], [0, 5, 5], [0, 0, 0]]
NAMES = ("cat", "dog", "owl")


def image(axes):
    (drawn,) = axes.get_images()
    return np.asarray(drawn.get_array())


def test_each_row_is_the_share_of_its_class():
    figure = confusion_figure({"a": COUNTS}, NAMES)
    expected = [[0.8, 0.2, 0], [0, 0.5, 0.5], [0, 0, 0]]
    np.testing.assert_allclose(image(figure.axes[0]), expected)


def test_every_square_that_has_rows_says_how_many_percent():
    texts = confusion_figure({"a": COUNTS}, NAMES).axes[0].texts
    assert {(text.get_position(), text.get_text()) for text in texts} == {
        ((0, 0), "80"),
        ((1, 0), "20"),
        ((1, 1), "50"),
        ((2, 1), "50"),
    }


def test_true_classes_go_down_and_predicted_ones_across():
    axes = confusion_figure({"a": COUNTS, "b": COUNTS}, NAMES).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true class")
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [text.get_text() for text in labels] == list(NAMES)


def test_many_classes_have_no_numbers_and_not_every_name():
    classes = MOST_NAMES + 1
    figure = confusion_figure({"a": np.eye(classes).tolist()}, [f"c{i}" for i in range(classes)])
    assert not figure.axes[0].texts
    assert len(figure.axes[0].get_yticklabels()) <= MOST_NAMES


@pytest.mark.parametrize(
    ("studies", "name"), [(1, "cat"), (2, "a class with a long name " * 4), (3, "cat")]
)
def test_nothing_is_clipped(studies, name, fits):
    counts = np.full((MOST_NUMBERS, MOST_NUMBERS), 3).tolist()
    names = [f"{i} {name}" for i in range(MOST_NUMBERS)]
    assert fits(confusion_figure({f"{i} {name}": counts for i in range(studies)}, names))
