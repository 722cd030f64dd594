import shlex
from dataclasses import fields, replace

import numpy as np
import pytest

from sweep.cli.options import with_parts
from sweep.cli.run import plan_of, run
from sweep.config import USUAL, DataFiles, default_slots, run_command
from sweep.search_space import DEFAULT_SPACES, read_space

PARTS = [each.name for each in fields(DataFiles) if each.name != "data"]
OF_THE_RUN = ("timeout", "tracking_uri", "dry_run", "workers", "ray")


def parsed(command):
    """Return what the options of a command line come to."""
    program, name, *arguments = shlex.split(command)
    assert (program, name) == ("sweep", "run")
    return run.make_context("run", arguments).params


def settled(command):
    """Return the config and the trials that a command line begins a study with."""
    options = {name: value for name, value in parsed(command).items() if name not in OF_THE_RUN}
    parts = {name: options.pop(name) for name in PARTS if name in options}
    data = with_parts(
        options.pop("data"), **{name: value for name, value in parts.items() if value}
    )
    plan = plan_of(data=data, **options)
    return plan.settle()[0], plan.trials


def test_a_study_begun_by_its_command_has_the_same_config():
    config, _ = settled(
        "sweep run 'of-digits' --loss bce --data digits --val-size 200 --split-seed 3 "
        "--epochs 7 --trials 4 --slots 3 --seed 5 --sampler qmc --train-curve all "
        "--pruner none --objective val-loss --normalise unit --set l2=1e-07:0.3:log "
        "--set decay_period=2:5 "
        "--set batch_size=100,25 --set flip_probability=0.1"
    )
    assert settled(run_command(config, 4)) == (config, 4)


def test_a_study_that_chooses_among_normalisations_says_so():
    config, _ = settled("sweep run of-digits --data digits --trials 4 --normalise none,standardise")
    command = run_command(config, 4)
    assert "--normalise standardise,none" in command
    assert "--set" not in command
    assert settled(command) == (config, 4)


def test_a_usual_study_has_a_short_command(make_config):
    data = replace(make_config().data, source="digits", name="digits")
    usual = make_config(data=data, slots=default_slots(50))
    short = "sweep run tiny-softmax --loss softmax --data digits --val-size 15 --trials 50"
    assert run_command(replace(usual, epochs=50), 50) == short
    assert run_command(replace(usual, slots=7), 50) == f"{short} --slots 7 --epochs 6"


def test_what_is_left_out_is_what_the_command_does_by_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, trials = settled("sweep run --data digits")
    assert {name: getattr(config, name) for name in USUAL} == USUAL
    assert (trials, config.data.split_seed, config.slots) == (50, 0, default_slots(50))
    assert config.space == DEFAULT_SPACES["softmax"]


def test_cifar10_is_looked_for_where_it_was(make_config):
    folder = "/my data/cifar"
    data = replace(make_config().data, source="cifar10", name="cifar10", directory=folder)
    options = parsed(run_command(make_config(data=data), 1))
    assert (options["data"], str(options["data_dir"])) == ("cifar10", folder)


def test_a_file_is_found_by_its_path_alone(make_config):
    path = "/data/it's mine; rm -rf $HOME.npz"
    data = replace(make_config().data, source=path, directory="/data")
    options = parsed(run_command(make_config(data=data), 1))
    assert (options["data"], options["data_dir"]) == (path, None)


def test_a_file_without_images_needs_no_flips(tiny_npz, make_config):
    data = replace(make_config().data, source=str(tiny_npz), directory=str(tiny_npz.parent))
    space = DEFAULT_SPACES["softmax"].without_flips()
    again, _ = settled(run_command(make_config(data=data, space=space), 2))
    assert again.space == space
    assert again.data.val_size == 15


def test_what_goes_with_a_file_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("train.npz", features=rng.normal(size=(30, 4)), labels=np.arange(30) % 3)
    np.savez("test set.npz", features=rng.normal(size=(9, 4)), labels=np.arange(9) % 3)
    config, _ = settled(
        "sweep run a --data train.npz --map X=features,y=labels --test 'test set.npz' --trials 4"
    )
    assert config.data.parts["test"] == str(tmp_path / "test set.npz")
    assert settled(run_command(config, 4)) == (config, 4)


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_only_axes_that_are_not_the_losss_own_are_set(make_config, loss):
    space = read_space(loss, overrides=["l2=1e-7:0.5:log", "batch_size=50,100"])
    command = run_command(make_config(loss=loss, space=space), 9)
    assert parsed(command)["overrides"] == ("l2=1e-07:0.5:log", "batch_size=50,100")


def test_a_bound_reads_back_to_the_last_bit(make_config):
    space = read_space("softmax", overrides=[f"l2={1 / 3e5!r}:{2 / 3!r}:log"])
    (override,) = parsed(run_command(make_config(space=space), 9))["overrides"]
    assert read_space("softmax", overrides=[override]) == space
