import os
import signal
from contextlib import suppress

import pytest

from sweep.search.interrupts import SIGNALS, InterruptedStudyError, Interrupts


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_remembered_and_nothing_is_raised(number):
    with Interrupts().listening() as interrupts:
        assert interrupts.received is None
        os.kill(os.getpid(), number)
        assert interrupts.received == number


def test_the_handlers_of_before_are_back_afterwards():
    before = [signal.getsignal(number) for number in SIGNALS]
    with suppress(ValueError), Interrupts().listening():
        assert [signal.getsignal(number) for number in SIGNALS] != before
        raise ValueError
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.slow
def test_a_signal_that_the_shell_had_ignored_is_heard():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts().listening() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.received == signal.SIGINT
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_is_the_one_of_shells(number, code):
    interrupts = Interrupts()
    interrupts.received = number
    with pytest.raises(InterruptedStudyError, match="stopped here") as raised:
        interrupts.raise_received("stopped here")
    assert raised.value.exit_code == code


def test_without_a_signal_nothing_is_raised():
    Interrupts().raise_received("stopped here")


@pytest.mark.slow
@pytest.mark.parametrize(("second", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_the_process_at_once(monkeypatch, second, code):
    ends = []
    monkeypatch.setattr("sweep.search.interrupts.os._exit", ends.append)
    with Interrupts().listening():
        os.kill(os.getpid(), signal.SIGINT)
        assert ends == []
        os.kill(os.getpid(), second)
        assert ends == [code]
