import json

import pytest

from sweep.search.course import Rung, course_of, spent_by_pass
from sweep.search.scheduler import Outcome, Scheduler


@pytest.fixture
def searched(make_config, make_trial):
    """Return a function that searches by the real scheduler, and records its trials.

    Trial n has the value n / 100 after its first epoch, and loses or gains a bit with every one.
    """

    def search(trials=12, gain=0.001, **changes):
        config = make_config(**{"epochs": 9, "sampler": "random", **changes})
        scheduler = Scheduler(config, rows=45, classes=3, eigenvalues={"standardise": 1.0})

        def value(trial):
            return trial.index / 100 + gain * trial.epoch

        while scheduler.begin(trials) or scheduler.running:
            scheduler.take({t.index: Outcome(value(t), 1 - value(t)) for t in scheduler.running})
        metric = "losses" if config.objective == "val-loss" else "values"
        return config, [
            make_trial(
                each.index,
                each.values,
                losses=each.values if metric == "losses" else None,
                status=str(each.status),
                reason=each.reason,
                first_pass=each.first_pass,
            )
            for each in scheduler.trials
        ]

    return search


def test_every_rung_says_who_reached_it_who_went_on_and_what_was_needed(searched):
    config, trials = searched()
    course = course_of(config, trials)
    by_epoch = {rung.epoch: rung for rung in course.rungs}
    assert list(by_epoch) == [1, 2, 5]
    for epoch, rung in by_epoch.items():
        reached = [trial for trial in trials if trial.epochs >= epoch]
        assert rung.reached == len(reached)
        assert rung.went_on == sum(t.epochs > epoch for t in reached)
        assert rung.best == max(t.curves["val/accuracy"][epoch - 1] for t in reached)
    assert course.rungs[0] == Rung(1, 12, 6, 0.11, (0.05, 0.10))


@pytest.mark.parametrize("pruner", ["halving", "hyperband", "median", "none"])
def test_what_went_on_from_one_rung_has_reached_the_next_whatever_the_pruner(searched, pruner):
    config, trials = searched(pruner=pruner)
    course = course_of(config, trials)
    reached = [rung.reached for rung in course.rungs]
    assert reached[1:] == [rung.went_on for rung in course.rungs[:-1]]
    assert bool(reached) == (pruner in ("halving", "hyperband"))
    assert (course.spent, course.in_full) == (sum(t.epochs for t in trials), 12 * 9)


def test_less_loss_is_better(searched):
    config, trials = searched(objective="val-loss")
    course = course_of(config, trials)
    assert course.rungs[0].best == 0.0
    assert course.rungs[0].needed[0] > course.rungs[0].needed[1]  # the least, then the most
    assert course.best is course.baseline
    assert course.lines()["lead over trial 0"] == "none, it is the best"
    assert course.best_so_far[-1] == (course.spent, course.best.last("val/loss"))


def test_the_best_so_far_is_of_the_trials_still_in_the_search_at_their_last_rung(
    make_config, make_trial
):
    trials = [
        make_trial(0, [0.5, 0.6, 0.7, 0.1, 0.6, 0.7], first_pass=0),
        make_trial(1, [0.9], first_pass=0, status="pruned"),  # no answer: it was given up
        make_trial(2, [0.4, 0.3, 0.8, 0.3], first_pass=1, status="failed"),
        make_trial(3, [0.1, 0.2], first_pass=4),
    ]
    config = make_config(pruner="halving")  # rungs after 1 and 3 of 6 epochs
    course = course_of(config, trials)
    assert course.best_so_far == [(2, 0.5), (4, 0.5), (6, 0.7), (8, 0.8), (11, 0.7), (13, 0.7)]
    assert (course.spent, course.trials, course.in_full) == (13, 3, 18)
    unpruned = course_of(make_config(pruner="none"), trials)
    assert unpruned.best_so_far == [(13, 0.7)]


def test_a_trial_in_training_has_had_every_pass_so_far(make_trial):
    ended = make_trial(0, [0.5, 0.6, 0.7], first_pass=0)
    for values in ([], [0.1, 0.2], [0.1, 0.2, 0.3, 0.4]):
        running = make_trial(1, values, first_pass=1, status="running")
        assert spent_by_pass([ended, running]) == {0: 1, 1: 3, 2: 5}
    assert spent_by_pass([running]) == {}


def test_the_lead_is_over_the_trial_with_the_first_index(make_config, make_trial):
    trials = [make_trial(0, [0.7], index=1), make_trial(1, [0.6], index=0)]
    course = course_of(make_config(epochs=1), trials)
    assert course.lead == pytest.approx(0.1)
    assert course.lines() == {
        "spent": "2 trial-epochs",
        "lead over trial 0": "0.1000 (val/accuracy 0.7000 of trial 0, 0.6000 of trial 1)",
    }


def test_a_course_is_told_of_a_study_that_has_hardly_begun(make_config, make_trial):
    failed = make_trial(0, [], status="failed")
    for trials in ([], [make_trial(0, [], status="running")], [failed, failed]):
        course = course_of(make_config(), trials)
        assert (course.spent, course.best_so_far, course.lead) == (0, [], None)
        assert {(rung.reached, rung.best, rung.needed) for rung in course.rungs} == {
            (0, None, None)
        }
        assert course.lines()["lead over trial 0"].startswith("not known")
        json.dumps(course.record(), allow_nan=False)
