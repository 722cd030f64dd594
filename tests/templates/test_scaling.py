"""The way to a cluster, docs/scaling.md, speaks of the program as it is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sweep.cli import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "scaling.md").read_text()
LINES = re.findall(r"^\w*\$ +(.+)$", TEXT, flags=re.MULTILINE)
COMMANDS = [line for line in LINES if line.startswith("sweep ")]
ADDRESSES = {
    "SWEEP_STORAGE": "postgresql+psycopg://sweep@db.lab/sweep",
    "MLFLOW_TRACKING_URI": "http://mlflow.lab:5000",
}


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_understood(line, monkeypatch):
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)
    name, *arguments = shlex.split(line, comments=True)[1:]
    main.commands[name].make_context(name, arguments)


def test_the_addresses_are_those_of_the_text():
    for name, value in ADDRESSES.items():
        assert f"$ export {name}={value}\n" in TEXT


def test_all_three_steps_have_their_command():
    assert [int(step) for step in re.findall(r"^## (\d)", TEXT, flags=re.MULTILINE)] == [1, 2, 3]
    for command in ("sweep run", "sweep init", "sweep worker"):
        assert any(line.startswith(command) for line in COMMANDS)
    assert any("--ray" in line for line in COMMANDS)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:templates|tests)/[\w./]*\w", TEXT))))
def test_every_file_that_is_named_is_there(path):
    assert (ROOT / path).exists()
