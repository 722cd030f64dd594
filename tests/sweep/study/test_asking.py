import copy
import math

import optuna
import pytest
from optuna.trial import TrialState

from sweep.objective import trial_seed
from sweep.space import BASELINES, NAMES, read_space
from sweep.study import asking, attributes
from sweep.study.asking import ask, next_place, sampler
from sweep.study.ending import Ending
from sweep.study.opening import begin_study, load_study
from sweep.study.positioned import PositionedHyperband
from sweep.study.pruning import Referee, pruner
from sweep.study.reconcile import heal
from sweep.study.results import ending
from sweep.study.storage import create_storage, open_storage
from sweep.study.trial_life import tell

TRIALS = 14  # the first ten of a TPE study are drawn at random
COMBINATIONS = [
    ("tpe", "median"),
    ("tpe", "hyperband"),
    ("random", "median"),
    ("qmc", "hyperband"),
    ("grid", "none"),
]
samplers_and_pruners = pytest.mark.parametrize(("sampler_name", "pruner_name"), COMBINATIONS)


def made_up_value(hyperparameters, epoch):
    """Return an accuracy that is best at a learning rate of 0.003 and rises with the epochs."""
    away = (math.log10(hyperparameters.learning_rate) + 2.5) ** 2 / 8
    away += hyperparameters.flip_probability / 5 + hyperparameters.batch_size / 4000
    return (1 - away) * (1 - 0.5**epoch)


def play(study, *, trials=1, interrupt_after=None):
    """Run trials as the loop does, with made-up values instead of training; return them."""
    heal(study)
    referee = Referee(study)
    played = []
    for _ in range(trials):
        asked = ask(study)
        if asked is None:
            break
        played.append(asked)
        referee.begin()
        how, curve = play_epochs(study, asked, referee, interrupt_after)
        asked.trial.set_user_attr(attributes.ENDING, str(how))
        tell(study, asked.trial.number, how, {study.settings.metric: curve})
        referee.end(how, curve[-1] if how == Ending.COMPLETE else None)
    return played


def play_epochs(study, asked, referee, interrupt_after):
    curve = []
    for epoch in range(1, study.settings.epochs + 1):
        if len(curve) == interrupt_after:
            return Ending.INTERRUPTED, curve
        if asked.hyperparameters.learning_rate > 0.05 and epoch == 2:
            return Ending.DIVERGED, curve
        curve.append(made_up_value(asked.hyperparameters, epoch))
        if referee.why_prune(epoch, curve[-1]):
            return Ending.PRUNED, curve
    return Ending.COMPLETE, curve


def settings_by_position(study):
    """Return the hyperparameters, seed and ending of each trial that ended by itself."""
    settled = [trial for trial in study.trials() if ending(trial) not in (None, "interrupted")]
    return {
        trial.user_attrs[attributes.POSITION]: (
            trial.params,
            trial.user_attrs[attributes.SEED],
            ending(trial),
        )
        for trial in settled
    }


def opened_again(study):
    """Return the study as another process would find it in the store of today."""
    return load_study(study.name, copy.deepcopy(study.storage))


@pytest.fixture
def begin(make_settings):
    """Return a function that begins a study in memory."""

    def begin(**changes):
        return begin_study(make_settings(**changes), optuna.storages.InMemoryStorage())

    return begin


@samplers_and_pruners
def test_a_study_opened_again_after_any_trial_goes_on_as_the_unbroken_one(
    begin, sampler_name, pruner_name
):
    study = begin(sampler=sampler_name, pruner=pruner_name)
    stops = [opened_again(study)]
    for _ in range(TRIALS):
        play(study)
        stops.append(opened_again(study))
    unbroken = begin(sampler=sampler_name, pruner=pruner_name)
    play(unbroken, trials=TRIALS)
    expected = settings_by_position(unbroken)
    assert list(expected) == list(range(TRIALS))
    assert len({str(setting) for setting, _, _ in expected.values()}) == TRIALS
    for done, stopped in enumerate(stops):
        play(stopped, trials=TRIALS - done)
        assert settings_by_position(stopped) == expected


@samplers_and_pruners
def test_a_study_interrupted_within_any_trial_goes_on_as_the_unbroken_one(
    begin, sampler_name, pruner_name
):
    unbroken = begin(sampler=sampler_name, pruner=pruner_name)
    stops = [opened_again(unbroken)]
    for _ in range(TRIALS):
        play(unbroken)
        stops.append(opened_again(unbroken))
    expected = settings_by_position(unbroken)
    for stopped in stops[:-1]:
        play(stopped, interrupt_after=0)
        play(stopped, interrupt_after=1)
        again = opened_again(stopped)
        play(again, trials=TRIALS - len(settings_by_position(again)))
        assert settings_by_position(again) == expected
        assert len(again.trials()) > TRIALS


