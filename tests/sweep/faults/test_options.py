"""Every option of every command refuses what it cannot take, and says what it takes."""

import math
import shlex

import click

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


def test_an_option_refuses_what_breaks_its_rule(folder, refused):
    del folder
    tried = 0
    for path, command in commands():
        arguments = [
            ARGUMENTS.get(p.metavar, "") for p in command.params if isinstance(p, click.Argument)
        ]
        for option in command.params:
            if not isinstance(option, click.Option) or option.is_flag:
                continue
            for value, rule in wrong_values(option.type):
                words = [*path, f"{option.opts[0]}={value}", *shlex.split(" ".join(arguments))]
                refused(shlex.join(words), 2, f"'{option.opts[0]}'", rule)
                tried += 1
    assert tried > 250


def test_a_command_that_is_none_is_a_usage_error(folder, refused):
    del folder
    for command, says in (
        ("rnu", "No such command 'rnu'"),
        ("run one two", "Got unexpected extra argument (two)"),
        ("list extra", "Got unexpected extra argument (extra)"),
        ("run --epcohs 5", "No such option '--epcohs'. Did you mean '--epochs'?"),
        ("run --trials", "Option '--trials' requires an argument"),
        ("run --dry-run=yes", "Option '--dry-run' does not take a value"),
        ("run --storage sqlite:///a.db", "No such option '--storage'"),
        ("show", "Missing argument 'STUDY'"),
        ("show a b", "Got unexpected extra argument (b)"),
        ("compare", "Missing argument"),
        ("report", "Missing argument 'STUDY...'"),
        ("import", "Missing argument 'FILE.zip'"),
        ("data fetch", "No such command 'fetch'"),
        ("ui a b c", "One study, or two side by side: got 3"),
        ("--verbose run", "No such option '--verbose'"),
    ):
        refused(command, 2, says)


def test_class_weights_that_are_none_or_not_one_for_each_class_are_refused(folder, refused):
    del folder
    for weights in ("heavy", "1,0", "1,,2"):
        refused(f"run --data digits --class-weight {weights}", 2, "a number above 0 for each class")
    for command in ("run", "train"):
        words = "--data digits --val-size 300 --class-weight 1,2"
        refused(f"{command} {words}", 1, "10 classes", "got 2")


def test_a_space_that_cannot_be_searched_is_refused(folder, refused):
    (folder / "a.toml").write_bytes(rb'"\u001b[31m" = 1')
    for command in ("run --data digits", "space"):
        refused(f"{command} --set 'l2=1\n2'", 1, "must be a number", r"'1\n2'")
        refused(f"{command} --space a.toml", 1, "a.toml: ", r"'\x1b[31m'")
    many = ",".join(str(n) for n in range(1, 101))
    sets = " ".join(f"--set {name}={many}" for name in ("batch_size", "decay_period", "l2"))
    refused(f"run --data digits --sampler grid {sets}", 1, "at most 100,000 points", "--set")


def test_what_is_no_file_is_no_space_file(folder, refused):
    for make, code, says in (
        (lambda path: path.mkdir(), 2, "is a directory"),
        (lambda path: path.symlink_to(path.name), 1, "cannot be read: Too many levels of"),
        (lambda path: path.symlink_to("gone"), 1, "cannot be read: No such file"),
    ):
        path = folder / f"{code}{says[-4:]}.toml".replace(" ", "")
        make(path)
        refused(f"run --data digits --space {path.name}", code, path.name, says)
