"""The command line: each command parses, calls one function and prints."""

from __future__ import annotations

import re
import traceback
from typing import Any

import click

from sweep.errors import SweepError

INTERRUPTED = 130
LONGEST_LINE = 1_000  # characters
SECRETS = (
    (re.compile(r"(?<=:)//\S*@"), "//***@"),  # user name and password in an address
    (re.compile(r"(?i)\b(password|passwd|pwd|secret|token)=[^&\s'\"]+"), r"\1=***"),
    (re.compile(r"\b(Basic|Bearer) [\w+/=.~-]{8,}"), r"\1 ***"),
)
"""What a message or traceback may repeat of addresses and of what the stores said."""


class SweepGroup(click.Group):
    """Says what went wrong in one line, with the exit code of its kind."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a `SweepError` becomes one line on stderr."""
        try:
            return super().invoke(ctx)
        except SweepError as error:
            if ctx.params.get("debug"):
                click.echo(_without_secrets(traceback.format_exc()), err=True)
            click.echo(f"sweep: {error.label}: {_one_line(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("sweep: interrupted", err=True)
            ctx.exit(INTERRUPTED)


def _one_line(text: str) -> str:
    """Return a message that names whatever a user or file wrote, fit for a line of a terminal."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in _without_secrets(text))
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE // 2]}...{line[-LONGEST_LINE // 2 :]}"


def _without_secrets(text: str) -> str:
    for secret, shown in SECRETS:
        text = secret.sub(shown, text)
    return text


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
def main(*, debug: bool) -> None:
    """Search the hyperparameters of a linear image classifier and track every trial in MLflow."""


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
        doctor.doctor,
        space.space,
    ):
        main.add_command(command)


_add_commands()
