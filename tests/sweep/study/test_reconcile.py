import pytest
from optuna.trial import TrialState

from sweep.engine import make_engine, train_alone
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.ledger import Ledger
from sweep.study.passes import Budget
from sweep.study.reconcile import DIED, heal, reconcile
from sweep.study.study_run import open_study_run
from sweep.study.trial_life import Asked, TrialLife


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
    return TrialLife(loop.study, asked, parent, loop.data, loop.timings)


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
                if name.startswith("sweep.") and name != "sweep.weights_digest"
            },
        )
        for run in loop.tracker.runs(role="trial")
    }


def test_what_ended_in_order_needs_no_change(loop):
    loop.run(Budget(2))
    assert heal(loop.study) == 0
    assert reconciled(loop) == 0


def test_a_trial_that_died_in_training_counts_as_interrupted_in_both_stores(loop, in_both_stores):
    begin_trial(loop)
    assert heal(loop.study) == 1
    assert reconciled(loop) == 1
    (trial,) = loop.study.trials()
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs[attributes.REASON] == DIED
    assert statuses(loop) == {0: "FAILED"}
    in_both_stores(loop.study, loop.tracker)


def test_a_trial_that_died_before_it_had_a_run_is_given_one(loop, monkeypatch, in_both_stores):
    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("sweep.study.trial_life.create_trial_run", dies)
        with pytest.raises(KeyboardInterrupt):
            begin_trial(loop)
    assert (heal(loop.study), reconciled(loop)) == (1, 1)
    in_both_stores(loop.study, loop.tracker)


def test_a_trial_that_died_while_it_was_asked_is_given_a_run_without_parameters(
    loop, in_both_stores
):
    loop.study.optuna.ask()
    assert (heal(loop.study), reconciled(loop)) == (1, 1)
    assert loop.tracker.runs(role="trial")[0].data.params == {}
    in_both_stores(loop.study, loop.tracker)


def test_a_run_that_was_cut_short_after_the_telling_is_completed_point_by_point(
    loop, monkeypatch, in_both_stores
):
    life = begin_trial(loop)
    for result in train_alone(
        loop.data, life.asked.hyperparameters, loss="softmax", epochs=2, seat=life.asked.seat
    ):
        life.record(result)
        if result.epoch == 1:
            life.training.run.flush()

    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("sweep.study.training_run.TrainingRun.log_ending", dies)
        with pytest.raises(KeyboardInterrupt):
            life.end(Ending.COMPLETE)
    assert (heal(loop.study), reconciled(loop)) == (0, 1)
    in_both_stores(loop.study, loop.tracker)
    (run,) = loop.tracker.runs(role="trial")
    assert run.data.metrics["best/epoch"] in (1, 2)
    assert reconciled(loop) == 0


def test_the_second_time_nothing_changes(loop):
    begin_trial(loop)
    heal(loop.study)
    reconciled(loop)
    before, trials = dump(loop), loop.study.trials()
    assert (heal(loop.study), reconciled(loop)) == (0, 0)
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
