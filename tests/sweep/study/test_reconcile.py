from dataclasses import asdict

import pytest
from optuna.trial import TrialState, create_trial

from sweep.engine import make_engine, train_alone
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.ledger import Ledger
from sweep.study.passes import Budget
from sweep.study.reconcile import reconcile, unfinished_runs
from sweep.study.records import seat_of
from sweep.study.study_run import open_study_run
from sweep.study.trial_life import Asked
from sweep.study.trial_lives import TrialLives
from sweep.tracking.run import Run
from sweep_model.hyperparameters import Hyperparameters

UNKNOWN = ("sweep.weights_digest", "sweep.run_key")
"""The tags of a run that no record of its trial knows."""


@pytest.fixture
def loop(tiny_study, no_figures):
    del no_figures
    return tiny_study()


def reconciled(loop):
    """Reconcile and return how many runs changed."""
    return reconcile(loop.study, open_study_run(loop.study, loop.tracker, loop.data), loop.data)


def begin_trial(loop):
    parent = open_study_run(loop.study, loop.tracker, loop.data)
    engine = make_engine(loop.data, loop.study.settings, loop.timings)
    asked = Asked(Ledger(loop.study.settings).ask(), engine.seat(0), slot=0, attempt=1)
    return TrialLives(loop.study, parent, loop.data, loop.timings, {}).begin(asked)


def unfinished(loop, states=()):
    return unfinished_runs(loop.study, loop.tracker, set(states))


def statuses(loop):
    runs = loop.tracker.runs(role="trial")
    return {int(run.data.tags["sweep.trial"]): run.info.status for run in runs}


