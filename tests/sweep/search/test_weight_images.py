import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sweep.figures.mosaic import mosaic
from sweep.figures.weight_colours import colour_limit, coloured, weight_values
from sweep.figures.weights import weights_montage
from sweep.search.weight_images import WeightImages

NAMES = ("ant", "bee", "cat")
SHAPES = {"grey": (1, 4, 4), "colour": (3, 4, 4), "five channels": (5, 4, 4)}


def weights(step, shape=SHAPES["colour"], size=1.0):
    rng = np.random.default_rng(step)
    return (size * rng.standard_normal((len(NAMES), int(np.prod(shape))))).astype(np.float32)


def limit_of(values, shape=SHAPES["colour"]):
    return colour_limit(weight_values(values, shape))


def drawn(picture):
    return np.asarray(picture.convert("RGB")).astype(int)


def training(sizes, shape=SHAPES["colour"]):
    """Return the images of a training whose weights have these sizes."""
    images = WeightImages(NAMES, shape)
    for step, size in enumerate(sizes):
        images.take(weights(step, shape, size), step)
    return images


def through_a_file(state):
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as kept:
        return dict(kept)


def test_the_limit_grows_with_the_weights_and_never_shrinks():
    images = WeightImages(NAMES, SHAPES["colour"])
    assert images.limit is None
    limits = []
    for step, size in enumerate([1.0, 2.0, 5.0, 3.0], start=1):
        images.take(weights(step, size=size), step)
        limits.append(images.limit)
    own = [limit_of(weights(step, size=size)) for step, size in ((1, 1.0), (2, 2.0), (3, 5.0))]
    assert limits == [*own, own[-1]]


def test_the_weights_before_training_count_only_until_there_are_others():
    images = training([9.0])
    assert images.limit == limit_of(weights(0, size=9.0))
    images.take(weights(1), 1)
    assert images.limit == limit_of(weights(1))
    assert images.steps == [0, 1]


def test_an_image_is_the_montage_on_the_known_scale_but_for_a_step_or_two():
    for name, steps in (("grey", 1), ("colour", 2), ("five channels", 1)):
        shape = SHAPES[name]
        images = training([1.0, 2.0, 4.0], shape)
        for step, size in ((1, 2.0), (2, 4.0)):
            values = weight_values(weights(step, shape, size), shape)
            known = mosaic(coloured(values / images.limit), NAMES)
            off = np.asarray(images.draw(step)).astype(int) - np.asarray(known)
            assert 0 < np.abs(off).max() <= steps  # places in a palette, or of 255


def test_an_image_has_a_palette_where_its_pixels_are_single_weights():
    modes = [training([1.0, 1.0], shape).draw(1).mode for shape in SHAPES.values()]
    assert modes == ["P", "RGB", "P"]


def test_what_is_drawn_at_the_end_looks_as_if_the_last_limit_had_been_known():
    for shape in SHAPES.values():
        sizes = [1.0, 1.1, 3.0, 10.0]
        images = training(sizes, shape)
        for step in images.steps:
            known = weights_montage(
                weights(step, shape, sizes[step]), NAMES, shape, limit=images.limit
            )
            off = drawn(images.draw(step)) - known
            assert np.abs(off).max() <= 4  # steps of a palette are larger


@given(st.floats(1e-30, 1e30), st.floats(1.0, 100.0))
def test_a_colour_is_off_by_two_steps_at_most_where_the_limit_has_grown(unit, growth):
    shape = SHAPES["colour"]
    first = np.clip(weights(1, size=unit), -2 * unit, 2 * unit)  # nothing beyond twice the limit
    images = WeightImages(NAMES, shape)
    images.take(first, 1)
    images.take(growth * first, 2)
    known = weights_montage(first, NAMES, shape, limit=images.limit)
    assert np.abs(drawn(images.draw(1)) - known).max() <= 2


def test_a_weight_far_beyond_the_limit_is_drawn_as_twice_the_limit():
    images = WeightImages(("one",), (1, 1, 1000))
    extreme = np.ones((1, 1000), np.float32)
    extreme[0, 0] = 1000
    images.take(extreme, 1)
    images.take(np.full((1, 1000), 4.0, np.float32), 2)
    extreme[0, 0] = 2
    known = weights_montage(extreme, ("one",), (1, 1, 1000), limit=4.0)
    assert np.abs(drawn(images.draw(1)) - known).max() <= 2


def test_a_training_that_goes_on_draws_the_same_pixels_as_an_unbroken_one():
    sizes = [1.0, 0.5, 2.0, 1.5]
    for shape in SHAPES.values():
        unbroken = training(sizes, shape)
        for broken_after in range(5):
            first = training(sizes[:broken_after], shape)
            restored = WeightImages.restored(NAMES, shape, through_a_file(first.state()))
            assert (restored.limit, restored.steps) == (first.limit, first.steps)
            for step in range(broken_after, 4):
                restored.take(weights(step, shape, sizes[step]), step)
            assert (restored.limit, restored.steps) == (unbroken.limit, [0, 1, 2, 3])
            for step in range(4):
                np.testing.assert_array_equal(
                    drawn(restored.draw(step)), drawn(unbroken.draw(step))
                )


def test_the_state_is_of_plain_arrays_with_one_byte_for_each_weight():
    state = training([1.0, 2.0]).state()
    assert {name: (array.dtype, array.shape) for name, array in state.items()} == {
        "steps": (np.int64, (2,)),
        "codes": (np.int8, (2, 3, 4, 4, 3)),
        "limits": (np.float64, (2,)),
    }


def test_weight_zero_has_the_colour_of_zero():
    images = WeightImages(NAMES, SHAPES["grey"])
    images.take(np.zeros((3, 16), np.float32), 1)
    known = weights_montage(np.zeros((3, 16)), NAMES, SHAPES["grey"])
    np.testing.assert_array_equal(drawn(images.draw(1)), known)
    images.take(np.full((3, 16), 7.0, np.float32), 2)
    np.testing.assert_array_equal(drawn(images.draw(1)), known)


def test_weights_that_are_not_finite_are_kept_as_zero_or_as_twice_the_limit():
    images = WeightImages(NAMES, SHAPES["colour"])
    broken = weights(1)
    broken[0, :3] = np.nan, np.inf, -np.inf
    images.take(broken, 1)
    own = images.limit
    images.take(weights(2, size=5.0), 2)
    assert images.limit == limit_of(weights(2, size=5.0))
    broken[0, :3] = 0, 2 * own, -2 * own
    known = weights_montage(broken, NAMES, SHAPES["colour"], limit=images.limit)
    assert np.abs(drawn(images.draw(1)) - known).max() <= 2
