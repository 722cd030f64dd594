import shlex
from dataclasses import replace

import optuna
import pytest
from optuna.trial import FixedTrial, TrialState, create_trial

from sweep.cli.run import run
from sweep.space import read_space
from sweep.study import attributes
from sweep.study.edges import LEAST_TRIALS, Edge, edge_lines, edges_of, wider_command
from sweep.study.opening import begin_study, load_study
from sweep.study.storage import open_storage

INSIDE = {
    "l2": 0.003,
    "learning_rate": 0.003,
    "decay_period": 10,
    "batch_size": 100,
    "flip_probability": 0.2,
}
"""Far from every bound of the softmax loss's default space."""


def complete(settings, value, **changes):
    """Return a complete trial with this setting, worth `value`."""
    setting = FixedTrial(INSIDE | changes)
    settings.space.suggest(setting)
    return create_trial(
        value=value,
        params=setting.params,
        distributions=setting.distributions,
        user_attrs={attributes.CURVES: {"val/loss": [1.0]}},
    )


@pytest.fixture
def trials_of(make_settings):
    """Return a function that makes trials: the best first, with what each changes, then others."""

    def make(*best, others=20, settings=None):
        settings = settings or make_settings()
        top = [complete(settings, 0.9 - i / 100, **changes) for i, changes in enumerate(best)]
        rest = [complete(settings, 0.4 - i / 100) for i in range(others)]
        return settings, top + rest

    return make


@pytest.fixture
def study_of(trials_of):
    """Return a function that makes a study in memory of such trials."""

    def make(*best, **options):
        settings, trials = trials_of(*best, **options)
        study = begin_study(settings, optuna.storages.InMemoryStorage())
        study.optuna.add_trials(trials)
        return study

    return make


def found(settings, trials):
    return {(edge.name, edge.side) for edge in edges_of(settings, trials)}


def test_a_best_trial_inside_the_space_is_at_no_edge(trials_of):
    assert found(*trials_of({}, {}, {})) == set()


def test_a_best_trial_at_a_bound_is_at_an_edge_and_the_finding_says_all_of_it(trials_of):
    assert edges_of(*trials_of({"l2": 1.0}, {}, {"l2": 0.9})) == [
        Edge(
            name="l2",
            side="high",
            bound=1.0,
            best_at_bound=True,
            top_there=2,
            top=3,
            all_there=2,
            complete=23,
            wider="l2=1e-05:10:log",
        )
    ]


def test_most_of_the_best_tenth_at_a_bound_is_an_edge_without_the_best(trials_of):
    (edge,) = edges_of(*trials_of({}, {"batch_size": 25}, {"batch_size": 25}))
    assert (edge.name, edge.side, edge.best_at_bound) == ("batch_size", "low", False)
    assert edge.share_of_top == pytest.approx(2 / 3)


def test_half_of_the_best_tenth_is_not_most_of_it(trials_of):
    there = {"batch_size": 400}
    assert found(*trials_of({}, {}, there, there, others=36)) == set()
    assert found(*trials_of({}, there, there, there, others=36)) == {("batch_size", "high")}


@pytest.mark.parametrize(("others", "top"), [(9, 3), (29, 3), (30, 4), (99, 10)])
def test_the_best_tenth_is_rounded_up_and_never_under_three(trials_of, others, top):
    (edge,) = edges_of(*trials_of({"l2": 1.0}, others=others))
    assert (edge.top, edge.complete) == (top, others + 1)


def test_trials_that_equal_the_last_of_the_best_tenth_belong_to_it(make_settings):
    settings = make_settings()
    first = complete(settings, 0.9, l2=1e-5)
    ties = [complete(settings, 0.8, l2=1.0) for _ in range(6)]
    rest = [complete(settings, 0.1) for _ in range(10)]
    low, high = edges_of(settings, [first, *rest, *ties])
    assert (low.side, low.top_there, low.top) == ("low", 1, 7)
    assert (high.side, high.top_there, high.top) == ("high", 6, 7)


def test_trials_that_all_tie_are_all_the_best_tenth(make_settings):
    settings = make_settings()
    trials = [complete(settings, 0.5, l2=10**-i) for i in (2, 3, 4, 1, 3, 0, 2, 3, 2, 0)]
    assert edges_of(settings, trials) == []


