import pytest

from sweep.errors import SweepError
from sweep.study.failures import FAILURES_IN_A_ROW, Failures


def test_a_row_of_positions_is_refused_in_whatever_order_they_failed():
    failures = Failures()
    for position in (9, 3, 5, 7, 1, 2, 4, 6, 8):
        failures.add(position)
        failures.refuse_row("mine", position, "why")
    failures.add(0)
    with pytest.raises(SweepError, match=r"'mine': 10 trials in a row failed, .* because: why;"):
        failures.refuse_row("mine", 0, "why")


def test_failures_with_a_success_between_them_are_no_row():
    failures = Failures()
    for position in range(3 * FAILURES_IN_A_ROW):
        if position % FAILURES_IN_A_ROW:
            failures.add(position)
        failures.refuse_row("mine", position, "why")
