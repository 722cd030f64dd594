import signal

import pytest
from optuna.trial import create_trial

from sweep.engine import Seat, blocking_of, train_alone
from sweep.errors import SweepError
from sweep.layout import LayoutChoice
from sweep.seeds import fresh_seed
from sweep.space import BASELINES
from sweep.study import attributes
from sweep.study.confirm import Confirming
from sweep.study.confirmation import confirmation_of
from sweep.study.interrupts import InterruptedStudyError
from sweep.study.passes import Budget
from sweep.study.results import chosen_trial, find_chosen, grounds, ranked
from sweep.timings import Timings
from sweep_model.hyperparameters import Hyperparameters

OPTIONS = {"sampler": "random", "pruner": "none", "epochs": 3}


@pytest.fixture
def loop(tiny_study, no_figures):
    """Return the loop of a finished study of eight trials."""
    del no_figures
    loop = tiny_study(layout=LayoutChoice(slots=4, width=2, workers=2), **OPTIONS)
    loop.run(Budget(8))
    return loop


@pytest.fixture
def confirm(loop):
    """Return a function that confirms the study."""

    def confirm(top=3, seeds=3, **options):
        confirming = Confirming(loop.study, loop.data, top=top, seeds=seeds, timings=Timings())
        return confirming.run(**options)

    return confirm


def test_the_top_trials_are_ranked_by_their_mean_on_fresh_seeds(loop, confirm):
    found = confirm()
    top = [trial.number for trial in ranked(loop.study)[:3]]
    assert sorted(one.trial for one in found.trials) == sorted(top)
    means = [one.mean for one in found.trials]
    assert means == sorted(means, reverse=True)
    assert found.finished == 8


def test_every_value_is_what_the_setting_trains_to_alone_on_that_seed(loop, confirm):
    found, settings = confirm(), loop.study.settings
    by_number = {one.trial: one for one in found.trials}
    blocking = blocking_of(settings.space)
    for slot, trial in enumerate(ranked(loop.study)[:3]):
        for number, value in enumerate(by_number[trial.number].values):
            seat = Seat(
                seed=fresh_seed(settings.seed, number),
                first_pass=0,
                slot=slot,
                width=4,
                micro_batch=blocking.micro_batch,
                block=blocking.block,
            )
            *_, last = train_alone(
                loop.data, Hyperparameters(**trial.params), loss="softmax", epochs=3, seat=seat
            )
            assert last.val.accuracy == value


def test_no_seed_of_a_confirmation_was_one_of_the_search(loop, confirm):
    searched = {trial.user_attrs[attributes.SEAT]["seed"] for trial in loop.study.trials()}
    assert searched.isdisjoint(confirm().seeds)


def test_the_baseline_trains_along_even_where_it_is_not_at_the_top(loop, confirm):
    found = confirm(top=1)
    baseline = loop.study.settings.space.clip(BASELINES["softmax"])
    assert len(found.baseline.values) == 3
    is_top = ranked(loop.study)[0].params == baseline
    assert (found.baseline.values == found.winner.values) == is_top


def test_the_workers_change_no_value(tiny_study, confirm):
    two = confirm()
    one = tiny_study(study_name="one", layout=LayoutChoice(slots=4, width=2, workers=1), **OPTIONS)
    one.run(Budget(8))
    again = Confirming(one.study, one.data, top=3, seeds=3, timings=Timings()).run()
    assert again.record() == two.record()


def test_what_is_done_is_not_trained_again_and_more_seeds_only_add_the_missing_ones(confirm):
    epochs = []
    few = confirm(seeds=2, on_epoch=epochs.append)
    assert sum(epochs) == 2 * 3
    epochs.clear()
    assert confirm(seeds=2, on_epoch=epochs.append).record() == few.record()
    assert not epochs
    more = confirm(seeds=5, on_epoch=epochs.append)
    assert sum(epochs) == 3 * 3
    by_number = {one.trial: one.values for one in more.trials}
    assert all(by_number[one.trial][:2] == one.values for one in few.trials)


@pytest.mark.slow
def test_a_stopped_confirmation_goes_on_and_comes_out_the_same(loop, confirm):
    def stop(_: int) -> None:
        stop.epochs += 1
        if stop.epochs == 4:  # in the second pair of seeds
            signal.raise_signal(signal.SIGINT)

    stop.epochs = 0
    with pytest.raises(InterruptedStudyError, match="goes on from here"):
        confirm(seeds=4, on_epoch=stop)
    assert confirmation_of(loop.study) is None
    assert chosen_trial(loop.study) == ranked(loop.study)[0]
    epochs = []
    found = confirm(seeds=4, on_epoch=epochs.append)
    assert sum(epochs) == 2 * 3
    fresh = Confirming(loop.study, loop.data, top=3, seeds=4, timings=Timings())
    loop.study.optuna.set_user_attr(attributes.CONFIRMING, {})
    assert fresh.run().record() == found.record()


def test_the_winner_becomes_the_chosen_trial_and_the_study_says_so(loop, confirm):
    assert grounds(loop.study) == "best by val-accuracy, not confirmed"
    found = confirm()
    assert chosen_trial(loop.study).number == found.winner.trial
    assert grounds(loop.study) == "confirmed on 3 fresh seeds"


def test_trials_that_finish_later_do_not_move_the_choice_but_are_told(loop, confirm):
    winner = confirm().winner.trial
    loop.run(Budget(11))
    assert find_chosen(loop.study).number == winner
    assert grounds(loop.study) == ("confirmed on 3 fresh seeds, before the last 3 trials finished")


def test_a_setting_that_diverges_on_fresh_seeds_is_ranked_last(tiny_study, no_figures):
    del no_figures
    loop = tiny_study(overrides=("l2=1", "batch_size=5", "learning_rate=0.01,1e6"), **OPTIONS)
    loop.run(Budget(3))
    study = loop.study
    known = next(trial for trial in study.trials() if trial.params["learning_rate"] == 0.01)
    lucky = create_trial(
        value=1.0,
        params=known.params | {"learning_rate": 1e6},
        distributions=known.distributions,
        user_attrs=known.user_attrs,
    )
    study.optuna.add_trial(lucky)
    assert ranked(study)[0].value == 1.0
    found = Confirming(study, loop.data, top=2, seeds=2, timings=Timings()).run()
    assert [one.diverged for one in found.trials] == [0, 2]
    assert chosen_trial(study).params["learning_rate"] == 0.01


def test_a_study_without_a_complete_trial_has_nothing_to_confirm(tiny_study):
    loop = tiny_study()
    with pytest.raises(SweepError, match="has no complete trial to confirm"):
        Confirming(loop.study, loop.data, top=3, seeds=3, timings=Timings())