def dump(loop):
    """Return all that the store says about the trials' runs, apart from their ids."""
    client = loop.tracker.client
    return {
        run.data.tags["sweep.trial"]: (
            run.info.status,
            run.data.params,
            {
                name: [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
                if not name.startswith("val_accuracy_of/")
            },
            {
                name: value
                for name, value in run.data.tags.items()
                if name.startswith("sweep.") and name not in UNKNOWN
            },
        )
        for run in loop.tracker.runs(role="trial")
    }


def test_what_ended_in_order_needs_no_change(loop):
    loop.run(Budget(2))
    assert reconciled(loop) == 0
    assert unfinished(loop) == {}


def test_a_trial_that_was_left_in_training_stays_so_and_its_run_is_killed_until_it_goes_on(loop):
    begin_trial(loop)
    before = loop.study.trials()
    assert reconciled(loop) == 1
    assert loop.study.trials() == before
    assert before[0].state == TrialState.RUNNING
    assert statuses(loop) == {0: "KILLED"}
    assert reconciled(loop) == 0


def test_the_run_of_an_unfinished_trial_is_taken_up_as_long_as_it_has_no_points(loop):
    life = begin_trial(loop)
    assert unfinished(loop) == {0: life.training.run.id}


@pytest.mark.parametrize(("known", "told"), [(True, True), (True, False), (False, True)])
def test_a_run_goes_on_only_where_its_points_are_those_of_the_checkpoint(loop, known, told):
    run = begin_trial(loop).training.run
    if told:
        run.metrics({"val/loss": 1.0}, 1)
        run.flush()
    found = unfinished(loop, {0} if known else ())
    assert found == ({0: run.id} if known and told else {})
    assert statuses(loop).keys() == found.keys()


def test_the_runs_of_finished_trials_are_never_deleted(loop):
    loop.run(Budget(2))
    life = begin_trial(loop)
    life.record(first_epoch(loop))
    life.training.run.flush()
    assert unfinished(loop) == {}
    assert statuses(loop) == {0: "FINISHED", 1: "FINISHED"}


def first_epoch(loop):
    trial = loop.study.trials()[-1]
    setting, seat = Hyperparameters(**trial.params), seat_of(trial)
    return next(train_alone(loop.data, setting, loss="softmax", epochs=1, seat=seat))


def test_a_trial_that_died_before_it_had_a_run_has_none_to_take_up(loop, monkeypatch):
    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("sweep.study.trial_lives.create_trial_run", dies)
        with pytest.raises(KeyboardInterrupt):
            begin_trial(loop)
    assert (unfinished(loop), reconciled(loop)) == ({}, 0)


def test_a_finished_trial_without_a_run_is_given_one(loop, in_both_stores):
    loop.run(Budget(1))
    (run,) = loop.tracker.runs(role="trial")
    loop.tracker.client.delete_run(run.info.run_id)
    assert reconciled(loop) == 1
    in_both_stores(loop.study, loop.tracker)


def test_a_trial_that_failed_while_it_was_asked_is_given_a_run_without_parameters(loop):
    trial = loop.study.optuna.ask()
    trial.set_user_attr(attributes.ENDING, Ending.ERROR)
    loop.study.optuna.tell(trial, state=TrialState.FAIL)
    assert reconciled(loop) == 1
    (run,) = loop.tracker.runs(role="trial")
    assert run.data.params == {}
    assert run.info.status == Ending.ERROR.mlflow_status


def test_runs_under_another_parent_than_the_studys_own_are_put_under_it(loop, in_both_stores):
    loop.run(Budget(2))
    other = Run.create(loop.tracker, "a parent that was lost", tags={})
    for run in loop.tracker.runs(role="trial"):
        loop.tracker.client.set_tag(run.info.run_id, "mlflow.parentRunId", other.id)
    assert reconciled(loop) == 2
    in_both_stores(loop.study, loop.tracker)
    assert reconciled(loop) == 0


def test_a_run_that_was_cut_short_after_the_telling_is_completed_point_by_point(
    loop, monkeypatch, in_both_stores
):
    life = begin_trial(loop)
    (trial,) = loop.study.trials()
    setting, seat = Hyperparameters(**trial.params), seat_of(trial)
    for result in train_alone(loop.data, setting, loss="softmax", epochs=2, seat=seat):
        life.record(result)
        if result.epoch == 1:
            life.training.run.flush()

    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("sweep.tracking.tracker.Tracker.deliver", dies)
        with pytest.raises(KeyboardInterrupt):
            life.end(Ending.COMPLETE)
    assert reconciled(loop) == 1
    in_both_stores(loop.study, loop.tracker)
    (run,) = loop.tracker.runs(role="trial")
    assert run.data.metrics["best/epoch"] in (1, 2)
    assert reconciled(loop) == 0


def test_the_second_time_nothing_changes(loop):
    begin_trial(loop)
    reconciled(loop)
    before, trials = dump(loop), loop.study.trials()
    assert reconciled(loop) == 0
    assert dump(loop) == before
    assert loop.study.trials() == trials


def test_a_lost_mlflow_store_is_rebuilt_from_optunas(loop, in_both_stores):
    loop.run(Budget(2))
    life = begin_trial(loop)
    life.end(Ending.PRUNED, "fell behind")
    before = dump(loop)
    client = loop.tracker.client
    for run in loop.tracker.runs():
        client.delete_run(run.info.run_id)

    assert reconciled(loop) == 3
    assert dump(loop) == before
    in_both_stores(loop.study, loop.tracker)
    assert reconciled(loop) == 0


def test_a_status_that_somebody_changed_is_put_right(loop):
    loop.run(Budget(1))
    (run,) = loop.tracker.runs(role="trial")
    loop.tracker.client.set_terminated(run.info.run_id, "FAILED")
    assert reconciled(loop) == 1
    assert statuses(loop) == {0: "FINISHED"}


def test_the_runs_of_another_study_are_left_alone(tiny_study, loop):
    other = tiny_study(study_name="other")
    begin_trial(other)
    loop.run(Budget(1))
    (run,) = loop.tracker.runs(role="trial", study="other")
    assert run.info.status == "RUNNING"


def test_a_trial_of_an_archive_that_was_stopped_before_its_first_epoch_is_given_a_run(
    loop, in_both_stores
):
    trial = Ledger(loop.study.settings).ask()
    known = {
        attributes.POSITION: 0,
        attributes.ATTEMPT: 1,
        attributes.SLOT: 0,
        attributes.SEAT: asdict(make_engine(loop.data, loop.study.settings, loop.timings).seat(0)),
        attributes.REASON: "in training when the study was exported",
        attributes.ENDING: str(Ending.INTERRUPTED),
    }
    loop.study.optuna.add_trial(
        create_trial(
            state=TrialState.FAIL,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=known,
        )
    )
    assert reconciled(loop) == 1
    in_both_stores(loop.study, loop.tracker)
    (run,) = loop.tracker.runs(role="trial")
    assert "**Interrupted** after 0 of 2 epochs" in run.data.tags["mlflow.note.content"]
