import shlex
from dataclasses import replace

import optuna
import pytest

from sweep.analysis import Edge, boundary_lines, edges_of, wider_command
from sweep.analysis.boundary import LEAST_TRIALS, widened
from sweep.cli.run import run
from sweep.search.record import Budget, open_study
from sweep.search_space import Choices, axis_from_text, read_space

INSIDE = {
    "l2": 0.003,
    "learning_rate": 0.003,
    "decay_period": 10,
    "batch_size": 100,
    "flip_probability": 0.2,
}
"""Far from every bound of the softmax loss's default space."""


@pytest.fixture
def trials_of(make_trial):
    """Return a function that makes trials: the best first, with what each changes, then others.

    `values` are in place of those that fall from 0.9 and, for the others, from 0.4.
    """

    def make(*best, others=20, values=None, inside=INSIDE):
        usual = [0.9 - i / 100 for i in range(len(best))] + [0.4 - i / 1000 for i in range(others)]
        settings = [*best, *[{}] * others]
        return [
            make_trial(n, [value], params=inside | changes)
            for n, (value, changes) in enumerate(zip(values or usual, settings, strict=True))
        ]

    return make


@pytest.fixture
def found(make_config, trials_of):
    """Return a function that tells at which bounds the best of such trials lie."""

    def found(*best, config=None, **options):
        edges = edges_of(config or make_config(), trials_of(*best, **options))
        return {(edge.name, edge.side) for edge in edges}

    return found


@pytest.fixture
def study_of(make_study, trials_of):
    """Return a function that puts such trials on record."""

    def make(*best, config=None, **options):
        return make_study(config, trials_of(*best, **options))

    return make


def options(command):
    """Return what the options of a `sweep run` come to."""
    return run.make_context("run", shlex.split(command)[2:]).params


def test_a_best_trial_at_a_bound_is_told_with_all_that_speaks_for_it(make_config, trials_of):
    assert edges_of(make_config(), trials_of({"l2": 1.0}, {}, {"l2": 0.9})) == [
        Edge(
            name="l2",
            side="high",
            bound=1.0,
            best_at_bound=True,
            top_there=2,
            top=3,
            all_there=2,
            compared=23,
            wider="l2=1e-05:10:log",
        )
    ]


def test_words_have_no_bound(make_config, found):
    config = make_config()
    config = replace(config, data=replace(config.data, normalise="standardise,unit"))
    unit = {"normalise": "unit"}
    assert found(*[unit] * 3, config=config, inside=INSIDE | {"normalise": "standardise"}) == set()
    both = found(unit | {"l2": 1.0}, config=config, inside=INSIDE | {"normalise": "standardise"})
    assert both == {("l2", "high")}


def test_more_than_half_of_the_best_tenth_at_a_bound_is_enough_without_the_best(
    make_config, trials_of, found
):
    low, high = {"batch_size": 50}, {"batch_size": 400}
    (edge,) = edges_of(make_config(), trials_of({}, low, low))
    assert (edge.name, edge.side, edge.best_at_bound) == ("batch_size", "low", False)
    assert edge.share_of_top == pytest.approx(2 / 3)
    assert found({}, {}, high, high, others=36) == set()
    assert found({}, high, high, high, others=36) == {("batch_size", "high")}
    assert found({}, {}, {}) == set()


def test_the_best_tenth_is_rounded_up_and_never_under_three(make_config, trials_of):
    for others, top in ((9, 3), (29, 3), (30, 4), (99, 10)):
        (edge,) = edges_of(make_config(), trials_of({"l2": 1.0}, others=others))
        assert (edge.top, edge.compared) == (top, others + 1)


