"""Every option of every command refuses what it cannot take, and says what it takes."""

import math
import shlex

import click
import pytest

from sweep.cli import main

ARGUMENTS = {"STUDY": "a", "STUDY...": "a", "STUDY STUDY...": "a b", "FILE.zip": "a.zip"}


def commands(group=main, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def wrong_values(kind):
    """Yield values that an option of a click type must refuse, each with the rule it breaks."""
    match kind:
        case click.Choice(choices=choices):
            yield from ((value, choices[0]) for value in ("", "nonsense", choices[0].upper()))
        case click.IntRange() | click.FloatRange():
            yield from ((value, "is not a valid") for value in ("", "many", "1;2", "٣x", "0x10"))
            beyond = [kind.min if kind.min_open else None, math.nextafter(kind.min, -math.inf)]
            if isinstance(kind, click.IntRange):
                yield from ((value, "is not a valid") for value in ("1.5", "nan", "1e3"))
                beyond = [kind.min - 1, -(10**30), *([kind.max + 1, 10**30] if kind.max else [])]
            else:
                yield from ((value, "finite") for value in ("inf", "1e999"))
                yield "nan", ""
            yield from (
                (str(value), "is not in the range") for value in beyond if value is not None
            )
        case click.types.FloatParamType() | click.types.IntParamType():
            yield from ((value, "is not a valid") for value in ("", "many", "1,5", "--"))


CASES = {
    f"{' '.join(path)} {option.opts[0]} {value!r}": (path, command, option, value, rule)
    for path, command in commands()
    for option in command.params
    if isinstance(option, click.Option) and not option.is_flag
    for value, rule in wrong_values(option.type)
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_option_refuses_what_breaks_its_rule(folder, refused, case):
    del folder
    path, command, option, value, rule = case
    arguments = [
        ARGUMENTS.get(p.metavar, "") for p in command.params if isinstance(p, click.Argument)
    ]
    words = [*path, f"{option.opts[0]}={value}", *shlex.split(" ".join(arguments))]
    refused(shlex.join(words), 2, f"'{option.opts[0]}'", rule)
