import itertools
import json
import math

import pytest

from sweep.search.record import summarise
from sweep.search.trials import Status, Tally, best_trial, complete, describe, ranked, tally
from sweep.search_space import BASELINES


@pytest.fixture
def trials(make_trial):
    """Return a function that makes trials by what each has in place of the usual."""

    def make(*parts):
        return [make_trial(number, **part) for number, part in enumerate(parts)]

    return make


def ended(accuracy, loss=0.5, **changes):
    return {"values": [0.2, accuracy], "losses": [9.0, loss], **changes}


def best(config, trials):
    return best_trial(config, trials).number


def test_the_best_trial_has_the_best_objective_at_its_last_epoch(trials, make_config):
    three = trials(ended(0.5, 0.3), ended(0.7, 0.4), {"values": [0.9, 0.6], "losses": [0.1, 0.5]})
    assert best(make_config(), three) == 1
    assert best(make_config(objective="val-loss"), three) == 0


def test_ties_go_to_the_lower_validation_loss_and_then_to_the_lower_number(trials, make_config):
    for losses, number in (((0.5, 0.3, 0.4), 1), ((0.5, 0.3, 0.3), 1), ((0.3, 0.3, 0.3), 0)):
        tied = trials(*(ended(0.5, loss) for loss in losses))
        assert {best(make_config(), order) for order in itertools.permutations(tied)} == {number}


def test_what_is_not_complete_is_never_the_best(trials, make_config):
    for status in set(Status) - {Status.COMPLETE}:
        other = ended(0.99, 0.01, status=status)
        assert best(make_config(), trials(other, ended(0.1), other)) == 1
        assert best_trial(make_config(), trials(other)) is None
    assert best_trial(make_config(), []) is None


def test_every_trial_is_counted_once(trials):
    counts = tally(
        trials(
            *(ended(0.5), ended(0.6), ended(0.1, status="pruned")),
            *(ended(0.1, status="failed"), ended(0.1, status="failed"), {"status": "running"}),
        )
    )
    assert counts == Tally(complete=2, pruned=1, failed=2, running=1)
    assert counts.finished == 3
    assert str(counts) == "2 complete, 1 pruned, 2 failed, 1 unfinished"
    assert str(tally([])) == "0 complete, 0 pruned, 0 failed"


def test_a_ranking_has_complete_trials_then_the_furthest_and_failed_ones_last(trials, make_config):
    order = trials(
        {"values": [0.9], "status": "pruned"},
        ended(0.5),
        ended(0.9),
        ended(0.95, status="failed"),
        ended(0.3, status="pruned"),
        ended(0.7),
        ended(0.4, status="pruned"),
        {"values": [], "status": "running"},
    )
    assert [trial.number for trial in ranked(make_config(), order)] == [2, 5, 1, 6, 4, 0, 3, 7]
    assert [trial.number for trial in complete(order)] == [1, 2, 5]


def test_the_last_value_is_that_of_the_last_epoch_or_nan(make_trial):
    trial = make_trial(values=[0.25, 0.5])
    assert (trial.epochs, trial.last("val/accuracy")) == (2, 0.5)
    begun = make_trial(values=[], status="running")
    assert begun.epochs == 0
    assert math.isnan(begun.last("val/accuracy"))


def test_a_trial_that_diverged_in_its_first_epoch_has_no_epoch(make_trial):
    failed = make_trial(values=[], status="failed", curves={"val/loss": []})
    assert failed.epochs == 0
    assert math.isnan(failed.last("val/loss"))


def test_a_description_is_flat_has_stable_names_and_goes_through_json(make_trial):
    trial = make_trial(3, [0.25, 0.5], losses=[1.0, 0.25], status="pruned", reason="rung 2")
    assert json.loads(json.dumps(describe(trial), allow_nan=False)) == {
        "trial": 3,
        "status": "pruned",
        "reason": "rung 2",
        "epochs": 2,
        "val/accuracy": 0.5,
        "val/loss": 0.25,
        "train/accuracy": 0.5,
        **BASELINES["softmax"],
    }
    nothing = describe(make_trial(values=[], status="running"))
    measured = ("val/accuracy", "val/loss", "train/accuracy")
    assert [nothing[metric] for metric in measured] == [None] * 3


def test_a_summary_has_the_counts_and_the_best_result(make_study, trials):
    three = trials(ended(0.9, status="pruned"), ended(0.5, 0.75), ended(0.1, status="failed"))
    study = make_study(trials=three)
    told = {
        "study": "tiny-softmax",
        "data": "tiny",
        "loss": "softmax",
        "complete": 1,
        "pruned": 1,
        "failed": 1,
        "best_trial": 1,
        "val/accuracy": 0.5,
        "val/loss": 0.75,
    }
    assert summarise(study) == told


def test_a_summary_without_a_best_trial_has_nulls(make_study, trials):
    summary = summarise(make_study(trials=trials(ended(0.9, status="pruned"))))
    assert [summary[key] for key in ("best_trial", "val/accuracy", "val/loss")] == [None] * 3