def test_trials_that_equal_the_last_of_the_best_tenth_belong_to_it(make_config, trials_of):
    changes = [{"l2": 1e-5}, *[{}] * 10, *[{"l2": 1.0}] * 6]
    trials = trials_of(*changes, others=0, values=[0.9, *[0.1] * 10, *[0.8] * 6])
    low, high = edges_of(make_config(), trials)
    assert (low.side, low.top_there, low.top) == ("low", 1, 7)
    assert (high.side, high.top_there, high.top) == ("high", 6, 7)
    changes = [{"l2": 10**-i} for i in (2, 3, 4, 1, 3, 0, 2, 3, 2, 0)]
    assert edges_of(make_config(), trials_of(*changes, others=0, values=[0.5] * 10)) == []


def test_the_lowest_losses_are_the_best_where_the_loss_is_the_objective(make_config, make_trial):
    setting = {"low": {"l2": 1e-5}, "mid": {"l2": 0.01}, "high": {"l2": 1.0}}
    places = ["low"] * 3 + ["mid"] * 9 + ["high"] * 12
    trials = [
        make_trial(n, [0.5], losses=[0.1 * n], params=INSIDE | setting[place])
        for n, place in enumerate(places)
    ]
    edges = edges_of(make_config(objective="val-loss"), trials)
    assert [(edge.name, edge.side) for edge in edges] == [("l2", "low")]


def test_the_best_tenth_is_told_by_the_first_rung_which_pruned_trials_have_too(
    make_config, make_trial
):
    config = make_config(epochs=50, eta=4)  # the first rung is epoch 2
    ahead = [
        make_trial(n, [0.1, 0.9], status="pruned", params=INSIDE | {"l2": 1.0}) for n in range(3)
    ]
    late = [make_trial(3, [0.1, 0.8, 0.95], params=INSIDE)]
    rest = [make_trial(n, [0.9, 0.2], status="pruned", params=INSIDE) for n in range(4, 14)]
    short = [
        make_trial(n, [0.99], status="failed", params=INSIDE | {"l2": 1e-5}) for n in range(14, 40)
    ]
    (edge,) = edges_of(config, [*ahead, *late, *rest, *short])
    assert (edge.side, edge.best_at_bound) == ("high", False)
    assert (edge.top_there, edge.top, edge.all_there, edge.compared) == (3, 3, 3, 14)
    (edge,) = edges_of(config, [*ahead, *late, *rest], selected=ahead[0])
    assert edge.best_at_bound


def test_few_trials_are_at_no_boundary(found, make_config, make_trial):
    assert found({"l2": 1.0}, others=LEAST_TRIALS - 2) == set()
    assert found({"l2": 1.0}, others=LEAST_TRIALS - 1) == {("l2", "high")}
    assert edges_of(make_config(), []) == []
    assert edges_of(make_config(), [make_trial(n, [], status="failed") for n in range(40)]) == []


def test_a_twentieth_of_a_range_on_its_own_scale_is_its_bound(found):
    for name, inside, at_the_bound, side in (
        ("l2", 1.8e-5, 1.7e-5, "low"),  # 10 ** (-5 + 0.05 * 5) = 1.78e-5
        ("l2", 0.56, 0.57, "high"),
        ("flip_probability", 0.474, 0.476, "high"),
        ("decay_period", 3, 2, "low"),
    ):
        assert found({name: inside}) == set()
        assert found({name: at_the_bound}) == {(name, side)}


def test_only_the_smallest_and_the_largest_choice_are_bounds(found, make_config):
    for size in (100, 200):
        assert found({"batch_size": size}) == set()
    config = make_config(space=read_space("softmax", overrides=["batch_size=100,400,25"]))
    assert found({"batch_size": 25}, config=config) == {("batch_size", "low")}
    assert found({"batch_size": 100}, config=config) == set()


