import errno
import json
import os
import subprocess
import sys

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
READING = (
    *("list", "show", "best", "reproduce", "test", "confirm", "compare", "space", "doctor"),
    *("report", "export", "data info"),
)


@pytest.fixture
def failing(monkeypatch):
    """Return a function that lets `sweep space` fail with an error."""

    def fail(error):
        def read_space(*_):
            raise error

        monkeypatch.setattr("sweep.cli.inspect.read_space", read_space)

    return fail


def test_every_command_and_option_has_help(invoke):
    shown = invoke("--help")
    assert (shown.exit_code, shown.stdout) == (0, invoke("-h").stdout)
    assert "sweep run --loss softmax --trials 50" in shown.stdout
    assert invoke("--version").stdout.startswith("sweep 0.")
    for path, command in ALL.items():
        assert len(path) > 1 or f"\n  {path[0]} " in shown.stdout
        assert command.help.rstrip().endswith(".")
        help_of_it = invoke(*path, "--help")
        assert help_of_it.exit_code == 0
        options = [each for each in command.params if isinstance(each, click.Option)]
        for option in options:
            assert option.help, (path, option.name)
            assert option.opts[0] in help_of_it.stdout
        has_json = any("--json" in option.opts for option in options)
        assert has_json or " ".join(path) not in READING, path


def test_json_is_one_line_on_stdout_alone(invoke, recorded_study):
    for arguments in (("list",), ("show", recorded_study.name), ("space",)):
        said = invoke(*arguments, "--json")
        assert (said.exit_code, said.stderr) == (0, "")
        assert said.stdout.count("\n") == 1
        json.loads(said.stdout, parse_constant=pytest.fail)


def test_what_the_user_can_put_right_is_one_line_with_its_exit_code(invoke, failing):
    for error, code in (
        (SweepError("it is so; do this"), 1),
        (CheckFailedError("it is so; do this"), 3),
        (StoreUnreachableError("it is so; do this"), 75),
    ):
        failing(error)
        said = invoke("space")
        assert (said.exit_code, said.stdout) == (code, "")
        assert said.stderr == f"sweep: {error.label}: it is so; do this\n"
    failing(KeyboardInterrupt())
    said = invoke("space")
    assert (said.exit_code, said.stdout, said.stderr) == (130, "", "sweep: interrupted\n")


def test_debug_shows_where_it_happened_and_the_same_line(invoke, failing):
    failing(StoreUnreachableError("http://me:s3cret@host/db is away"))
    said = invoke("--debug", "space")
    assert said.exit_code == 75
    assert said.stderr.startswith("Traceback (most recent call last):\n")
    assert "in read_space" in said.stderr
    assert "http://***@host/db is away" in said.stderr.partition("sweep: ")[0]
    assert said.stderr.splitlines()[-1].startswith("sweep: ")


def test_what_the_environment_refuses_is_one_line_and_a_defect_of_ours_is_none(invoke, failing):
    for error, words in (
        (MemoryError("Unable to allocate 687. MiB for an array with shape (60000, 3000)"), "687."),
        (MemoryError(), "not enough memory"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/sealed/x"), "/sealed/x: "),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "output cannot be written: No space"),
        (RuntimeError("can't start new thread"), "thread"),
    ):
        failing(error)
        said = invoke("space")
        assert (said.exit_code, said.stdout) == (1, "")
        assert said.stderr.startswith("sweep: error: ")
        assert said.stderr.count("\n") == 1
        assert words in said.stderr
        assert "Traceback" in invoke("--debug", "space").stderr
    failing(ZeroDivisionError("ours"))
    assert isinstance(invoke("space").exception, ZeroDivisionError)


@pytest.mark.slow
@pytest.mark.usefixtures("in_finished_study")
def test_a_stream_that_is_closed_or_full_is_one_line():
    for redirected, code, words in (
        (">&-", 0, "standard output is closed"),
        ("> /dev/full", 1, "cannot be written"),
        ("2>&- >&-", 0, ""),
    ):
        command = f"{sys.executable} -m sweep best digits-softmax {redirected}"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert words in done.stderr
        assert done.stderr.count("\n") == (words != "")


@pytest.mark.slow
def test_ctrl_c_during_the_first_imports_is_one_word():
    program = """
import builtins, sys
sys.argv = ["sweep", "list"]
real = builtins.__import__
def imported(name, *rest):
    if name == "click":
        raise KeyboardInterrupt
    return real(name, *rest)
builtins.__import__ = imported
from sweep.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"sweep: interrupted\n")


def test_a_folder_without_studies_is_said_with_the_way_on(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = ("show", "best", "test", "reproduce", "ui")
    for arguments in (("list",), *((command, "a") for command in commands)):
        said = invoke(*arguments)
        assert (said.exit_code, said.stdout) == (1, "")
        assert "no studies here: mlruns/optuna.db does not exist; begin one" in said.stderr
    assert list(tmp_path.iterdir()) == []
