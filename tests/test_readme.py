"""The README speaks of the program as it is."""

import re
import shlex
from pathlib import Path

import click
import pytest

from sweep.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SHELL_LINES = re.findall(r"^\$ (.+)$", README, flags=re.MULTILINE)
COMMANDS = [line for line in SHELL_LINES if line.startswith("sweep ")]
TARGETS = [shlex.split(line, comments=True)[1] for line in SHELL_LINES if line.startswith("make ")]


def leaf_commands(group: click.Group, path: tuple[str, ...] = ()) -> list[str]:
    names = []
    for name, command in group.commands.items():
        inner = (*path, name)
        names += leaf_commands(command, inner) if isinstance(command, click.Group) else [inner]
    return names


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_readme_is_understood(line):
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = main
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)


@pytest.mark.parametrize("path", leaf_commands(main), ids=" ".join)
def test_every_command_stands_in_the_readme_and_has_help(path):
    assert any(line.startswith(" ".join(("sweep", *path))) for line in COMMANDS)
    command: click.Command = main
    for name in path:
        command = command.commands[name]
    assert command.help
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter.name


@pytest.mark.parametrize("target", TARGETS)
def test_every_make_target_of_the_readme_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_the_python_example_of_the_readme_runs():
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(example, names)  # noqa: S102 - the README's own example
    assert len(names["study"].trials) == 10


def test_every_file_that_the_readme_links_to_is_there():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
