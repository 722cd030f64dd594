import shlex
from dataclasses import replace

import click
import pytest

from sweep.cli.run import run
from sweep.layout import Layout, LayoutChoice
from sweep.space import DEFAULT_SPACES, read_space
from sweep.study.plan import Plan
from sweep.study.run_command import DEFAULTS, run_command

NOT_THE_PLANS = (
    *("trials", "timeout", "tracking_uri", "dry_run"),
    *("storage", "grace", "begin_only", "ray_address"),
)


def parsed(command):
    """Return what the options of a command line come to."""
    program, name, *arguments = shlex.split(command)
    assert (program, name) == ("sweep", "run")
    return run.make_context("run", arguments).params


def settled(command):
    """Return the settings and the trials that a command line begins a study with."""
    options = parsed(command)
    layout = LayoutChoice(**{name: options.pop(name) for name in ("slots", "width", "workers")})
    trials = options["trials"]
    plan = Plan(
        **{name: value for name, value in options.items() if name not in NOT_THE_PLANS},
        layout=layout,
    )
    return plan.settle(plan.open_source(), trials=trials)[0], trials


@pytest.fixture
def digits_settings():
    """Return settings of a study of the digits, none of them usual, without the digests."""
    settings, _ = settled(
        "sweep run --study 'of-digits' --loss bce --data digits --val-size 200 --split-seed 3 "
        "--epochs 7 --trials 4 --slots 3 --width 3 --workers 1 --seed 5 --sampler qmc "
        "--pruner none --objective val-loss --set l2=1e-07:0.3:log --set decay_period=2:5 "
        "--set batch_size=100,25 --set flip_probability=0.1"
    )
    return settings


def test_a_study_begun_by_its_command_has_the_same_settings(digits_settings):
    again, trials = settled(run_command(digits_settings, 4))
    layout = replace(digits_settings.layout, workers=again.layout.workers)
    assert again == replace(digits_settings, layout=layout)
    assert trials == 4


def test_a_usual_study_has_a_short_command(make_settings):
    settings = make_settings(data=replace(make_settings().data, source="digits", name="digits"))
    assert run_command(settings, 50) == (
        "sweep run --study tiny-softmax --loss softmax --data digits --val-size 15 --epochs 6 "
        "--trials 50 --slots 2 --width 2"
    )


def test_what_is_left_out_is_what_the_command_does_by_itself():
    usual = parsed("sweep run")
    assert {name: usual[name] for name in DEFAULTS} == DEFAULTS
    assert usual["split_seed"] == 0
    assert usual["overrides"] == ()


def test_cifar10_is_looked_for_where_it_was(make_settings):
    data = replace(
        make_settings().data, source="cifar10", name="cifar10", directory="/my data/cifar"
    )
    command = run_command(make_settings(data=data), 1)
    assert "--data cifar10 --data-dir '/my data/cifar' " in command
    assert str(parsed(command)["data_dir"]) == "/my data/cifar"


def test_a_file_is_found_by_its_path_alone(make_settings):
    path = "/data/it's mine; rm -rf $HOME.npz"
    data = replace(make_settings().data, source=path, directory="/data")
    options = parsed(run_command(make_settings(data=data), 1))
    assert (options["data"], options["data_dir"]) == (path, None)


def test_a_file_without_images_needs_no_flips(tiny_npz, make_settings):
    data = replace(make_settings().data, source=str(tiny_npz), directory=str(tiny_npz.parent))
    space = DEFAULT_SPACES["softmax"].without_flips()
    again, _ = settled(run_command(make_settings(data=data, space=space), 2))
    assert again.space == space
    assert again.data.val_size == 15


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_only_axes_that_are_not_the_losss_own_are_set(make_settings, loss):
    space = read_space(loss, overrides=["l2=1e-7:0.5:log", "batch_size=50,100"])
    command = run_command(make_settings(loss=loss, space=space), 9)
    assert parsed(command)["overrides"] == ("l2=1e-07:0.5:log", "batch_size=50,100")


def test_a_bound_reads_back_to_the_last_bit(make_settings):
    space = read_space("softmax", overrides=[f"l2={1 / 3e5!r}:{2 / 3!r}:log"])
    (override,) = parsed(run_command(make_settings(space=space), 9))["overrides"]
    assert read_space("softmax", overrides=[override]) == space


def test_a_command_with_another_option_is_refused():
    with pytest.raises(click.NoSuchOption):
        parsed("sweep run --colour blue")


def test_slots_and_width_are_those_of_the_study(make_settings):
    layout = Layout(slots=7, width=4, workers=2)
    options = parsed(run_command(make_settings(layout=layout), 50))
    assert (options["slots"], options["width"], options["workers"]) == (7, 4, None)
