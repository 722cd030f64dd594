"""The command line: each command parses, calls one function and prints."""

from __future__ import annotations

import ast
import errno
import os
import re
import sys
import textwrap
import traceback
from contextlib import suppress
from inspect import getsource, unwrap
from pathlib import Path
from typing import Any

import click

from sweep.environment import collect_rarely, print_warnings_of_packages
from sweep.errors import SweepError
from sweep.io import with_room
from sweep.search import Interrupts
from sweep.tracking import without_secrets

INTERRUPTED = 130
LONGEST_LINE = 1_000  # characters
LOGIN = re.compile(r"[^\s'\"@/]+@(?=\w)")
"""Of a password with an @ in it a driver takes the end for the name of the host."""
NO_THREAD = "can't start new thread"


class SweepGroup(click.Group):
    """Says what went wrong in one line, with the exit code of its kind."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line, also where a standard stream is closed."""
        Interrupts.own_process = True
        collect_rarely()
        print_warnings_of_packages()
        _open_closed_streams()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a `SweepError` or a failing environment becomes one line on stderr."""
        try:
            try:
                result = super().invoke(ctx)
            finally:
                _flush()
        except SweepError as error:
            _say(ctx, error.label, str(error))
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            with suppress(OSError):
                click.echo("sweep: interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except (OSError, MemoryError, RuntimeError) as error:
            reason = _environment(error)
            if reason is None:
                raise
            _say(ctx, "error", reason)
            ctx.exit(SweepError.exit_code)
        return result


def _open_closed_streams() -> None:
    """Let a stream that the shell closed (`>&-`) lead nowhere: a database would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.fstat(number)
                continue
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, this one
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
            if name == "stdout":
                click.echo("sweep: standard output is closed: nothing is printed there", err=True)


def _flush() -> None:
    """Write what is left of the output, while an error can still be told."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # `| head`; click knows what to do
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # Python flushes again at its end
        raise SweepError(f"standard output cannot be written: {error.strerror}") from error


def _environment(error: Exception) -> str | None:
    """Return what the environment refuses, in a phrase; None where the mistake is ours."""
    if isinstance(error, MemoryError):
        return (
            f"not enough memory{f': {error}' if str(error) else ''}; free some, or use fewer rows"
        )
    if isinstance(error, OSError) and error.strerror and error.errno != errno.EPIPE:
        place = error.filename2 or error.filename
        if place is None:
            return f"output cannot be written: {error.strerror}"
        return f"{place}: {with_room(error.strerror, Path(os.fsdecode(place)))}"
    if NO_THREAD in str(error):
        return "the system allows no further thread; raise `ulimit -u`, or give fewer --workers"
    return None


def _say(ctx: click.Context, label: str, message: str) -> None:
    """Print an error in one line and, when asked for, where it comes from."""
    with suppress(OSError):  # nobody may be left to read it
        if ctx.params.get("debug"):
            click.echo(LOGIN.sub("***@", without_secrets(traceback.format_exc())), err=True)
        click.echo(f"sweep: {label}: {_one_line(message)}", err=True)


def _one_line(text: str) -> str:
    """Return a message that names whatever a user or file wrote, fit for a line of a terminal."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in without_secrets(text))
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE // 2]}...{line[-LONGEST_LINE // 2 :]}"


EXAMPLES = """\b
sweep run --loss softmax --trials 50   search; the same command again resumes
sweep ui                               browse the trials
sweep reproduce digits-softmax         train the best trial again, and check it
"""


@click.group(
    cls=SweepGroup, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="sweep", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(*, debug: bool) -> None:  # noqa: ARG001 - the group reads it
    """Search the hyperparameters of a linear image classifier and track every trial in MLflow."""
    os.environ["MPLBACKEND"] = "agg"  # a notebook's may be missing here; no screen is needed


def _add_commands() -> None:
    from sweep.cli import data, doctor, evaluate, inspect, run, share, train, ui

    for command in (
        run.run,
        train.train,
        inspect.list_studies,
        inspect.show,
        inspect.best,
        evaluate.confirm,
        evaluate.compare,
        evaluate.reproduce,
        evaluate.test,
        evaluate.predict,
        share.report,
        ui.ui,
        share.export,
        share.import_study,
        data.data,
        share.sync,
        doctor.doctor,
        inspect.space,
    ):
        main.add_command(command)


def _restore_help(command: click.Command) -> None:
    """Read help texts from the source where Python has dropped them with the docstrings (-OO)."""
    for inner in getattr(command, "commands", {}).values():
        _restore_help(inner)
    if command.callback is not None and not command.help:
        source = textwrap.dedent(getsource(unwrap(command.callback)))
        (function,) = ast.parse(source).body
        command.help = ast.get_docstring(function)  # type: ignore[arg-type]  # it is a function


_add_commands()
if sys.flags.optimize > 1:
    _restore_help(main)
