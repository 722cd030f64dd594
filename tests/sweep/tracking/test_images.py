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

VARYING = re.compile(r"timestamp\+\d{13}\+[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def run(workspace):
    del workspace
    return Run.create(Tracker("digits"), "a run", tags={})


def files_of(run):
    info = run.tracker.client.get_run(run.id).info
    folder = Path(info.artifact_uri.removeprefix("file://"))
    return {str(path.relative_to(folder)): path for path in folder.rglob("*.*")}


def shapes(files):
    """Return format and size of each image by its name, without the time and the random part."""
    found = {}
    for name, path in files.items():
        assert VARYING.search(name), name
        with Image.open(path) as image:
            found[VARYING.sub("...", name)] = (image.format, image.mode, image.size)
    return found


@pytest.mark.parametrize("shape", [(388, 848, 3), (848, 388, 3), (20, 30, 3), (256, 256, 3)])
def test_the_files_are_named_and_sized_as_mlflow_itself_would(run, rng, shape):
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    theirs = Run.create(run.tracker, "theirs", tags={})
    run.tracker.client.log_image(theirs.id, image, key="weights", step=20, synchronous=True)
    run.weights_image(image, 20)
    run.flush()
    assert len(files_of(run)) == 2
    assert shapes(files_of(run)) == shapes(files_of(theirs))


def test_a_run_with_images_has_the_tag_that_mlflow_itself_would_set(run, rng):
    image = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    theirs = Run.create(run.tracker, "theirs", tags={})
    run.tracker.client.log_image(theirs.id, image, key="weights", step=0, synchronous=True)
    run.weights_image(image, 0)
    run.flush()
    ours, wanted = (run.tracker.client.get_run(each.id).data.tags for each in (run, theirs))
    assert LOGGED_IMAGES == MLFLOW_LOGGED_IMAGES
    assert ours[LOGGED_IMAGES] == wanted[LOGGED_IMAGES]


def test_the_large_image_keeps_every_pixel_and_the_preview_the_colours(rng):
    image = np.kron(rng.integers(0, 256, (4, 8, 3), dtype=np.uint8), np.ones((64, 64, 1), np.uint8))
    large, small = (
        np.asarray(Image.open(io.BytesIO(file)))
        for file in image_files(image, "weights", 1).values()
    )
    np.testing.assert_array_equal(large, image)
    preview = small.astype(float)
    assert preview.shape == (PREVIEW // 2, PREVIEW, 3)
    assert np.abs(preview[16::32, 16::32] - image[32::64, 32::64]).mean() < 32


def test_two_images_of_one_step_never_share_a_name(rng):
    image = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    assert not image_files(image, "weights", 1).keys() & image_files(image, "weights", 1).keys()


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_every_pixel_of_a_png_file_is_read_back(pixels):
    image = Image.open(io.BytesIO(png(pixels)))
    assert (image.format, image.mode) == ("PNG", "RGB")
    np.testing.assert_array_equal(np.asarray(image), pixels)


def test_a_view_of_a_larger_image_is_written_like_its_copy(rng):
    whole = rng.integers(0, 256, (9, 9, 4), dtype=np.uint8)
    assert png(whole[2:7, 1:8, :3]) == png(whole[2:7, 1:8, :3].copy())
