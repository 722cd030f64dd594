import pytest

from sweep.statistics.intervals import accuracy_interval
from sweep.statistics.share import Share


def test_a_share_comes_with_wilsons_interval():
    share = Share.of(3, 4)
    assert (share.right, share.rows, share.value) == (3, 4, 0.75)
    assert (share.low, share.high) == accuracy_interval(0.75, 4)


@pytest.mark.parametrize("right", range(0, 361, 40))
def test_the_interval_is_of_just_so_many_rows(right):
    share = Share.of(right, 360)
    assert share.low <= share.value <= share.high
    assert (share.low, share.high) == accuracy_interval(right / 360, 360)


def test_of_no_rows_there_is_no_share():
    assert Share.of_some(0, 0) is None
    assert Share.of_some(0, 1) == Share.of(0, 1)
