import math

import optuna
import pytest
from optuna.trial import TrialState

from sweep.space import BASELINES, read_space
from sweep.study.ending import Ending
from sweep.study.ledger import GRID_LEVELS, Ledger, sampler
from sweep_model.hyperparameters import Hyperparameters

SAMPLERS = ("tpe", "random", "qmc", "grid")


def made_up_value(setting, epoch):
    """Return an accuracy that is best at a learning rate of 0.003 and rises with the epochs."""
    away = (math.log10(setting["learning_rate"]) + 2.5) ** 2 / 8
    away += setting["flip_probability"] / 5 + setting["batch_size"] / 4000
    return (1 - away) * (1 - 0.5**epoch)


def play(ledger, *, trials, slots=1, recorded=()):
    """Run trials side by side with made-up values; return the settings and the endings."""
    running, endings = {}, {}
    recorded = dict(enumerate(recorded))
    while True:
        while len(running) < slots and ledger.next_position < trials:
            trial = ledger.ask(recorded.get(ledger.next_position))
            if trial is None:
                break
            running[trial.number] = (trial.params, [])
        if not running:
            return [trial.params for trial in ledger.study.trials], endings
        for position, (setting, curve) in list(running.items()):
            curve.append(made_up_value(setting, len(curve) + 1))
            why = ledger.why_prune(position, len(curve), curve[-1])
            done = len(curve) == ledger.settings.epochs
            if why or done:
                endings[position] = Ending.PRUNED if why else Ending.COMPLETE
                ledger.end(position, endings[position], curve)
                del running[position]


@pytest.mark.parametrize("slots", [1, 5])
@pytest.mark.parametrize("pruner", ["median", "hyperband", "none"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_replay_from_the_record_goes_on_as_the_unbroken_study(make_settings, name, pruner, slots):
    settings = make_settings(sampler=name, pruner=pruner)
    expected = play(Ledger(settings), trials=18, slots=slots)
    assert len(expected[0]) == 18
    for known in (0, 7, 17):
        again = play(Ledger(settings), trials=18, slots=slots, recorded=expected[0][:known])
        assert again == expected


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_position_0_is_the_baseline_of_the_loss(make_settings, loss):
    assert Ledger(make_settings(loss=loss)).ask().params == BASELINES[loss]


def test_position_0_is_the_baseline_clipped_into_the_space(make_settings):
    space = read_space(
        "softmax", overrides=["l2=1e-4:1e-2:log", "batch_size=10,64", "decay_period=7"]
    )
    assert Ledger(make_settings(space=space)).ask().params == {
        "l2": 0.01,
        "learning_rate": 0.01,
        "decay_period": 7,
        "batch_size": 64,
        "flip_probability": 0.2,
    }


@pytest.mark.parametrize("name", SAMPLERS)
def test_studies_with_different_seeds_share_the_baseline_only(make_settings, name):
    one, other = (
        play(Ledger(make_settings(sampler=name, seed=seed)), trials=6)[0] for seed in (0, 1)
    )
    assert one[0] == other[0]
    assert all(left != right for left, right in zip(one[1:], other[1:], strict=True))


def test_every_proposal_is_a_setting(make_settings):
    for setting in play(Ledger(make_settings()), trials=14)[0]:
        assert Hyperparameters(**setting)


def test_a_grid_proposes_every_point_once_and_then_nothing(make_settings):
    space = read_space(
        "softmax",
        overrides=["l2=1e-4,1e-3", "learning_rate=1e-3:1e-2:log", "decay_period=4", "batch_size=9"],
    )
    ledger = Ledger(make_settings(sampler="grid", pruner="none", space=space))
    proposed, _ = play(ledger, trials=100, slots=3)
    assert proposed[0] == space.clip(BASELINES["softmax"])
    grid = space.grid(GRID_LEVELS)
    assert len(grid) == 2 * 3 * 3
    assert sorted(map(str, proposed[1:])) == sorted(map(str, grid))
    assert ledger.ask() is None


def test_a_baseline_on_the_grid_is_proposed_once(make_settings):
    values = [f"{name}={value}" for name, value in BASELINES["softmax"].items()]
    space = read_space("softmax", overrides=[*values, "l2=0.1,0.2"])
    proposed, _ = play(Ledger(make_settings(sampler="grid", space=space)), trials=9)
    assert [setting["l2"] for setting in proposed] == [0.1, 0.2]


def test_the_order_of_a_grid_depends_on_the_seed_and_not_on_the_axes(make_settings):
    settings = make_settings(sampler="grid")
    grid = settings.space.grid(GRID_LEVELS)
    proposed, _ = play(Ledger(settings), trials=6)
    places = [grid.index(setting) for setting in proposed[1:]]
    assert places != sorted(places)


def test_tpe_learns_from_its_own_hyperband_bracket_alone(make_settings, monkeypatch):
    seen = []
    sample = optuna.samplers.TPESampler.sample_relative

    def spy(self, study, trial, space):
        seen.append((trial.number, [other.number for other in study.get_trials(deepcopy=False)]))
        return sample(self, study, trial, space)

    monkeypatch.setattr(optuna.samplers.TPESampler, "sample_relative", spy)
    ledger = Ledger(make_settings(pruner="hyperband", epochs=9))
    play(ledger, trials=12)
    optunas = optuna.pruners.HyperbandPruner(max_resource=9)
    optunas._try_initialization(ledger.study)
    brackets = [optunas._get_bracket_id(ledger.study, trial) for trial in ledger.study.trials]
    assert len(set(brackets)) > 1
    assert [number for number, _ in seen] == list(range(1, 12))
    for number, others in seen:
        assert others == [n for n in range(number + 1) if brackets[n] == brackets[number]]


def test_a_qmc_study_fills_every_eighth_of_every_axis_with_eight_trials(make_settings):
    space = read_space("softmax", overrides=["l2=0:1", "learning_rate=1e-3:0.04"])
    settings = make_settings(sampler="qmc", pruner="none", space=space)
    proposed, _ = play(Ledger(settings), trials=9, slots=4)
    for name, width in (("l2", 1), ("flip_probability", 0.5)):
        eighths = [int(setting[name] / width * 8) for setting in proposed[1:]]
        assert sorted(eighths) == list(range(8))


def test_the_sampler_is_the_one_that_the_settings_name(make_settings):
    kinds = {name: type(sampler(make_settings(sampler=name), 1)).__mro__ for name in SAMPLERS}
    assert optuna.samplers.TPESampler in kinds["tpe"]
    assert optuna.samplers.RandomSampler in kinds["random"]
    assert optuna.samplers.QMCSampler in kinds["qmc"]
    assert optuna.samplers.RandomSampler in kinds["grid"]


def test_every_ending_is_told_with_its_curve(make_settings):
    ledger = Ledger(make_settings(pruner="none"))
    for how in (Ending.COMPLETE, Ending.PRUNED, Ending.DIVERGED, Ending.ERROR):
        ledger.end(ledger.ask().number, how, [0.1, 0.3])
    trials = ledger.study.trials
    fail = TrialState.FAIL
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.PRUNED, fail, fail]
    assert trials[0].value == 0.3
    assert {tuple(trial.intermediate_values.items()) for trial in trials} == {((1, 0.1), (2, 0.3))}
    assert not ledger.running
