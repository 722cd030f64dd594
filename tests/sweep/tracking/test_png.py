import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from sweep.tracking.png import png


def read(file):
    image = Image.open(io.BytesIO(file))
    image.load()  # checks the sums too
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image)


@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
    st.integers(1, 4),
)
def test_every_pixel_is_read_back(pixels, repeats):
    image = pixels.repeat(repeats, axis=0)
    np.testing.assert_array_equal(read(png(image)), image)


def test_a_view_of_a_larger_image_is_written_like_its_copy(rng):
    whole = rng.integers(0, 256, (9, 9, 4), dtype=np.uint8)
    assert png(whole[2:7, 1:8, :3]) == png(whole[2:7, 1:8, :3].copy())


def test_the_pixels_given_stay_as_they_are(rng):
    image = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    before = image.copy()
    png(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("scale", [4, 16])
def test_a_drawing_is_hardly_larger_than_pillow_makes_it(rng, scale):
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    assert len(png(image)) < 1.2 * len(file.getvalue())


def test_a_file_cut_short_is_noticed(rng):
    image = rng.integers(0, 256, (50, 50, 3), dtype=np.uint8)
    with pytest.raises(OSError, match="truncated"):
        read(png(image)[:200])
