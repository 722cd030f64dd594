import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES
from PIL import Image

from sweep.tracking.images import PREVIEW, as_image, write_figure, write_image
from sweep.tracking.mirror import Mirror, RunState
from sweep.tracking.undocumented import LOGGED_IMAGES

VARYING = re.compile(r"timestamp\+\d+\+[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
STATE = RunState(key="a run", name="a run", status="FINISHED", began=1, ended=2, final=True)


def drawn(rng, *shape):
    """Return an image of random pixels, and the pixels."""
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(pixels), pixels


def files_in(folder):
    return {str(path.relative_to(folder)): path for path in folder.rglob("*.*")}


def shapes(files):
    """Return format and mode of each image by its name, without the time and the random part."""
    found = {}
    for name, path in files.items():
        assert VARYING.search(name), name
        with Image.open(path) as image:
            found[VARYING.sub("...", name)] = (image.format, image.mode)
    return found


@pytest.fixture
def theirs(tracker):
    """Return a function that logs an image as MLflow does, and returns its files and tags."""

    def log(pixels, step):
        client = tracker.client
        run = client.create_run(tracker.experiment_id)
        client.log_image(run.info.run_id, pixels, key="weights", step=step, synchronous=True)
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
        return files_in(folder), client.get_run(run.info.run_id).data.tags

    return log


def test_the_files_and_the_tag_are_those_that_mlflow_itself_would_make(
    theirs, tracker, tmp_path, rng
):
    for step, shape in enumerate([(388, 848, 3), (848, 388, 3), (20, 30, 3), (256, 256, 3)]):
        image, pixels = drawn(rng, *shape)
        wanted, wanted_tags = theirs(pixels, step)
        folder = tmp_path / f"ours-{step}"
        write_image(folder, image, "weights", step)
        assert len(files_in(folder)) == 2
        assert shapes(files_in(folder)) == shapes(wanted)
    assert LOGGED_IMAGES == MLFLOW_LOGGED_IMAGES
    run_id = Mirror(tracker).update(replace(STATE, files=folder))
    ours = tracker.client.get_run(run_id).data.tags
    assert ours[LOGGED_IMAGES] == wanted_tags[LOGGED_IMAGES]
    plain = Mirror(tracker).update(replace(STATE, key="another"))
    assert LOGGED_IMAGES not in tracker.client.get_run(plain).data.tags


def both(folder):
    """Return the large image and the preview."""
    for path in sorted(folder.rglob("*.*"), key=lambda path: path.suffix):
        with Image.open(path) as image:
            image.load()
            yield image


def test_the_large_image_keeps_every_pixel_and_the_preview_the_colours(tmp_path, rng):
    few = rng.integers(0, 256, (4, 8, 3), dtype=np.uint8)
    pixels = np.kron(few, np.ones((128, 128, 1), np.uint8))
    write_image(tmp_path, Image.fromarray(pixels), "weights", 1)
    large, small = (np.asarray(image) for image in both(tmp_path))
    np.testing.assert_array_equal(large, pixels)
    assert small.shape == (PREVIEW // 2, PREVIEW, 3)
    side = PREVIEW // 8
    middles = small[side // 2 :: side, side // 2 :: side].astype(float)
    assert np.abs(middles - few).mean() < 32


def test_the_preview_of_an_image_with_a_palette_has_its_colours(tmp_path, rng):
    image, _ = drawn(rng, 1, 1, 3)
    colour = image.getpixel((0, 0))
    write_image(tmp_path, image.resize((600, 300)).quantize(4), "weights", 1)
    large, small = both(tmp_path)
    assert large.mode == "P"
    for drawn_again in (large, small):
        found = drawn_again.convert("RGB").getpixel((9, 9))
        assert np.abs(np.subtract(found, colour)).max() < 8


def test_a_second_image_of_a_step_takes_the_place_of_the_first_and_of_no_other(tmp_path, rng):
    for step in (1, 2, 1):
        image, pixels = drawn(rng, 4, 4, 3)
        write_image(tmp_path, image, "weights", step)
    files = files_in(tmp_path)
    assert len(files) == 4
    (first,) = (path for name, path in files.items() if "+step+1+" in name and "png" in name)
    with Image.open(first) as kept:
        np.testing.assert_array_equal(np.asarray(kept), pixels)


def test_a_figure_is_written_whatever_it_was_drawn_with(tmp_path, rng):
    image, pixels = drawn(rng, 4, 6, 3)
    for number, figure in enumerate((image, pixels)):
        write_figure(tmp_path / f"below/{number}.png", figure)
        with Image.open(tmp_path / f"below/{number}.png") as kept:
            np.testing.assert_array_equal(np.asarray(kept), pixels)
    figure = Figure(figsize=(2, 1), dpi=50)
    FigureCanvasAgg(figure)
    assert as_image(figure).size == (100, 50)
