"""What a study does between two passes, without any store or training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.search.scheduler import Outcome, Scheduler
from sweep.search.trials import Status
from sweep.search_space import BASELINES, read_space


@pytest.fixture
def begin(make_config):
    """Return a function that makes a scheduler; random settings unless it says otherwise."""

    def make(**changes):
        config = make_config(**{"sampler": "random", "epochs": 10} | changes)
        return Scheduler(config, rows=10_000, classes=10, eigenvalues={"standardise": 1.0})

    return make


def by_index(index, epoch):
    """The later a trial begins the better it is, and it rises."""
    return Outcome(index / 1000 + epoch / 10_000, 1.0)


def run(scheduler, total, script=by_index, passes=10_000):
    """Run a study; return per pass which trials began and which ended."""
    story = []
    for _ in range(passes):
        begun = [trial.index for trial in scheduler.begin(total)]
        if not scheduler.running:
            break
        results = {trial.index: script(trial.index, trial.epoch + 1) for trial in scheduler.running}
        ended = {trial.index: (trial.status, trial.epoch) for trial in scheduler.take(results)}
        story.append((begun, ended))
    return story


def told(scheduler):
    return [vars(trial) for trial in scheduler.trials]


def test_trials_fill_the_slots_and_others_take_the_place_of_those_that_end(begin):
    scheduler = begin(slots=8, epochs=10)
    story = run(scheduler, 20)
    running = finished = 0
    for begun, ended in story:
        running += len(begun)
        assert running == min(8, 20 - finished)
        running -= len(ended)
        finished += len(ended)
    assert [index for begun, _ in story for index in begun] == list(range(20))
    assert scheduler.finished == 20
    assert scheduler.next_pass == len(story)
    for trial in scheduler.trials:
        assert trial.index in story[trial.first_pass][0]


def test_never_more_trials_begin_than_are_to_finish(begin):
    for total in (1, 2, 3, 7, 8, 9, 20):
        scheduler = begin(slots=8)
        run(scheduler, total)
        assert len(scheduler.trials) == total
        assert scheduler.finished == total


def test_studies_of_few_trials_and_epochs_come_to_an_end(begin):
    for pruner in ("halving", "hyperband", "median", "none"):
        for epochs in (1, 2, 3, 4, 5):
            for total in (1, 2, 3):
                scheduler = begin(pruner=pruner, epochs=epochs)
                story = run(scheduler, total)
                assert len(story) == epochs
                assert scheduler.finished == total
                complete = [t.index for t in scheduler.trials if t.status == Status.COMPLETE]
                assert complete[0] == 0
                if epochs == 1 or pruner in ("median", "none"):
                    assert complete == list(range(total))
                if pruner == "halving" and epochs > 1:
                    # of two or three, all but the best end at the first rung; the best is the last
                    assert complete == sorted({0, total - 1})


def test_the_baseline_goes_on_where_the_rule_would_have_ended_it(begin):
    scheduler = begin(epochs=50)
    run(scheduler, 8)
    baseline, *_, best = scheduler.trials
    assert (baseline.status, baseline.epoch, baseline.halted) == (Status.COMPLETE, 50, 3)
    assert (best.status, best.halted) == (Status.COMPLETE, None)
    scheduler = begin(epochs=50)
    run(scheduler, 8, lambda index, epoch: by_index(-index, epoch))
    assert scheduler.trials[0].halted is None


def test_the_baseline_counts_like_any_other_trial(begin):
    for values, expected in (
        ((0.9, 0.8, 0.7, 0.6), [("complete", 10), ("pruned", 2), ("pruned", 1), ("pruned", 1)]),
        ((0.6, 0.9, 0.8, 0.7), [("complete", 10), ("complete", 10), ("pruned", 2), ("pruned", 1)]),
    ):
        scheduler = begin(epochs=10, slots=4)
        run(scheduler, 4, lambda index, _, values=values: Outcome(values[index], 1.0))
        assert [(trial.status, trial.epoch) for trial in scheduler.trials] == expected
        last = next(trial for trial in scheduler.trials if trial.epoch == 2)
        among = 2 if values[0] == 0.9 else 3
        assert f"among the best 1 of {among} so far" in last.reason


def test_a_late_wave_of_one_must_be_among_the_best_of_all(begin):
    scheduler = begin(epochs=10, slots=8)
    run(scheduler, 9, lambda index, epoch: by_index(index if index < 8 else -1, epoch))
    late = scheduler.trials[8]
    assert (late.status, late.epoch) == (Status.PRUNED, 1)
    assert "of 9 so far" in late.reason
    scheduler = begin(epochs=10, slots=8)
    run(scheduler, 9)
    assert scheduler.trials[8].status == Status.COMPLETE


def test_a_diverged_trial_fails_and_touches_no_other(begin):
    def script(index, epoch):
        return "diverged: why" if (index, epoch) in ((2, 1), (5, 3)) else by_index(index, epoch)

    scheduler, plain = begin(pruner="none"), begin(pruner="none")
    story = run(scheduler, 12, script)
    run(plain, 12)
    assert story[0][1] == {2: (Status.FAILED, 0)}
    assert story[2][1] == {5: (Status.FAILED, 2)}
    assert scheduler.trials[5].reason == "diverged: why"
    assert len(scheduler.trials) == 14
    assert scheduler.finished == 12
    for one, other in zip(scheduler.trials, plain.trials, strict=False):
        assert one.params == other.params


def test_a_trial_that_fails_is_not_counted_at_its_rung(begin):
    def script(index, epoch):
        return "diverged" if index >= 4 else by_index(index, epoch)

    scheduler = begin(epochs=10, slots=8)
    run(scheduler, 4, script, passes=1)
    pruned = [trial for trial in scheduler.trials if trial.status == Status.PRUNED]
    assert [trial.index for trial in pruned] == [1]
    assert "among the best 2 of 4 so far" in pruned[0].reason


def test_a_grid_ends_when_it_has_no_point_left(begin):
    axes = ["l2=0.1,0.2", "learning_rate=0.01", "decay_period=10", "flip_probability=0.2"]
    space = read_space("softmax", overrides=[*axes, "batch_size=50,100"])
    scheduler = begin(sampler="grid", space=space)
    run(scheduler, 50)
    assert scheduler.exhausted
    assert scheduler.finished == len(scheduler.trials) == 4
    assert len({tuple(trial.params.values()) for trial in scheduler.trials}) == 4


def test_more_trials_begin_with_the_next_pass_and_are_no_first_wave(begin):
    scheduler = begin(sampler="tpe", slots=8)
    run(scheduler, 10)
    passes = scheduler.next_pass
    begun = scheduler.begin(30)
    assert [trial.index for trial in begun] == list(range(10, 18))
    assert {trial.first_pass for trial in begun} == {passes}
    plain = begin(sampler="tpe", slots=8)
    run(plain, 30)
    assert [t.params for t in scheduler.trials[:8]] == [t.params for t in plain.trials[:8]]


def test_a_total_of_nothing_lets_none_begin_until_it_is_raised(begin):
    scheduler = begin(pruner="none")
    run(scheduler, 20, passes=3)
    assert run(scheduler, 0)[-1][1].keys() == set(range(8))
    assert scheduler.finished == 8
    assert scheduler.begin(8) == []
    assert [trial.index for trial in scheduler.begin(10)] == [8, 9]


def test_a_setting_that_is_given_is_tried_and_what_it_lacks_is_proposed(begin):
    plain, scheduler = begin(), begin()
    plain.begin(8)
    given = {1: dict(BASELINES["bce"]), 2: {"l2": 0.5, "batch_size": 400}}
    scheduler.begin(8, given.get)
    params = [trial.params for trial in scheduler.trials]
    expected = [trial.params for trial in plain.trials]
    expected[1] = BASELINES["bce"]
    expected[2] = {**expected[2], "l2": 0.5, "batch_size": 400}
    assert params == expected


# The same results, the same decisions


def noisy(seed):
    draws = np.random.default_rng(seed).random((200, 60)).round(2)

    def script(index, epoch):
        if draws[index, 0] < 0.2 and epoch > 10 * draws[index, 1]:
            return "diverged"
        return Outcome(float(draws[index, 2] + 0.3 * draws[index, epoch]), 1.0)

    return script


@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_a_study_that_is_run_twice_is_the_same(begin, sampler):
    runs = []
    for _ in range(2):
        scheduler = begin(sampler=sampler, slots=8)
        runs.append((run(scheduler, 24, noisy(3)), told(scheduler)))
    assert runs[0] == runs[1]
    assert {trial["status"] for trial in runs[0][1]} == {"complete", "pruned", "failed"}


@given(
    seed=st.integers(0, 1000),
    pruner=st.sampled_from(["halving", "hyperband", "median", "none"]),
    objective=st.sampled_from(["val-accuracy", "val-loss"]),
    epochs=st.integers(1, 30),
    slots=st.integers(1, 20),
    order=st.randoms(use_true_random=False),
)
def test_decisions_depend_on_the_results_and_not_on_their_order(
    make_config, seed, pruner, objective, epochs, slots, order
):
    config = make_config(
        sampler="random", pruner=pruner, objective=objective, epochs=epochs, slots=slots
    )
    script, stories = noisy(seed), []
    for shuffled in (False, True):
        scheduler = Scheduler(config, rows=1000, classes=10, eigenvalues={"standardise": 1.0})
        while True:
            scheduler.begin(25)
            running = scheduler.running
            if not running:
                break
            if shuffled:
                order.shuffle(running)
            scheduler.take({trial.index: script(trial.index, trial.epoch + 1) for trial in running})
        stories.append(told(scheduler))
    assert stories[0] == stories[1]
    trials = scheduler.trials
    assert sum(trial.status in ("complete", "pruned") for trial in trials) == 25
    assert trials[0].status in ("complete", "failed")
    for trial in trials:
        assert (trial.epoch == epochs) == (trial.status == "complete")
        assert bool(trial.reason) == (trial.status != "complete")


def test_a_scheduler_that_is_replayed_from_its_record_decides_the_same(begin):
    for pruner in ("halving", "hyperband", "median"):
        scheduler = begin(sampler="tpe", pruner=pruner, slots=8)
        run(scheduler, 20, noisy(5))
        record = {trial.index: trial for trial in scheduler.trials}

        def script(index, epoch, record=record):
            trial = record[index]
            if epoch > trial.epoch:
                return trial.reason
            return Outcome(trial.values[epoch - 1], trial.losses[epoch - 1])

        replayed = begin(sampler="tpe", pruner=pruner, slots=8)
        while replayed.begin(20, lambda index: record[index].params) or replayed.running:  # noqa: B023
            replayed.take({t.index: script(t.index, t.epoch + 1) for t in replayed.running})
        assert told(replayed) == told(scheduler)
