"""Which trials end early: rules over values, to the letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.search.halving import Halving, Trial, make_pruner, rungs


def trials_at(epoch, values, *, losses=None, first=0):
    """Return trials that have had so many epochs, all with the same value."""
    losses = [1.0] * len(values) if losses is None else losses
    return [
        Trial(first + i, {}, 0, [value] * epoch, [loss] * epoch)
        for i, (value, loss) in enumerate(zip(values, losses, strict=True))
    ]


def test_rungs_are_half_a_sixth_and_an_eighteenth_of_the_epochs_rounded_up():
    for epochs, expected in {
        1: [],
        2: [1],
        3: [1, 2],
        4: [1, 2],
        5: [1, 3],
        10: [1, 2, 5],
        18: [1, 3, 9],
        50: [3, 9, 25],
        100: [6, 17, 50],
        1000: [56, 167, 500],
    }.items():
        assert rungs(epochs, 3) == expected, epochs
    assert rungs(50, 2) == [7, 13, 25]
    assert rungs(50, 4) == [2, 7, 25]


def test_the_best_third_goes_on_rounded_up(make_config):
    for count, kept in {1: 1, 2: 1, 3: 1, 4: 2, 6: 2, 7: 3, 16: 6}.items():
        pruner = Halving(make_config(epochs=10))
        reasons = pruner.judge(trials_at(1, [i / 100 for i in range(count)]))
        assert sorted(reasons) == list(range(count - kept)), count


def test_between_rungs_and_at_the_last_epoch_nobody_is_judged(make_config):
    for epochs in (1, 2, 3, 4, 5, 10):
        for epoch in range(1, epochs + 1):
            reasons = Halving(make_config(epochs=epochs)).judge(trials_at(epoch, range(9)))
            assert bool(reasons) == (epoch in rungs(epochs, 3)), (epochs, epoch)


def test_a_trial_must_be_among_the_best_that_ever_reached_the_rung(make_config):
    pruner = Halving(make_config(epochs=10))
    pruner.judge(trials_at(1, [0.5, 0.6, 0.7, 0.8, 0.9]))
    assert pruner.judge(trials_at(1, [0.75], first=5)).keys() == {5}  # third of 6, two go on
    assert pruner.judge(trials_at(1, [0.76], first=6)) == {}  # third of 7, three go on
    assert pruner.judge(trials_at(1, [0.95], first=7)) == {}


def test_a_trial_must_be_among_the_best_of_its_pass(make_config):
    pruner = Halving(make_config(epochs=10))
    pruner.judge(trials_at(1, [0.1] * 30))
    reasons = pruner.judge(trials_at(1, [0.9, 0.8, 0.7, 0.6], first=30))
    assert reasons.keys() == {32, 33}
    assert "among the best 2 of 4 in this pass" in reasons[32]
    assert "needed 0.8000" in reasons[32]


def test_equals_are_told_apart_by_their_loss_and_then_by_their_index(make_config):
    for objective in ("val-accuracy", "val-loss"):
        pruner = Halving(make_config(epochs=10, objective=objective))
        reasons = pruner.judge(trials_at(1, [0.5] * 6, losses=[3, 2, 1, 2, 3, 3]))
        assert reasons.keys() == {0, 3, 4, 5}
        pruner = Halving(make_config(epochs=10, objective=objective))
        assert pruner.judge(trials_at(1, [0.5] * 9)).keys() == set(range(3, 9))


def test_with_the_loss_as_objective_less_is_better(make_config):
    pruner = Halving(make_config(epochs=10, objective="val-loss"))
    reasons = pruner.judge(trials_at(1, [0.3, 0.1, 0.2]))
    assert reasons.keys() == {0, 2}
    assert "val/averaged_loss 0.3000, needed 0.1000" in reasons[0]


def test_the_reason_names_rung_value_needed_value_and_among_how_many(make_config):
    pruner = Halving(make_config(epochs=50))
    pruner.judge(trials_at(9, [0.5, 0.6, 0.7, 0.8]))
    reason = pruner.judge(trials_at(9, [0.123456], first=4))[4]
    for part in ("rung 9", "val/averaged_accuracy 0.1235", "needed 0.7000", "best 2 of 5 so far"):
        assert part in reason


def test_trials_at_different_rungs_in_the_same_pass_are_compared_with_their_own(make_config):
    pruner = Halving(make_config(epochs=50))
    advanced = trials_at(9, [0.5, 0.4, 0.3]) + trials_at(3, [0.2, 0.1, 0.15], first=3)
    reasons = pruner.judge(advanced)
    assert {index: reason[:6] for index, reason in reasons.items()} == {
        1: "rung 9",
        2: "rung 9",
        4: "rung 3",
        5: "rung 3",
    }


def test_eta_is_the_share_that_goes_on(make_config):
    for eta, kept in ((2, 4), (3, 3), (4, 2), (8, 1)):
        pruner = Halving(make_config(epochs=50, eta=eta))
        reasons = pruner.judge(trials_at(pruner.rungs[0], range(8)))
        assert len(reasons) == 8 - kept


# Hyperband


def test_a_bracket_is_the_number_of_trailing_zeros_of_the_index(make_config):
    pruner = make_pruner(make_config(epochs=50, pruner="hyperband"))
    brackets = [pruner.bracket(index) for index in range(17)]
    assert brackets == [3, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0, 3]
    short = make_pruner(make_config(epochs=2, pruner="hyperband"))
    assert [short.bracket(index) for index in range(5)] == [1, 0, 1, 0, 1]
    assert make_pruner(make_config(epochs=1, pruner="hyperband")).bracket(0) == 0


def test_a_bracket_is_judged_from_its_own_rung_on_and_among_its_own(make_config):
    def judged(epoch):
        pruner = make_pruner(make_config(epochs=50, pruner="hyperband"))
        return set(pruner.judge(trials_at(epoch, [-i for i in range(17)])))

    # bracket 0: 1, 3, ..., 15; bracket 1: 2, 6, 10, 14; bracket 2: 4, 12; bracket 3: 0, 8, 16
    first = {7, 9, 11, 13, 15}
    second = first | {10, 14}
    assert judged(3) == first
    assert judged(9) == second
    assert judged(25) == second | {12}


# Median


def median_pruner(make_config, complete, **changes):
    """Return the rule of a study in which trials are complete with these values, each constant."""
    config = make_config(**{"pruner": "median", "epochs": 30} | changes)
    pruner = make_pruner(config)
    for epoch in range(1, config.epochs + 1):
        assert pruner.judge(trials_at(epoch, complete)) == {}
    return pruner


def test_the_median_waits_for_five_complete_trials(make_config):
    assert median_pruner(make_config, [0.5] * 4).judge(trials_at(10, [0.1])) == {}
    assert median_pruner(make_config, [0.5] * 5).judge(trials_at(10, [0.1])).keys() == {0}


def test_the_median_waits_for_a_tenth_of_the_epochs_and_leaves_the_last(make_config):
    for epochs, first in {30: 3, 10: 1, 1: 1, 5: 1, 50: 5}.items():
        pruner = median_pruner(make_config, [0.5] * 5, epochs=epochs)
        judged = [e for e in range(1, epochs + 1) if pruner.judge(trials_at(e, [0.1]))]
        assert judged == list(range(first, epochs)), epochs


def test_the_best_so_far_is_compared_with_the_median_at_that_epoch(make_config):
    pruner = median_pruner(make_config, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    trial = Trial(9, {}, 0, [0.1, 0.36, 0.1, 0.1], [1.0] * 4)
    assert pruner.judge([trial]) == {}
    trial = Trial(9, {}, 0, [0.1, 0.3423, 0.1, 0.1], [1.0] * 4)
    reason = pruner.judge([trial])[9]
    for part in ("epoch 4", "val/accuracy 0.3423", "0.3500", "median of 6"):
        assert part in reason
    pruner = median_pruner(make_config, [1.0, 2.0, 3.0, 4.0, 5.0], objective="val-loss")
    assert pruner.judge(trials_at(4, [2.9, 3.1])).keys() == {1}


def test_without_a_pruner_nobody_is_judged(make_config):
    pruner = make_pruner(make_config(pruner="none"))
    assert [pruner.judge(trials_at(epoch, range(20))) for epoch in (1, 2, 6)] == [{}] * 3


# Whatever the values


@given(
    waves=st.lists(
        st.lists(
            st.tuples(st.sampled_from([0.1, 0.2, 0.3]), st.sampled_from([1.0, 2.0])), max_size=9
        ),
        max_size=5,
    ),
    objective=st.sampled_from(["val-accuracy", "val-loss"]),
)
def test_the_two_conditions_are_as_they_are_defined(make_config, waves, objective):
    config = make_config(epochs=10, objective=objective)
    pruner, everyone, index = Halving(config), [], 0
    for wave in waves:
        values, losses = [v for v, _ in wave], [loss for _, loss in wave]
        advanced = trials_at(1, values, losses=losses, first=index)
        index += len(wave)
        everyone += advanced
        reasons = pruner.judge(advanced)

        def best(trials):
            keys = sorted((config.sign * t.values[0], t.losses[0], t.index) for t in trials)
            return {key[2] for key in keys[: -(-len(keys) // 3)]}

        goes_on = best(everyone) & best(advanced)
        assert set(reasons) == {trial.index for trial in advanced} - goes_on


@pytest.mark.parametrize("pruner", ["halving", "hyperband", "median", "none"])
def test_the_order_in_which_trials_are_named_does_not_matter(make_config, pruner, rng):
    values = rng.random((12, 50)).round(1).tolist()
    orders = [list(range(12)), list(range(11, -1, -1))]
    told = []
    for order in orders:
        rule = make_pruner(make_config(epochs=50, pruner=pruner))
        told.append(
            [
                rule.judge([Trial(i, {}, 0, values[i][:epoch], [1.0] * epoch) for i in order])
                for epoch in range(1, 51)
            ]
        )
    assert told[0] == told[1]