def test_the_lowest_losses_are_the_best_where_the_loss_is_the_objective(make_settings):
    settings = make_settings(objective="val-loss")
    trials = [complete(settings, 0.1 * i, l2=1e-5 if i < 3 else 0.01) for i in range(12)]
    trials += [complete(settings, 5.0 + i, l2=1.0) for i in range(12)]
    assert found(settings, trials) == {("l2", "low")}


def test_few_complete_trials_are_at_no_edge(trials_of):
    assert found(*trials_of({"l2": 1.0}, others=LEAST_TRIALS - 2)) == set()
    assert found(*trials_of({"l2": 1.0}, others=LEAST_TRIALS - 1)) == {("l2", "high")}


def test_a_study_without_complete_trials_is_at_no_edge(make_settings):
    pruned = [create_trial(state=TrialState.PRUNED) for _ in range(40)]
    assert edges_of(make_settings(), []) == []
    assert edges_of(make_settings(), pruned) == []


def test_trials_that_are_not_complete_do_not_count(trials_of):
    settings, trials = trials_of({"l2": 1.0})
    others = [
        create_trial(state=state) for state in (TrialState.FAIL, TrialState.RUNNING) for _ in "123"
    ]
    assert edges_of(settings, trials + others) == edges_of(settings, trials)


@pytest.mark.parametrize(
    ("name", "inside", "at_the_bound", "side"),
    [
        ("l2", 1.8e-5, 1.7e-5, "low"),  # 10 ** (-5 + 0.05 * 5) = 1.78e-5
        ("l2", 0.56, 0.57, "high"),
        ("flip_probability", 0.474, 0.476, "high"),
        ("decay_period", 3, 2, "low"),
    ],
)
def test_a_twentieth_of_a_range_on_its_own_scale_is_its_bound(
    trials_of, name, inside, at_the_bound, side
):
    assert found(*trials_of({name: inside})) == set()
    assert found(*trials_of({name: at_the_bound})) == {(name, side)}


@pytest.mark.parametrize("size", [50, 100, 200])
def test_only_the_first_and_the_last_choice_are_bounds(trials_of, size):
    assert found(*trials_of({"batch_size": size})) == set()


