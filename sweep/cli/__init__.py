"""The command line: each command parses, calls one function and prints."""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
import textwrap
import traceback
from typing import Any

import click

from sweep.errors import SweepError
from sweep.tracking.address import without_secrets

INTERRUPTED = 130
LONGEST_LINE = 1_000  # characters
LOGIN = re.compile(r"[^\s'\"@/]+@(?=\w)")
"""Of a password with an @ in it a driver takes the end for the name of the host."""


class SweepGroup(click.Group):
    """Says what went wrong in one line, with the exit code of its kind."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a `SweepError` becomes one line on stderr."""
        try:
            return super().invoke(ctx)
        except SweepError as error:
            if ctx.params.get("debug"):
                click.echo(LOGIN.sub("***@", without_secrets(traceback.format_exc())), err=True)
            click.echo(f"sweep: {error.label}: {_one_line(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("sweep: interrupted", err=True)
            ctx.exit(INTERRUPTED)


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
    os.environ["MPLBACKEND"] = "agg"  # a notebook's may be missing here, and no screen is needed


def _add_commands() -> None:
    from sweep.cli import (
        best,
        compare,
        confirm,
        data,
        doctor,
        export,
        import_,
        listing,
        report,
        reproduce,
        run,
        show,
        space,
        sync,
        test,
        train,
        ui,
    )

    for command in (
        run.run,
        train.train,
        listing.list_studies,
        show.show,
        best.best,
        confirm.confirm,
        compare.compare,
        reproduce.reproduce,
        test.test,
        report.report,
        ui.ui,
        export.export,
        import_.import_study,
        data.data,
        sync.sync,
        doctor.doctor,
        space.space,
    ):
        main.add_command(command)


def _restore_help(command: click.Command) -> None:
    """Read help texts from the source where Python has dropped them with the docstrings (-OO)."""
    for inner in getattr(command, "commands", {}).values():
        _restore_help(inner)
    if command.callback is not None and not command.help:
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(command.callback)))
        (function,) = ast.parse(source).body
        command.help = ast.get_docstring(function)  # type: ignore[arg-type]  # it is a function


_add_commands()
if sys.flags.optimize > 1:
    _restore_help(main)