@pytest.mark.parametrize("sampler_name", ["tpe", "qmc"])
def test_a_study_in_the_folders_store_goes_on_as_one_in_memory(
    begin, make_settings, tmp_path, monkeypatch, sampler_name
):
    monkeypatch.chdir(tmp_path)
    settings = make_settings(sampler=sampler_name)
    play(begin_study(settings, create_storage()), trials=4)
    play(load_study(settings.study, open_storage()), interrupt_after=0)
    stored = load_study(settings.study, open_storage())
    play(stored, trials=8)
    unbroken = begin(sampler=sampler_name)
    play(unbroken, trials=12)
    assert settings_by_position(stored) == settings_by_position(unbroken)


@pytest.mark.parametrize("sampler_name", ["tpe", "random", "qmc", "grid"])
@pytest.mark.parametrize("position", [0, 3])
def test_a_process_that_dies_while_it_asks_changes_no_setting(
    begin, monkeypatch, sampler_name, position
):
    unbroken = begin(sampler=sampler_name)
    play(unbroken, trials=position)
    stops = [opened_again(unbroken) for _ in NAMES]
    play(unbroken, trials=3)
    for written, study in enumerate(stops):
        with monkeypatch.context() as patch:
            patch.setattr(study.storage, "set_trial_param", dies_after(written, study.storage))
            with pytest.raises(SystemExit):
                ask(study)
        again = opened_again(study)
        play(again, trials=3)
        assert settings_by_position(again) == settings_by_position(unbroken)
        assert len(again.trials()) == position + 4


def dies(*_):
    raise SystemExit


def dies_after(written, storage):
    write, left = storage.set_trial_param, iter(range(written))

    def set_trial_param(*arguments):
        if next(left, None) is None:
            raise SystemExit
        write(*arguments)

    return set_trial_param


@pytest.mark.parametrize("sampler_name", ["tpe", "grid"])
def test_a_trial_that_was_queued_but_never_begun_is_begun_once(begin, monkeypatch, sampler_name):
    unbroken = begin(sampler=sampler_name)
    play(unbroken, trials=3)
    study = begin(sampler=sampler_name)
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "ask", dies)
        with pytest.raises(SystemExit):
            ask(study)
    assert [trial.state for trial in study.trials()] == [TrialState.WAITING]
    again = opened_again(study)
    play(again, trials=3)
    assert settings_by_position(again) == settings_by_position(unbroken)
    assert [trial.user_attrs[attributes.ATTEMPT] for trial in again.trials()] == [1, 1, 1]


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_trial_0_is_the_baseline_of_the_loss(begin, loss):
    assert play(begin(loss=loss))[0].trial.params == BASELINES[loss]


def test_trial_0_is_the_baseline_clipped_into_the_space(begin):
    space = read_space(
        "softmax", overrides=["l2=1e-4:1e-2:log", "batch_size=10,64", "decay_period=7"]
    )
    assert play(begin(space=space))[0].trial.params == {
        "l2": 0.01,
        "learning_rate": 0.01,
        "decay_period": 7,
        "batch_size": 64,
        "flip_probability": 0.2,
    }


def test_an_asked_trial_carries_its_position_seed_and_attempt(begin):
    study = begin(seed=9)
    for number, asked in enumerate(play(study, trials=3)):
        assert asked.trial.number == number
        assert asked.seed == trial_seed(9, number)
        assert vars(asked.hyperparameters) == asked.trial.params | {"decay_factor": 0.5}
        attrs = study.trials()[number].user_attrs
        assert attrs[attributes.POSITION] == number
        assert attrs[attributes.SEED] == asked.seed
        assert attrs[attributes.ATTEMPT] == asked.attempt == 1


@samplers_and_pruners
def test_an_interrupted_trial_is_asked_again_the_same_with_a_higher_attempt(
    begin, sampler_name, pruner_name
):
    study = begin(sampler=sampler_name, pruner=pruner_name)
    play(study, trials=3)
    tries = [play(study, interrupt_after=0)[0] for _ in range(3)]
    attrs = [study.trials()[asked.trial.number].user_attrs for asked in tries]
    assert [asked.trial.number for asked in tries] == [3, 4, 5]
    assert [asked.attempt for asked in tries] == [1, 2, 3]
    assert [each[attributes.POSITION] for each in attrs] == [3, 3, 3]
    assert len({asked.seed for asked in tries}) == 1
    assert tries[0].trial.params == tries[1].trial.params == tries[2].trial.params


def test_a_trial_that_failed_or_was_pruned_is_not_asked_again(begin):
    study = begin(sampler="random", pruner="median")
    play(study, trials=40)
    states = {trial.state for trial in study.trials()}
    assert states == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    positions = [trial.user_attrs[attributes.POSITION] for trial in study.trials()]
    assert positions == list(range(40))


@pytest.mark.parametrize("sampler_name", ["tpe", "random", "qmc", "grid"])
def test_studies_with_different_seeds_share_the_baseline_only(begin, sampler_name):
    one, other = (begin(sampler=sampler_name, seed=seed) for seed in (0, 1))
    play(one, trials=6)
    play(other, trials=6)
    pairs = list(zip(one.trials(), other.trials(), strict=True))
    assert pairs[0][0].params == pairs[0][1].params
    assert all(left.params != right.params for left, right in pairs[1:])
    seeds = [trial.user_attrs[attributes.SEED] for pair in pairs for trial in pair]
    assert len(set(seeds)) == 12


