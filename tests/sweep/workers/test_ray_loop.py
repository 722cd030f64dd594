"""A worker that Ray places: stopped without signals, its logins in nobody's sight."""

from __future__ import annotations

import signal
import threading

import pytest

from sweep.layout import LayoutChoice
from sweep.study.interrupts import Interrupts
from sweep.workers.ray_loop import Loop, Order

pytestmark = pytest.mark.slow

SECRET = "battery-staple"  # noqa: S105 - of no account


def order(**changes):
    return Order(
        **{
            "study": "spread",
            "storage": f"postgresql+psycopg://sweep:{SECRET}@127.0.0.1:1/nothing",
            "tracking_uri": f"http://sweep:{SECRET}@127.0.0.1:1",
            "layout": LayoutChoice(workers=1),
            "seconds": None,
            "environment": {"PGPASSWORD": SECRET},
            **changes,
        }
    )


def test_an_order_shows_no_login():
    assert SECRET not in repr(order())
    assert "spread" in repr(order())


def test_a_problem_is_an_outcome_with_its_exit_code(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "mine")  # a machine's own is left as it is
    outcome = Loop().run(order(), shelf=None)
    assert outcome.exit_code == 75
    assert SECRET not in outcome.text


def test_elsewhere_than_in_the_main_thread_a_call_stops_what_a_signal_would():
    interrupts, seen = Interrupts(), []

    def listen():
        with interrupts.listening():
            interrupts.stop(signal.SIGTERM)
            interrupts.stop(signal.SIGINT)
            seen.append(interrupts.received)

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [signal.SIGTERM]  # the first counts
    assert signal.getsignal(signal.SIGTERM) == before
