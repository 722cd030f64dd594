import pytest
from optuna.trial import TrialState

from sweep.engine import make_engine, train_alone
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.ledger import Ledger
from sweep.study.recording import finish_trial
from sweep.study.records import seat_of
from sweep.study.study_run import open_study_run
from sweep.study.trial_life import Asked, create_trial_run, trial_title
from sweep.study.trial_lives import TrialLives
from sweep_model.hyperparameters import Hyperparameters


@pytest.fixture
def begun(tiny_study, no_figures):
    """Return a study's loop, its own run and its first trial, asked and begun."""
    del no_figures
    loop = tiny_study()
    parent = open_study_run(loop.study, loop.tracker, loop.data)
    engine = make_engine(loop.data, loop.study.settings, loop.timings)
    asked = Asked(Ledger(loop.study.settings).ask(), engine.seat(0), slot=0, attempt=1)
    lives = TrialLives(loop.study, parent, loop.data, loop.timings, {})
    return loop, parent, lives.begin(asked)


def trained(loop, life):
    settings, (trial,) = loop.study.settings, loop.study.trials()
    for result in train_alone(
        loop.data,
        Hyperparameters(**trial.params),
        loss=settings.loss,
        epochs=settings.epochs,
        seat=seat_of(trial),
    ):
        life.record(result)


def test_trial_and_run_are_there_before_an_epoch_is_trained(begun):
    loop, parent, _ = begun
    (trial,) = loop.study.trials()
    (run,) = loop.tracker.runs(role="trial")
    assert trial.state == TrialState.RUNNING
    assert run.data.tags["sweep.trial"] == str(trial.number)
    assert run.info.status == "RUNNING"
    assert run.data.tags["mlflow.parentRunId"] == parent.id
    assert run.data.tags["sweep.attempt"] == "1"
    assert run.data.params["l2"] == "0.1"
    assert run.data.params["log10_l2"] == "-1.0"
    assert run.data.params["seed"] == str(trial.user_attrs[attributes.SEAT]["seed"])


def test_a_run_carries_what_its_numbers_rest_on(begun):
    loop, _, _ = begun
    (run,) = loop.tracker.runs(role="trial")
    choice = loop.study.settings.data
    assert run.data.tags["sweep.data_digest"] == choice.data_digest
    assert run.data.tags["sweep.split_digest"] == choice.split_digest
    assert run.data.tags["sweep.environment.blas_threads"] == "1"
    assert [
        (given.dataset.name, given.tags[0].value, given.dataset.digest)
        for given in run.inputs.dataset_inputs
    ] == [
        ("tiny-training", "training", choice.split_digest[:36]),
        ("tiny-validation", "validation", choice.split_digest[:36]),
    ]


def test_a_complete_trial_is_worth_its_last_epoch_in_both_stores(begun, in_both_stores):
    loop, _, life = begun
    trained(loop, life)
    life.end(Ending.COMPLETE)
    (trial,) = loop.study.trials()
    curve = trial.user_attrs[attributes.CURVES]["val/accuracy"]
    assert trial.value == life.values[-1] == curve[-1]
    assert trial.intermediate_values == dict(enumerate(curve, start=1))
    assert trial.user_attrs[attributes.ENVIRONMENT]["blas_threads"] == "1"
    (run,) = loop.tracker.runs(role="trial")
    assert trial.user_attrs[attributes.TRIAL_RUN] == run.info.run_id
    in_both_stores(loop.study, loop.tracker)


@pytest.mark.parametrize("ending", [Ending.PRUNED, Ending.DIVERGED, Ending.ERROR])
def test_any_other_ending_stands_in_both_stores_with_its_reason(begun, in_both_stores, ending):
    loop, _, life = begun
    trained(loop, life)
    life.end(ending, "so it ended")
    (trial,) = loop.study.trials()
    assert trial.user_attrs[attributes.REASON] == "so it ended"
    assert len(trial.intermediate_values) == 2
    in_both_stores(loop.study, loop.tracker)


def test_a_trial_that_ends_before_its_first_epoch_has_empty_curves_and_no_weights(
    begun, in_both_stores
):
    loop, _, life = begun
    life.end(Ending.INTERRUPTED, "stopped by SIGINT")
    (trial,) = loop.study.trials()
    assert not any(trial.user_attrs[attributes.CURVES].values())
    assert trial.user_attrs[attributes.WEIGHTS_DIGEST] is None
    in_both_stores(loop.study, loop.tracker)


def test_a_run_whose_creation_is_on_its_way_is_not_named_by_its_trial(begun, monkeypatch):
    loop, _, life = begun
    trained(loop, life)
    monkeypatch.setattr(loop.tracker, "run_id", lambda _: None)
    loop.tracker.send_by(lambda _, record: record(3))
    life.end(Ending.COMPLETE)
    known = loop.study.trials()[0].user_attrs
    assert (known[attributes.TRIAL_RUN], known[attributes.LETTER]) == (None, 3)


def test_an_ending_is_recorded_as_a_whole_or_not_at_all(begun, monkeypatch):
    loop, _, life = begun
    trained(loop, life)

    def dies(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(loop.study.storage._backend, "_set_trial_value_without_commit", dies)
        with pytest.raises(SystemExit):
            life.end(Ending.COMPLETE)
    (trial,) = loop.study.trials()
    assert trial.state == TrialState.RUNNING
    assert attributes.ENDING not in trial.user_attrs
    assert not trial.intermediate_values
    finish_trial(loop.study, life.trial_id, Ending.COMPLETE, life.values, {})
    assert loop.study.trials()[0].value == life.values[-1]


def test_a_figure_that_cannot_be_drawn_costs_nothing_of_the_result(begun, monkeypatch):
    def broken(*_, **__):
        raise ValueError("no such font")

    loop, _, life = begun
    trained(loop, life)
    monkeypatch.setattr("sweep.study.training_run.curves_figure", broken)
    assert life.end(Ending.COMPLETE) == "ValueError: no such font"
    assert loop.study.trials()[0].state == TrialState.COMPLETE
    (run,) = loop.tracker.runs(role="trial")
    assert run.info.status == "FINISHED"
    assert run.data.tags["sweep.artifact_error"] == "ValueError: no such font"


def test_runs_are_numbered_with_three_places_so_that_they_sort(begun):
    loop, parent, _ = begun
    create_trial_run(loop.study, 12, 3, parent)
    run = loop.tracker.runs(trial=12)[0]
    assert run.data.tags["mlflow.runName"] == "trial-012"
    assert run.data.tags["sweep.attempt"] == "3"
    assert trial_title(loop.study, 12) == "tiny-softmax · trial 012"
