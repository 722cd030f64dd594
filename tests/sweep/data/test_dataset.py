from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sweep.data.dataset import Dataset, sha256_of

ROWS = np.arange(12, dtype=np.uint8).reshape(3, 4)
LABELS = np.array([0, 1, 0])


def dataset(**changes: Any) -> Dataset:
    facts: dict[str, Any] = {
        "name": "tiny",
        "rows": ROWS.copy(),
        "labels": LABELS.copy(),
        "class_names": ("no", "yes"),
        "image_shape": (1, 2, 2),
    }
    return Dataset(**(facts | changes))


def test_the_digest_of_known_data_never_changes():
    # Studies record it: another value here would refuse to resume every study there is.
    assert dataset().digest == "3d0516f093dc191d21e27e11901d3d75283e72ca64fa54a0fdc721a66970fd00"


@pytest.mark.parametrize(
    "change",
    [
        {"rows": ROWS + np.uint8(1)},
        {"rows": ROWS.astype(np.float32)},
        {"rows": ROWS.reshape(3, 4)[:, ::-1]},
        {"labels": np.array([0, 1, 1])},
        {"class_names": ("yes", "no")},
        {"image_shape": (4, 1, 1)},
        {"image_shape": None},
    ],
    ids=["a pixel", "the dtype", "the order", "a label", "class names", "shape", "no shape"],
)
def test_whatever_the_data_say_is_in_the_digest(change):
    assert dataset(**change).digest != dataset().digest


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"rows": np.asfortranarray(ROWS)},
        {"labels": LABELS.astype(">i8")},
    ],
    ids=["name", "memory order", "byte order"],
)
def test_how_the_data_are_kept_is_not_in_the_digest(change):
    assert dataset(**change).digest == dataset().digest


def test_the_arrays_cannot_be_written_to():
    tiny = dataset()
    with pytest.raises(ValueError, match="read-only"):
        tiny.rows[0, 0] = 9
    with pytest.raises(ValueError, match="read-only"):
        tiny.labels[0] = 1


def test_parts_that_join_to_the_same_bytes_have_different_digests():
    assert sha256_of(b"ab", b"c") != sha256_of(b"a", b"bc")
