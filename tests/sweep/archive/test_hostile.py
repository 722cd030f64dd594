"""Archives that mean harm: each is refused with one line, and nothing is written."""

import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from sweep.archive import container
from sweep.archive.container import MODEL, STUDY, TRIALS, pack


def in_study(*path, to):
    """Return an archive with a value of study.json changed."""
    return lambda members: rewritten(members, STUDY, path, to)


def in_trials(*path, to):
    """Return an archive with a value of trials.json changed."""
    return lambda members: rewritten(members, TRIALS, path, to)


def rewritten(members, name, path, to):
    value = json.loads(members[name])
    place = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return pack(members | {name: json.dumps(value).encode()})


def with_member(name, content):
    return lambda members: pack(members | {name: content})


def changed(before, after):
    """Return an archive whose bytes were edited after it was packed."""
    return lambda members: pack(members).replace(before, after)


def compressed(members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content + bytes(20_000_000))
    return packed.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


class Bomb:
    """Would make a folder as soon as it was unpickled."""

    def __reduce__(self):
        return os.mkdir, ("opened",)


SHELL = "$(touch opened)"
HOSTILE = {
    "nothing at all": lambda _: b"",
    "a pickle": lambda _: pickle.dumps(Bomb()),
    "a shell script before the archive": lambda m: b"#!/bin/sh\ntouch opened\n" + pack(m),
    "an archive cut short": lambda m: pack(m)[:-100],
    "a bomb of compressed members": compressed,
    "members beyond number": lambda m: pack(m | {f"{n}": b"" for n in range(1000)}),
    "a path out of the folder": with_member("../../opened", b"x"),
    "an absolute path": with_member("/tmp/opened", b"x"),  # noqa: S108 - refused by name
    "a path of another system": with_member("..\\opened", b"x"),
    "a member to be run": with_member("model.pkl", pickle.dumps(Bomb())),
    "a name with a line break": with_member("a\nopened", b"x"),
    "a member changed afterwards": changed(b"tiny-softmax: a search", b"evil-softmax: a search"),
    "a digest changed afterwards": changed(b'"sha256": "', b'"sha256": "0'),
    "a newer format": changed(b'"version": 1', b'"version": 2'),
    "another format": changed(b'"sweep study"', b'"other study"'),
    "a name out of the folder": in_study("settings", "study", to="../opened"),
    "a name of markup": in_study("settings", "study", to="<script>alert(1)</script>"),
    "a name of two lines": in_study("settings", "study", to="a\nstudy b: 1 complete"),
    "a name that clears the screen": in_study("settings", "study", to="\x1b[2Ja"),
    "a name without end": in_study("settings", "study", to="a" * 100_000),
    "a data name that is a path": in_study("settings", "data", "name", to="../../opened"),
    "a data source of this machine": in_study("settings", "data", "source", to="/etc/shadow.npz"),
    "a data source of another host": in_study("settings", "data", "source", to="//host/x.npz"),
    "a digest that is a query": in_trials(0, "weights_digest", to="' or name != '" + "a" * 50),
    "an experiment that is a query": in_study("settings", "data", "name", to="x' or 1=1 --"),
    "slots beyond memory": in_study("settings", "layout", "width", to=10**12),
    "epochs beyond time": in_study("settings", "epochs", to=10**12),
    "a block beyond memory": in_trials(0, "seat", "block", to=10**9),
    "a pass beyond time": in_trials(2, "seat", "first_pass", to=10**12),
    "a number beyond floats": in_trials(0, "curves", "val/loss", 0, to=10**400),
    "a score beyond all": in_trials(2, "curves", "val/accuracy", 5, to=1e300),
    "a loss that is infinite": in_trials(0, "curves", "val/loss", 0, to=float("inf")),
    "a loss that is no number": in_trials(0, "curves", "val/loss", 0, to=float("nan")),
    "a setting that is no number": in_trials(0, "setting", "l2", to="0.1"),
    "a setting out of its range": in_trials(0, "setting", "learning_rate", to=1e6),
    "a distribution of its own": in_trials(0, "setting", to={"l2": {"name": "FloatDistribution"}}),
    "a reason that goes on": in_trials(3, "reason", to="x\nsweep: error: run " + SHELL),
    "a reason that is a formula": in_trials(3, "reason", to="=HYPERLINK(1)"),
    "a version that clears the screen": in_trials(0, "environment", "python", to="\x1b[2J"),
    "an attribute of its own": in_trials(0, "__class__", to="str"),
    "the same trial twice": in_trials(1, "trial", to=0),
    "a chosen trial of its own": in_study("chosen_trial", to=2),
    "a confirmation of its own": in_study("confirmation", "winner", to=2),
    "looks that never were": in_study("test_openings", to=[{"trial": 0, "time": SHELL}]),
    "trials without end": with_member(TRIALS, b"[" * 1_000_000),
    "lists beyond memory": with_member(TRIALS, b"[" + b"[]," * 3_000_000 + b"[]]"),
    "a study that is a list": with_member(STUDY, b"[]"),
    "a study that is said twice": with_member(STUDY, b'{"settings": 1, "settings": 2}'),
    "a model that is a pickle": with_member(MODEL, pickle.dumps(Bomb())),
    "a model with a pickle in it": with_member(MODEL, npz(weights=np.array([Bomb()]))),
    "a model of another shape": with_member(MODEL, npz(weights=np.zeros((2, 2), np.float32))),
}


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """Enter an empty folder."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_refused_with_one_line_and_nothing_is_written(
    members, make, empty, tmp_path, invoke
):
    file = tmp_path / "hostile.zip"
    file.write_bytes(make(members))
    said = invoke("import", file)
    assert (said.exit_code, said.stdout) == (1, ""), said.output
    assert said.stderr.startswith(f"sweep: error: {file}: ")
    assert said.stderr.endswith("; nothing was taken in: have it exported and sent again\n")
    assert said.stderr.removesuffix("\n").isprintable()
    assert len(said.stderr) < 600
    assert list(empty.iterdir()) == []


def test_the_archive_that_they_are_made_of_is_taken_in(members, empty, tmp_path, invoke):
    file = tmp_path / "good.zip"
    file.write_bytes(pack(members))
    said = invoke("import", file)
    assert (said.exit_code, said.stderr) == (0, "")
    assert (empty / "mlruns" / "optuna.db").exists()


def test_a_file_without_end_is_not_read_to_its_end(empty, tmp_path, invoke, monkeypatch):
    monkeypatch.setattr(container, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr("sweep.archive.importing.MAX_BYTES", 1 << 20)
    file = tmp_path / "large.zip"
    with file.open("wb") as written:
        written.truncate(1 << 40)  # a hole: no disk is filled
    said = invoke("import", file)
    assert said.exit_code == 1
    assert "it may have 1,048,576 bytes: it has more" in said.stderr
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/stdin", "/"])
def test_a_device_is_no_archive(empty, invoke, device):
    said = invoke("import", device)
    assert said.exit_code == 1
    assert "there is no such file" in said.stderr
    assert list(empty.iterdir()) == []
