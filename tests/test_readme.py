"""README and docs speak of the program as it is."""

import re
import shlex
from pathlib import Path

import click

from sweep.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {path: path.read_text() for path in PAGES}
README = TEXTS[ROOT / "README.md"]
SHELL_LINES = [
    line for text in TEXTS.values() for line in re.findall(r"^\$ (.+)$", text, flags=re.MULTILINE)
]
COMMANDS = [line for line in SHELL_LINES if line.startswith("sweep ")]


def leaf_commands(group, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaf_commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_every_command_of_the_pages_is_understood():
    assert len(COMMANDS) > 20
    for line in COMMANDS:
        words = shlex.split(line, comments=True)[1:]
        command: click.Command = main
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        command.make_context(command.name, words)


def test_every_command_stands_in_readme_and_guide_and_has_help():
    for path, command in leaf_commands(main):
        words = " ".join(("sweep", *path))
        assert f"`{words}" in README, words
        assert any(line.startswith(words) for line in COMMANDS), words
        assert command.help
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or parameter.help, parameter.name


def test_every_make_target_of_the_pages_exists():
    targets = {shlex.split(line)[1] for line in SHELL_LINES if line.startswith("make ")}
    targets |= set(re.findall(r"`make (\w+)`", "".join(TEXTS.values())))
    makefile = (ROOT / "Makefile").read_text()
    assert {"run", "test", "check"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_python_example_of_the_readme_runs(workspace, monkeypatch):
    monkeypatch.chdir(workspace.root)
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(example.splitlines()) <= 10
    names = {}
    exec(example, names)  # noqa: S102 - the README's own example
    assert len(names["study"].trials()) == 10


def test_every_file_that_the_pages_link_to_is_there():
    for path, text in TEXTS.items():
        links = re.findall(r"\]\(([^)#:]+)\)", text)
        assert [link for link in links if not (path.parent / link).exists()] == [], path.name
