import json

import click
import pytest

from sweep.cli import main
from sweep.errors import CheckFailedError, StoreUnreachableError, SweepError


def commands(group=main, path=()):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands())
STUDY = ["digits-softmax"]


@pytest.fixture
def failing(monkeypatch):
    """Return a function that lets `sweep space` fail with an error."""

    def fail(error):
        def read_space(*_):
            raise error

        monkeypatch.setattr("sweep.cli.space.read_space", read_space)

    return fail


def test_the_help_lists_every_command_and_the_way_to_begin(invoke):
    shown = invoke("--help")
    assert shown.exit_code == 0
    for (name, *inner), command in ALL.items():
        assert inner or f"\n  {name} " in shown.stdout
        assert command.get_short_help_str()
    assert "sweep run --loss softmax --trials 50" in shown.stdout
    assert invoke("-h").stdout == shown.stdout


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_and_option_has_help(invoke, path):
    command = ALL[path]
    assert command.help
    assert command.help.rstrip().endswith(".")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help[0].isupper() or parameter.help.split()[0].rstrip(",") in (
                "auto",
                "softmax",
            )
    shown = invoke(*path, "--help")
    assert shown.exit_code == 0
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in shown.stdout


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_that_reads_prints_json(path):
    reads = path in {("list",), ("show",), ("best",), ("reproduce",), ("test",), ("space",)}
    has_it = any("--json" in parameter.opts for parameter in ALL[path].params)
    assert has_it or not reads


def test_the_version_is_told(invoke):
    shown = invoke("--version")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("sweep 0.")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SweepError("it is so; do this"), 1),
        (CheckFailedError("it is so; do this"), 3),
        (StoreUnreachableError("it is so; do this"), 75),
    ],
)
def test_what_the_user_can_put_right_is_one_line_with_its_exit_code(invoke, failing, error, code):
    failing(error)
    said = invoke("space")
    assert (said.exit_code, said.stdout) == (code, "")
    assert said.stderr == f"sweep: {error.label}: it is so; do this\n"


def test_debug_shows_where_it_happened_and_the_same_line(invoke, failing):
    failing(StoreUnreachableError("http://me:s3cret@host/db is away"))
    said = invoke("--debug", "space")
    assert said.exit_code == 75
    assert said.stderr.startswith("Traceback (most recent call last):\n")
    assert "in read_space" in said.stderr
    assert "http://***@host/db is away" in said.stderr.partition("sweep: ")[0]
    assert said.stderr.splitlines()[-1].startswith("sweep: ")


def test_ctrl_c_outside_a_study_is_one_word_and_130(invoke, failing):
    failing(KeyboardInterrupt())
    said = invoke("space")
    assert (said.exit_code, said.stdout, said.stderr) == (130, "", "sweep: interrupted\n")


def test_a_defect_of_ours_is_not_dressed_up_as_the_users(invoke, failing):
    failing(ZeroDivisionError("ours"))
    assert isinstance(invoke("space").exception, ZeroDivisionError)


@pytest.mark.parametrize(
    "arguments",
    [["list"], *([command, *STUDY] for command in ("show", "best", "test", "reproduce", "ui"))],
    ids=lambda arguments: arguments[0],
)
def test_a_folder_without_studies_is_said_with_the_way_to_begin(
    invoke, tmp_path, monkeypatch, arguments
):
    monkeypatch.chdir(tmp_path)
    said = invoke(*arguments)
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == (
        "sweep: error: no studies here: mlruns/optuna.db does not exist; begin one with "
        "`sweep run --loss softmax --trials 50`, or change to the folder that holds it\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["show", "best", "test", "reproduce", "ui"])
def test_an_unknown_study_is_said_with_the_ones_that_there_are(invoke, recorded_study, command):
    said = invoke(command, "cifar10-bce")
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == (
        f"sweep: error: no study is named 'cifar10-bce' here; there are: {recorded_study.name}\n"
    )


def test_a_wrong_option_is_a_usage_error_that_names_value_and_rule(invoke):
    for arguments, complaint in (
        (["run", "--trials", "0"], "'--trials': 0 is not in the range 1<=x<=1000000"),
        (["run", "--trials", "1.5"], "'--trials': '1.5' is not a valid integer range"),
        (["run", "--epochs", "-1"], "'--epochs': -1 is not in the range"),
        (["run", "--timeout", "0"], "'--timeout': 0.0 is not in the range x>0"),
        (["run", "--seed", str(2**32)], "'--seed': 4294967296 is not in the range"),
        (["run", "--sampler", "cmaes"], "'--sampler': 'cmaes' is not one of 'tpe', 'random'"),
        (
            ["run", "--pruner", "x"],
            "'--pruner': 'x' is not one of 'halving', 'median', 'hyperband'",
        ),
        (["run", "--objective", "x"], "'--objective': 'x' is not one of 'val-accuracy'"),
        (["run", "--loss", "hinge"], "'--loss': 'hinge' is not one of 'softmax', 'bce'"),
        (["run", "--val-size", "0"], "'--val-size': 0 is not in the range x>=1"),
        (["show", *STUDY, "--sort", "colour"], "'--sort': 'colour' is not one of 'result'"),
        (["reproduce", *STUDY, "--trial", "-1"], "'--trial': -1 is not in the range x>=0"),
        (["reproduce", *STUDY, "--tolerance", "-1"], "'--tolerance': -1.0 is not in the range"),
        (["train", "--l2", "much"], "'--l2': 'much' is not a valid float"),
        (["ui", "--port", "80"], "'--port': 80 is not in the range 1024<=x<=65535"),
        (["show"], "Missing argument 'STUDY'"),
        (["run", "--trails", "5"], "No such option '--trails'."),
        (["rnu"], "No such command 'rnu'"),
    ):
        result = invoke(*arguments)
        assert (result.exit_code, result.stdout) == (2, ""), arguments
        assert result.stderr.startswith("Usage: sweep ")
        assert complaint in result.stderr


def test_json_is_one_line_on_stdout_alone(invoke, recorded_study):
    for arguments in (
        ["list"],
        ["show", recorded_study.name],
        ["best", recorded_study.name],
        ["space"],
    ):
        said = invoke(*arguments, "--json")
        assert (said.exit_code, said.stderr) == (0, "")
        assert said.stdout.count("\n") == 1
        json.loads(said.stdout, parse_constant=pytest.fail)
