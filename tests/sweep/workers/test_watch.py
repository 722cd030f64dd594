"""What is told of a study that others train."""

from __future__ import annotations

from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from sweep.errors import StoreUnreachableError
from sweep.study import attributes
from sweep.study.listener import Listener
from sweep.workers.watch import Watch

pytestmark = pytest.mark.slow

RUNNING, COMPLETE, PRUNED, FAIL = (
    TrialState.RUNNING,
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.FAIL,
)


class Told(Listener):
    def __init__(self):
        self.news = []

    def trial_began(self, number):
        self.news.append(("began", number))

    def epoch_ended(self, number, epoch, value):
        self.news.append(("epoch", number, epoch, value))

    def trial_ended(self, number, ending, reason, best):
        self.news.append(("ended", number, str(ending), reason, best and best.number))

    def pass_ended(self, training):
        self.news.append(("training", training))

    def warned(self, text):
        self.news.append(("warned", text))


def trial(number, state, values, reason=""):
    known = {}
    if state.is_finished():
        how = {COMPLETE: "complete", PRUNED: "pruned", FAIL: "error"}[state]
        names = ("val/accuracy", "val/loss")
        known = {
            attributes.ENDING: how,
            attributes.REASON: reason,
            attributes.CURVES: {name: list(values) for name in names},
        }
    frozen = optuna.trial.create_trial(
        state=state,
        value=values[-1] if state == COMPLETE else None,
        user_attrs=known,
        intermediate_values=dict(enumerate(values, start=1)),
    )
    frozen.number = number
    return frozen


@pytest.fixture
def watched(make_settings):
    """Return a watch, the list of trials that it sees, and what it told since the last look."""
    trials, told = [], Told()
    study = SimpleNamespace(settings=make_settings(shared=True), trials=lambda: list(trials))
    watch = Watch(study, told)

    def look(*now):
        trials[:], told.news = now, []
        watch.look()
        return told.news

    look.study, look.watch = study, watch
    return look


def test_a_trial_is_told_from_its_beginning_to_its_end(watched):
    assert watched() == []
    assert watched(trial(0, RUNNING, [])) == [("began", 0)]
    assert watched(trial(0, RUNNING, [0.5, 0.6])) == [
        ("epoch", 0, 1, 0.5),
        ("epoch", 0, 2, 0.6),
        ("training", 1),
    ]
    assert watched(trial(0, COMPLETE, [0.5, 0.6, 0.7])) == [
        ("epoch", 0, 3, 0.7),
        ("ended", 0, "complete", "", 0),
        ("training", 0),
    ]
    assert watched(trial(0, COMPLETE, [0.5, 0.6, 0.7])) == [("training", 0)]
    assert watched.watch.counts.finished == 1


def test_what_came_and_went_between_two_looks_is_told_whole(watched):
    assert watched(trial(0, PRUNED, [0.1], "too low")) == [
        ("began", 0),
        ("epoch", 0, 1, 0.1),
        ("ended", 0, "pruned", "too low", None),
        ("training", 0),
    ]


def test_a_trial_that_another_worker_takes_over_begins_anew(watched):
    watched(trial(0, RUNNING, [0.5, 0.6, 0.7]))
    assert watched(trial(0, RUNNING, [0.5])) == [
        ("began", 0),
        ("epoch", 0, 1, 0.5),
        ("training", 1),
    ]
    assert watched(trial(0, RUNNING, [])) == [("began", 0), ("training", 1)]


def test_a_failed_trial_is_told_and_does_not_count(watched):
    assert watched(trial(0, FAIL, [0.2], "broken"))[-2:] == [
        ("ended", 0, "error", "broken", None),
        ("training", 0),
    ]
    assert watched.watch.counts.finished == 0


def test_a_store_that_is_away_is_told_once(watched):
    there = watched.study.trials

    def away():
        raise StoreUnreachableError("away")

    watched.study.trials = away
    assert watched() == [("warned", "away")]
    assert watched() == []
    watched.study.trials = there
    assert watched(trial(0, RUNNING, [])) == [("began", 0)]
    watched.study.trials = away
    assert watched() == [("warned", "away")]