def test_a_grid_proposes_every_point_once_and_then_nothing(begin):
    space = read_space(
        "softmax",
        overrides=["l2=1e-4,1e-3", "learning_rate=1e-3:1e-2:log", "decay_period=4", "batch_size=9"],
    )
    study = begin(sampler="grid", pruner="none", space=space)
    proposed = [asked.trial.params for asked in play(study, trials=100)]
    assert proposed[0] == space.clip(BASELINES["softmax"])
    grid = space.grid(asking.GRID_LEVELS)
    assert len(grid) == 2 * 3 * 3
    assert sorted(map(str, proposed[1:])) == sorted(map(str, grid))
    assert ask(study) is None
    assert ask(opened_again(study)) is None


def test_a_baseline_on_the_grid_is_proposed_once(begin):
    values = [f"{name}={value}" for name, value in BASELINES["softmax"].items()]
    space = read_space("softmax", overrides=[*values, "l2=0.1,0.2"])
    study = begin(sampler="grid", space=space)
    assert [asked.trial.params["l2"] for asked in play(study, trials=9)] == [0.1, 0.2]


def test_the_order_of_a_grid_depends_on_the_seed_and_not_on_the_axes(begin):
    study = begin(sampler="grid")
    proposed = [asked.trial.params for asked in play(study, trials=6)][1:]
    grid = study.settings.space.grid(asking.GRID_LEVELS)
    positions = [grid.index(point) for point in proposed]
    assert positions != sorted(positions)


def test_tpe_learns_from_its_own_hyperband_bracket_alone(begin, monkeypatch):
    seen = []
    sample = optuna.samplers.TPESampler.sample_relative

    def spy(self, study, trial, space):
        seen.append((trial, [other.number for other in study.get_trials(deepcopy=False)]))
        return sample(self, study, trial, space)

    monkeypatch.setattr(optuna.samplers.TPESampler, "sample_relative", spy)
    study = begin(pruner="hyperband", epochs=9)
    play(study, trials=12)
    optunas = optuna.pruners.HyperbandPruner(max_resource=9)
    optunas._try_initialization(study.optuna)
    brackets = [optunas._get_bracket_id(study.optuna, trial) for trial in study.trials()]
    assert len(set(brackets)) > 1
    assert [trial.number for trial, _ in seen] == list(range(1, 12))
    for trial, others in seen:
        number = trial.number
        assert others == [n for n in range(number + 1) if brackets[n] == brackets[number]]


def test_a_bracket_goes_by_the_position(begin):
    study = begin(pruner="hyperband", epochs=27)
    ours = PositionedHyperband(max_resource=27)
    optunas = optuna.pruners.HyperbandPruner(max_resource=27)
    optunas._try_initialization(study.optuna)
    for number in range(30):
        plain = optuna.trial.create_trial(value=1.0)
        plain.number = number
        moved = copy.deepcopy(plain)
        moved.number, moved.user_attrs = number + 5, {attributes.POSITION: number}
        bracket = optunas._get_bracket_id(study.optuna, plain)
        assert ours._get_bracket_id(study.optuna, plain) == bracket
        assert ours._get_bracket_id(study.optuna, moved) == bracket
        assert (plain.number, moved.number) == (number, number + 5)


def test_a_qmc_study_fills_every_eighth_of_every_axis_with_eight_trials(begin):
    space = read_space("softmax", overrides=["l2=0:1", "learning_rate=1e-3:0.04"])
    study = begin(sampler="qmc", pruner="none", space=space)
    play(study, trials=9)
    for name, width in (("l2", 1), ("flip_probability", 0.5)):
        eighths = [int(trial.params[name] / width * 8) for trial in study.trials()[1:]]
        assert sorted(eighths) == list(range(8))


def test_the_sampler_is_the_one_that_the_settings_name(make_settings):
    kinds = {
        name: type(sampler(make_settings(sampler=name), 1)).__mro__
        for name in ("tpe", "random", "qmc", "grid")
    }
    assert optuna.samplers.TPESampler in kinds["tpe"]
    assert optuna.samplers.RandomSampler in kinds["random"]
    assert optuna.samplers.QMCSampler in kinds["qmc"]
    assert optuna.samplers.RandomSampler in kinds["grid"]


def test_the_next_place_of_an_empty_study_is_its_first(make_settings):
    place = next_place(make_settings(), [])
    assert (place.position, place.attempt, place.parameters) == (0, 1, BASELINES["softmax"])


def test_the_sampler_and_pruner_of_the_settings_are_in_force_when_asked(begin):
    study = begin(sampler="random", pruner="hyperband")
    ask(study)
    assert type(study.optuna.sampler) is optuna.samplers.RandomSampler
    assert type(study.optuna.pruner) is type(pruner(study.settings))
