import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.statistics.intervals import Share, accuracy_interval, percent_with_interval

# Newcombe (1998), Statistics in Medicine 17, 857-872, Table I: method 3 (the score method
# without continuity correction, which is Wilson's), 95 % intervals of right/rows.
PUBLISHED = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


def test_the_interval_is_the_published_one():
    for right, rows, low, high in PUBLISHED:
        assert accuracy_interval(right / rows, rows) == pytest.approx((low, high), abs=5e-5)


def test_nothing_right_and_everything_right_have_intervals_that_touch_the_bounds():
    for rows in (1, 15, 1000):
        none, every = accuracy_interval(0.0, rows), accuracy_interval(1.0, rows)
        assert none[0] == 0
        assert every[1] == 1
        assert 0 < none[1] < 1
        assert every[0] == pytest.approx(1 - none[1])


@given(st.integers(1, 10_000), st.data())
def test_the_interval_holds_the_accuracy_and_stays_within_the_bounds(rows, data):
    accuracy = data.draw(st.integers(0, rows)) / rows
    low, high = accuracy_interval(accuracy, rows)
    assert 0 <= low <= accuracy <= high <= 1


def test_more_rows_make_the_interval_narrower():
    widths = [high - low for low, high in (accuracy_interval(0.4, n) for n in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


def test_a_thousand_rows_leave_three_points_to_either_side():
    assert percent_with_interval(0.413, 1000) == "41.3 % [38.3, 44.4]"


def test_a_share_comes_with_wilsons_interval_of_its_rows():
    share = Share.of(3, 4)
    assert (share.right, share.rows, share.value) == (3, 4, 0.75)
    for right in range(0, 361, 40):
        share = Share.of(right, 360)
        assert share.low <= share.value <= share.high
        assert (share.low, share.high) == accuracy_interval(right / 360, 360)


def test_of_no_rows_there_is_no_share():
    assert Share.of_some(0, 0) is None
    assert Share.of_some(0, 1) == Share.of(0, 1)
