import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES
from PIL import Image

from sweep.tracking.images import LOGGED_IMAGES, PREVIEW, image_files, png
from sweep.tracking.run import Run
from sweep.tracking.tracker import Tracker

VARYING = re.compile(r"timestamp\+\d+\+[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def drawn(rng, *shape):
    """Return an image of random pixels, and the pixels."""
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(pixels), pixels


@pytest.fixture
def run(workspace):
    del workspace
    return Run.create(Tracker("digits"), "a run", tags={})


def files_of(run):
    info = run.tracker.client.get_run(run.id).info
    folder = Path(info.artifact_uri.removeprefix("file://"))
    return {str(path.relative_to(folder)): path for path in folder.rglob("*.*")}


def shapes(files):
    """Return format and mode of each image by its name, without the time and the random part."""
    found = {}
    for name, path in files.items():
        assert VARYING.search(name), name
        with Image.open(path) as image:
            found[VARYING.sub("...", name)] = (image.format, image.mode)
    return found


@pytest.mark.parametrize("shape", [(388, 848, 3), (848, 388, 3), (20, 30, 3), (256, 256, 3)])
def test_the_files_are_named_as_mlflow_itself_would(run, rng, shape):
    image, pixels = drawn(rng, *shape)
    theirs = Run.create(run.tracker, "theirs", tags={})
    run.tracker.client.log_image(theirs.id, pixels, key="weights", step=20, synchronous=True)
    run.weights_image(image, 20)
    run.flush()
    assert len(files_of(run)) == 2
    assert shapes(files_of(run)) == shapes(files_of(theirs))


def test_a_run_with_images_has_the_tag_that_mlflow_itself_would_set(run, rng):
    image, pixels = drawn(rng, 4, 4, 3)
    theirs = Run.create(run.tracker, "theirs", tags={})
    run.tracker.client.log_image(theirs.id, pixels, key="weights", step=0, synchronous=True)
    run.weights_image(image, 0)
    run.flush()
    ours, wanted = (run.tracker.client.get_run(each.id).data.tags for each in (run, theirs))
    assert LOGGED_IMAGES == MLFLOW_LOGGED_IMAGES
    assert ours[LOGGED_IMAGES] == wanted[LOGGED_IMAGES]


def test_the_large_image_keeps_every_pixel_and_the_preview_the_colours(rng):
    few = rng.integers(0, 256, (4, 8, 3), dtype=np.uint8)
    pixels = np.kron(few, np.ones((128, 128, 1), np.uint8))
    large, small = (
        np.asarray(Image.open(io.BytesIO(file)))
        for file in image_files(Image.fromarray(pixels), "weights", 1).values()
    )
    np.testing.assert_array_equal(large, pixels)
    assert small.shape == (PREVIEW // 2, PREVIEW, 3)
    side = PREVIEW // 8
    middles = small[side // 2 :: side, side // 2 :: side].astype(float)
    assert np.abs(middles - few).mean() < 32


def test_the_preview_of_an_image_with_a_palette_has_its_colours(rng):
    image, _ = drawn(rng, 1, 1, 3)
    colour = image.getpixel((0, 0))
    image = image.resize((600, 300)).quantize(4)
    large, small = map(Image.open, map(io.BytesIO, image_files(image, "weights", 1).values()))
    assert large.mode == "P"
    for drawn_again in (large, small):
        found = drawn_again.convert("RGB").getpixel((9, 9))
        assert np.abs(np.subtract(found, colour)).max() < 8


def test_a_second_image_of_a_step_takes_the_place_of_the_first_and_of_no_other(run, rng):
    for step in (1, 2, 1):
        image, pixels = drawn(rng, 4, 4, 3)
        run.weights_image(image, step)
        run.flush()
    files = files_of(run)
    assert len(files) == 4
    (first,) = (path for name, path in files.items() if "+step+1+" in name and "png" in name)
    np.testing.assert_array_equal(np.asarray(Image.open(first)), pixels)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_every_pixel_of_a_png_file_is_read_back(pixels):
    image = Image.open(io.BytesIO(png(Image.fromarray(pixels))))
    assert (image.format, image.mode) == ("PNG", "RGB")
    np.testing.assert_array_equal(np.asarray(image), pixels)