def test_the_first_choice_is_the_smallest_whatever_their_order(make_settings, trials_of):
    space = read_space("softmax", overrides=["batch_size=100,400,25"])
    settings = make_settings(space=space)
    assert found(*trials_of({"batch_size": 25}, settings=settings)) == {("batch_size", "low")}
    assert found(*trials_of({"batch_size": 100}, settings=settings)) == set()


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("l2=0.003", 0.003),
        ("flip_probability=0:0.5", 0.0),
        ("flip_probability=0.1:1", 1.0),
        ("flip_probability=0.2,1", 1.0),
        ("decay_period=1:20", 1),
        ("decay_period=2:50:log", 50),  # never decays within the 6 epochs
        ("batch_size=1,50,100", 1),
        ("l2=1:1e6:log", 1e6),
    ],
)
def test_a_bound_that_cannot_be_moved_is_no_edge(make_settings, override, value):
    name = override.partition("=")[0]
    settings = make_settings(space=read_space("softmax", overrides=[override]))
    inside = settings.space.axes[name].points(5)
    trials = [complete(settings, 0.9, **{name: value})]
    trials += [complete(settings, 0.1, **{name: inside[len(inside) // 2]}) for _ in range(20)]
    assert edges_of(settings, trials) == []


def test_one_parameter_can_be_at_both_edges_and_the_command_widens_both(study_of):
    study = study_of({"l2": 1e-5}, {"l2": 1.0}, {"l2": 1.0})
    low, high = edges_of(study.settings, study.trials())
    assert (low.wider, high.wider) == ("l2=1e-06:1:log", "l2=1e-05:10:log")
    assert options(wider_command(study, [low, high]))["overrides"] == ("l2=1e-06:10:log",)


def options(command):
    """Return what the options of a `sweep run` come to."""
    return run.make_context("run", shlex.split(command)[2:]).params


def test_the_command_searches_the_wider_space_in_a_study_of_its_own(study_of):
    study = study_of({"l2": 1.0, "batch_size": 25}, {"l2": 1.0})
    edges = edges_of(study.settings, study.trials())
    command = wider_command(study, edges)
    assert command == (
        "sweep run --study tiny-softmax-wider --loss softmax --data /data/tiny.npz --val-size 15 "
        "--epochs 6 --trials 22 --slots 2 --width 2 --set l2=1e-05:10:log "
        "--set batch_size=5,25,50,100,200,400"
    )
    space = read_space("softmax", overrides=options(command)["overrides"])
    assert {edge.wider for edge in edges} == {
        f"{name}={space.axes[name]}" for name in ("l2", "batch_size")
    }


def test_the_wider_study_keeps_what_the_user_chose(make_settings, study_of):
    settings = make_settings(
        study="it.is-not_usual",
        loss="bce",
        seed=7,
        sampler="random",
        pruner="none",
        objective="val-loss",
        space=read_space("bce", overrides=["decay_period=3", "l2=1e-4:0.1:log"]),
        data=replace(make_settings().data, source="/my data/tiny.npz", split_seed=2),
    )
    study = study_of({"l2": 1e-4, "decay_period": 3}, settings=settings, others=0)
    study.optuna.add_trials(
        [complete(settings, 2.0 + i, decay_period=3, learning_rate=0.03) for i in range(11)]
    )
    (edge,) = edges_of(settings, study.trials())
    asked = options(wider_command(study, [edge]))
    expected = {
        "study_name": "it.is-not_usual-wider",
        "loss": "bce",
        "seed": 7,
        "sampler": "random",
        "pruner": "none",
        "objective": "val-loss",
        "data": "/my data/tiny.npz",
        "split_seed": 2,
        "val_size": 15,
        "epochs": 6,
        "trials": 12,
        "overrides": ("l2=1e-05:0.1:log", "decay_period=3"),
    }
    assert {name: asked[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "others", "new"),
    [
        ("tiny", [], "tiny-wider"),
        ("tiny", ["tiny-wider"], "tiny-wider-2"),
        ("tiny-wider", [], "tiny-wider-2"),
        ("tiny-wider-2", ["tiny-wider"], "tiny-wider-3"),
        ("t" * 80, [], "t" * 74 + "-wider"),
    ],
)
def test_the_wider_study_has_a_name_that_is_free(make_settings, study_of, name, others, new):
    study = study_of({"l2": 1.0}, settings=make_settings(study=name))
    for other in others:
        begin_study(make_settings(study=other), study.storage)
    edges = edges_of(study.settings, study.trials())
    assert options(wider_command(study, edges))["study_name"] == new


def test_the_wider_study_keeps_its_name_once_it_is_begun(make_settings, study_of):
    study = study_of({"l2": 1.0})
    edges = edges_of(study.settings, study.trials())
    command = wider_command(study, edges)
    space = read_space("softmax", overrides=options(command)["overrides"])
    layout = replace(study.settings.layout, width=1)  # as another machine would have it
    begin_study(
        make_settings(study="tiny-softmax-wider", space=space, layout=layout), study.storage
    )
    assert wider_command(study, edges) == command


def test_the_name_of_a_study_of_another_program_is_not_taken(study_of):
    study = study_of({"l2": 1.0})
    optuna.create_study(study_name="tiny-softmax-wider", storage=study.storage)
    command = wider_command(study, edges_of(study.settings, study.trials()))
    assert options(command)["study_name"] == "tiny-softmax-wider-2"


def test_the_lines_name_each_edge_and_end_with_the_command(study_of):
    study = study_of({"l2": 1.0}, {"batch_size": 400}, {"batch_size": 400})
    edges = edges_of(study.settings, study.trials())
    assert "\n".join(edge_lines(study)) == (
        "at an edge: l2 at its high end, 1: the best trial, 1 of the top 3, "
        "1 of all 23 complete trials\n"
        "at an edge: batch_size at its high end, 400: not the best trial, 2 of the top 3, "
        "2 of all 23 complete trials\n"
        f"to look beyond: {wider_command(study, edges)}"
    )


def test_a_study_at_no_edge_has_no_lines(study_of):
    assert edge_lines(study_of({})) == []


def test_the_command_of_a_real_study_runs(in_copied_study, invoke):
    del in_copied_study
    study = load_study("digits-softmax", open_storage())
    edge = Edge(
        name="l2",
        side="low",
        bound=1e-5,
        best_at_bound=True,
        top_there=1,
        top=3,
        all_there=1,
        complete=6,
        wider="l2=1e-06:1:log",
    )
    command = shlex.split(wider_command(study, [edge]))
    said = invoke(*command[1:], "--dry-run")
    assert said.exit_code == 0, said.output
    lines = said.stdout.splitlines()
    assert lines[0].startswith("study digits-softmax-wider: 6 trials of 2 epochs, softmax loss")
    assert lines[3].split() == ["l2", "1e-06:1:log"]
    assert lines[2].endswith(study.settings.data.split_digest[:12])