def test_a_bound_that_cannot_be_moved_is_none(found, make_config):
    for override, value in (
        ("l2=0.003", 0.003),
        ("flip_probability=0:0.5", 0.0),
        ("flip_probability=0.1:1", 1.0),
        ("flip_probability=0.2,1", 1.0),
        ("decay_period=1:20", 1),
        ("decay_period=2:50:log", 50),  # never decays within the 6 epochs
        ("batch_size=1,50,100", 1),
        ("l2=1:1e6:log", 1e6),
    ):
        name = override.partition("=")[0]
        config = make_config(space=read_space("softmax", overrides=[override]))
        middle = config.space.axes[name].points(5)
        inside = INSIDE | {name: middle[len(middle) // 2]}
        assert found({name: value}, config=config, inside=inside) == set()


def test_one_parameter_can_be_at_both_bounds_and_the_command_widens_both(study_of):
    study = study_of({"l2": 1e-5}, {"l2": 1.0}, {"l2": 1.0})
    low, high = edges_of(study.config, study.trials())
    assert (low.wider, high.wider) == ("l2=1e-06:1:log", "l2=1e-05:10:log")
    assert options(wider_command(study, [low, high]))["overrides"] == ("l2=1e-06:10:log",)


def test_the_command_searches_the_wider_space_in_a_study_of_its_own(study_of):
    study = study_of({"l2": 1.0, "batch_size": 50}, {"l2": 1.0})
    edges = edges_of(study.config, study.trials())
    command = wider_command(study, edges)
    assert command == (
        "sweep run tiny-softmax-wider --like tiny-softmax --trials 22 "
        "--set l2=1e-05:10:log --set batch_size=25,50,100,200,400"
    )
    space = read_space("softmax", overrides=options(command)["overrides"])
    assert {edge.wider for edge in edges} == {
        f"{name}={space.axes[name]}" for name in ("l2", "batch_size")
    }
    study.add_budget(Budget(0, 22))  # which the new study takes over
    assert wider_command(study, edges) == command.replace("--trials 22 ", "")


def test_the_wider_study_has_a_name_that_is_free(make_config, make_study, study_of):
    for name, others, new in (
        ("a", [], "a-wider"),
        ("b", ["b-wider"], "b-wider-2"),
        ("c-wider", [], "c-wider-2"),
        ("d-wider-2", ["d-wider"], "d-wider-3"),
        ("e" * 80, [], "e" * 74 + "-wider"),
    ):
        study = study_of({"l2": 1.0}, config=make_config(study=name))
        for other in others:
            make_study(make_config(study=other))
        edges = edges_of(study.config, study.trials())
        assert options(wider_command(study, edges))["study"] == new


def test_the_wider_study_keeps_its_name_once_it_is_begun_but_takes_no_other_programs(
    make_config, make_study, study_of
):
    study = study_of({"l2": 1.0})
    edges = edges_of(study.config, study.trials())
    command = wider_command(study, edges)
    space = read_space("softmax", overrides=options(command)["overrides"])
    make_study(make_config(study="tiny-softmax-wider", space=space, slots=16))
    assert wider_command(study, edges) == command
    other = study_of({"l2": 1.0}, config=make_config(study="other"))
    optuna.create_study(study_name="other-wider", storage=other.storage)
    assert options(wider_command(other, edges))["study"] == "other-wider-2"


def test_the_lines_name_each_bound_and_end_with_the_command(study_of):
    study = study_of({"l2": 1.0}, {"batch_size": 400}, {"batch_size": 400})
    edges = edges_of(study.config, study.trials())
    first, second, last = boundary_lines(study)
    assert "l2 at its high end, 1: the best trial, 1 of the top 3, 1 of all 23 trials" in first
    assert "batch_size at its high end, 400: not the best trial, 2 of the top 3" in second
    assert last == f"beyond: {wider_command(study, edges)}"
    assert boundary_lines(study_of({}, config=replace(study.config, study="inside"))) == []


def test_the_command_of_a_real_study_runs(in_copied_study, invoke):
    study = open_study("digits-softmax", in_copied_study)
    edge = Edge(
        name="l2",
        side="low",
        bound=1e-5,
        best_at_bound=True,
        top_there=1,
        top=3,
        all_there=1,
        compared=6,
        wider="l2=1e-06:1:log",
    )
    command = shlex.split(wider_command(study, [edge]))
    said = invoke(*command[1:], "--dry-run")
    assert said.exit_code == 0, said.output
    assert "study digits-softmax-wider: 6 trials of 2 epochs, softmax loss" in said.stdout
    assert "1e-06:1:log" in said.stdout
    assert study.config.data.split_digest[:12] in said.stdout


# A wider axis


EPOCHS = 50


def wider(text, *sides, epochs=EPOCHS):
    return str(widened(axis_from_text(text), set(sides), epochs))


def test_an_axis_grows_by_a_decade_half_its_length_or_a_choice_as_far_as_is_allowed():
    for text, low, high in (
        # a logarithmic range by a decade
        ("l2=1e-05:1:log", "1e-06:1:log", "1e-05:10:log"),
        ("learning_rate=0.003:0.03:log", "0.0003:0.03:log", "0.003:0.3:log"),
        ("decay_period=20:30:log", "2:30:log", "20:50:log"),
        # a linear one by half its length
        ("flip_probability=0.3:0.5", "0.2:0.5", "0.3:0.6"),
        ("decay_period=10:15", "7:15", "10:18"),
        ("batch_size=50:60", "45:60", "50:65"),
        # choices by twice the highest or half the lowest
        ("batch_size=50,100", "25,50,100", "50,100,200"),
        ("batch_size=100,50", "25,50,100", "50,100,200"),
        ("flip_probability=0.1,0.3", "0.05,0.1,0.3", "0.1,0.3,0.6"),
        ("decay_period=4,30", "2,4,30", "4,30,50"),
        # no further than the rule of the hyperparameter
        ("flip_probability=0.1:0.9", "0:0.9", "0.1:1"),
        ("l2=0.1:1", "0:1", "0.1:1.45"),
        ("l2=1:1e6:log", "0.1:1000000:log", "1:1000000:log"),
        ("decay_period=2:30", "1:30", "2:44"),
        ("batch_size=3:20:log", "1:20:log", "3:200:log"),
        ("flip_probability=0.2,0.8", "0.1,0.2,0.8", "0.2,0.8,1"),
        ("learning_rate=0.01:0.1", "0.001:0.1", "0.01:0.145"),
    ):
        assert (wider(text, "low"), wider(text, "high")) == (low, high), text
    assert wider("flip_probability=0.4:0.5", "low", "high") == "0.35:0.55"
    assert wider("l2=0.001:1:log", "low", "high") == "0.0001:10:log"
    assert wider("batch_size=50,100", "low", "high") == "25,50,100,200"


def test_a_smaller_batch_divides_the_smallest_one_where_it_can():
    for lowest, added in ((25, 5), (27, 9), (30, 15), (7, 3), (2, 1)):
        assert wider(f"batch_size={lowest},400", "low") == f"{added},{lowest},400"


def test_a_bound_that_cannot_move_leaves_the_axis_as_it_is():
    for text, *sides in (
        ("flip_probability=0:0.5", "low"),
        ("flip_probability=0.5:1", "high"),
        ("flip_probability=0,0.5", "low"),
        ("flip_probability=0.5,1", "high"),
        ("decay_period=1:20:log", "low"),
        ("decay_period=1,20", "low"),
        ("batch_size=1,20", "low"),
        ("batch_size=1:20:log", "low"),
        ("l2=0:1", "low"),
        ("l2=1:1e6", "high"),
        ("decay_period=2:50:log", "high"),
        ("batch_size=100,25",),
    ):
        axis = axis_from_text(text)
        assert widened(axis, set(sides), EPOCHS) == axis, text
    full = Choices(name="batch_size", values=tuple(range(2, 102)))  # as many as a space takes
    assert widened(full, {"high"}, EPOCHS) == full


def test_a_decay_after_the_last_epoch_is_not_looked_for():
    for text in ("decay_period=2:50:log", "decay_period=2:80", "decay_period=2,60"):
        axis = axis_from_text(text)
        assert widened(axis, {"high"}, epochs=50) == axis
        assert widened(axis, {"high"}, epochs=100) != axis
        assert str(widened(axis, {"high"}, epochs=85)).removesuffix(":log").endswith("85")
