import pytest

from sweep.analysis.widening import widened
from sweep.space import Choices, axis_from_text

EPOCHS = 50


def wider(text, *sides, epochs=EPOCHS):
    return str(widened(axis_from_text(text), set(sides), epochs))


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("l2=1e-05:1:log", "1e-06:1:log", "1e-05:10:log"),
        ("learning_rate=0.003:0.03:log", "0.0003:0.03:log", "0.003:0.3:log"),
        ("decay_period=20:30:log", "2:30:log", "20:50:log"),
    ],
)
def test_a_logarithmic_range_grows_by_a_decade(text, low, high):
    assert wider(text, "low") == low
    assert wider(text, "high") == high


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("flip_probability=0.3:0.5", "0.2:0.5", "0.3:0.6"),
        ("decay_period=10:15", "7:15", "10:18"),
        ("batch_size=50:60", "45:60", "50:65"),
    ],
)
def test_a_linear_range_grows_by_half_its_length(text, low, high):
    assert wider(text, "low") == low
    assert wider(text, "high") == high


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("batch_size=50,100", "25,50,100", "50,100,200"),
        ("batch_size=100,50", "25,50,100", "50,100,200"),
        ("flip_probability=0.1,0.3", "0.05,0.1,0.3", "0.1,0.3,0.6"),
        ("decay_period=4,30", "2,4,30", "4,30,50"),
    ],
)
def test_choices_get_twice_the_highest_or_half_the_lowest(text, low, high):
    assert wider(text, "low") == low
    assert wider(text, "high") == high


@pytest.mark.parametrize(("lowest", "added"), [(25, 5), (27, 9), (30, 15), (7, 3), (2, 1)])
def test_a_smaller_batch_divides_the_smallest_one_where_it_can(lowest, added):
    assert wider(f"batch_size={lowest},400", "low") == f"{added},{lowest},400"


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("flip_probability=0.1:0.9", "0:0.9", "0.1:1"),
        ("l2=0.1:1", "0:1", "0.1:1.45"),
        ("l2=1:1e6:log", "0.1:1000000:log", None),
        ("decay_period=2:30", "1:30", "2:44"),
        ("batch_size=3:20:log", "1:20:log", "3:200:log"),
        ("flip_probability=0.2,0.8", "0.1,0.2,0.8", "0.2,0.8,1"),
        ("learning_rate=0.01:0.1", "0.001:0.1", "0.01:0.145"),
    ],
)
def test_no_bound_goes_beyond_what_is_allowed(text, low, high):
    assert wider(text, "low") == low
    assert wider(text, "high") == (high or str(axis_from_text(text)))


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("flip_probability=0:0.5", "low"),
        ("flip_probability=0.5:1", "high"),
        ("flip_probability=0,0.5", "low"),
        ("flip_probability=0.5,1", "high"),
        ("decay_period=1:20:log", "low"),
        ("decay_period=1,20", "low"),
        ("batch_size=1,20", "low"),
        ("batch_size=1:20:log", "low"),
        ("l2=0:1", "low"),
        ("l2=1:1e6", "high"),
    ],
)
def test_a_bound_that_cannot_move_leaves_the_axis_as_it_is(text, side):
    axis = axis_from_text(text)
    assert widened(axis, {side}, EPOCHS) == axis


@pytest.mark.parametrize(
    "text", ["decay_period=2:50:log", "decay_period=2:80", "decay_period=2,60"]
)
def test_a_decay_after_the_last_epoch_is_not_looked_for(text):
    axis = axis_from_text(text)
    assert widened(axis, {"high"}, epochs=50) == axis
    assert widened(axis, {"high"}, epochs=100) != axis
    assert str(widened(axis, {"high"}, epochs=85)).removesuffix(":log").endswith("85")


def test_both_sides_grow_by_what_each_would_grow_alone():
    assert wider("flip_probability=0.4:0.5", "low", "high") == "0.35:0.55"
    assert wider("l2=0.001:1:log", "low", "high") == "0.0001:10:log"
    assert wider("batch_size=50,100", "low", "high") == "25,50,100,200"


def test_no_side_changes_nothing_not_even_the_order_of_choices():
    for text in ("l2=1e-05:1:log", "batch_size=100,25"):
        assert widened(axis_from_text(text), set(), EPOCHS) == axis_from_text(text)


def test_there_are_never_more_choices_than_a_space_takes():
    full = Choices(name="batch_size", values=tuple(range(2, 102)))
    assert widened(full, {"high"}, EPOCHS) == full
