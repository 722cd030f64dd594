import pytest
from optuna.trial import TrialState

from sweep.curves import append, point
from sweep.engine import make_engine
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.ledger import Ledger
from sweep.study.records import seat_of
from sweep.study.study_run import open_study_run
from sweep.study.trial_life import Asked
from sweep.study.trial_lives import TrialLives
from sweep_model.hyperparameters import Hyperparameters

pytestmark = pytest.mark.usefixtures("no_figures")


class World:
    """A study of images, its engine and its first trial."""

    def __init__(self, loop):
        self.loop, self.study, self.tracker = loop, loop.study, loop.tracker
        self.parent = open_study_run(loop.study, loop.tracker, loop.data)
        self.engine = make_engine(loop.data, loop.study.settings, loop.timings)
        trial = Ledger(loop.study.settings).ask()
        self.asked = Asked(trial, self.engine.seat(0), slot=0, attempt=1)

    def lives(self, **runs):
        numbered = {int(name[1:]): run for name, run in runs.items()}
        return TrialLives(self.study, self.parent, self.loop.data, self.loop.timings, numbered)

    def again(self, attempt):
        return Asked(self.asked.trial, self.asked.seat, slot=0, attempt=attempt)

    def runs(self):
        return self.tracker.runs(role="trial")


@pytest.fixture
def world(image_study):
    return World(image_study())


@pytest.fixture
def left(world):
    """Return the state of a trial that two epochs are behind of, and its life so far."""
    life = world.lives().begin(world.asked)
    world.engine.start(0, world.asked.hyperparameters)
    for _ in range(2):
        life.record(world.engine.run_pass()[0])
    life.training.run.flush()
    return life.training.state(world.engine.state(0)), life


def resumed(world, state):
    engine = make_engine(world.loop.data, world.study.settings, world.loop.timings)
    engine.run_pass()
    engine.run_pass()
    return engine, engine.resume(0, world.asked.hyperparameters, state.slot)


def test_a_trial_begins_in_both_stores_with_its_setting_and_its_place(world):
    life = world.lives().begin(world.asked)
    (trial,) = world.study.trials()
    (run,) = world.runs()
    assert (life.number, life.trial_id) == (trial.number, trial._trial_id)
    assert trial.state == TrialState.RUNNING
    assert trial.params == world.asked.trial.params
    assert seat_of(trial) == world.asked.seat
    known = (attributes.POSITION, attributes.ATTEMPT, attributes.SLOT)
    assert [trial.user_attrs[name] for name in known] == [0, 1, 0]
    assert run.info.run_id == life.training.run.id
    assert float(run.data.params["learning_rate"]) == trial.params["learning_rate"]
    assert run.data.metrics == {}


def test_a_trial_that_begins_again_keeps_its_number_and_counts_its_attempts(world):
    world.lives().begin(world.asked)
    (trial,) = world.study.trials()
    life = world.lives().begin_again(world.again(2), trial)
    (again,) = world.study.trials()
    assert life.number == again.number == trial.number
    assert again.user_attrs[attributes.ATTEMPT] == 2
    assert again.params == trial.params


def test_a_trial_that_begins_again_goes_into_the_run_that_it_has(world):
    first = world.lives().begin(world.asked).training.run
    first.end("KILLED")
    (trial,) = world.study.trials()
    life = world.lives(_0=first.id).begin_again(world.again(2), trial)
    (run,) = world.runs()
    assert life.training.run.id == run.info.run_id == first.id
    assert run.info.status == "RUNNING"
    assert run.data.tags["sweep.attempt"] == "2"


def test_a_trial_that_is_taken_up_goes_on_where_it_stood(world, left):
    state, before = left
    (trial,) = world.study.trials()
    engine, weights = resumed(world, state)
    run_id = before.training.run.id
    life = world.lives(_0=run_id).take_up(world.asked, trial, state, weights)
    assert (life.number, life.training.run.id) == (before.number, run_id)
    assert life.values == before.values
    assert life.training.classifier().digest == before.training.classifier().digest
    result, unbroken = engine.run_pass()[0], world.engine.run_pass()[0]
    assert result.epoch == 3
    assert point(result) == point(unbroken)
    life.record(result)
    life.end(Ending.COMPLETE)
    (run,) = world.runs()
    assert run.info.status == "FINISHED"
    history = world.tracker.client.get_metric_history(run.info.run_id, "val/loss")
    assert [each.step for each in history] == [1, 2, 3]
    expected = {name: list(values[:2]) for name, values in before.training.curves.items()}
    append(expected, point(unbroken))
    assert world.study.trials()[0].user_attrs[attributes.CURVES] == expected


def test_a_trial_whose_run_is_gone_is_taken_up_in_a_new_one_that_gets_all_its_points(world, left):
    state, before = left
    world.tracker.client.delete_run(before.training.run.id)
    (trial,) = world.study.trials()
    _, weights = resumed(world, state)
    life = world.lives().take_up(world.asked, trial, state, weights)
    life.training.run.flush()
    (run,) = world.runs()
    assert run.info.run_id != before.training.run.id
    setting = Hyperparameters(**trial.params)
    for metric, values in {
        **before.training.curves,
        "train/learning_rate": [setting.rate(epoch) for epoch in range(2)],
    }.items():
        history = world.tracker.client.get_metric_history(run.info.run_id, metric)
        assert [(each.step, each.value) for each in history] == list(enumerate(values, start=1))
    assert run.data.params["batch_size"] == str(trial.params["batch_size"])
