"""Files that a command is asked to write or read, and that it must leave alone."""

import os

import pytest

OUT = {
    "export digits-softmax --out": ".zip",
    "report digits-softmax --out": ".html",
    "report digits-softmax --format md --out": ".md",
}


@pytest.fixture
def written(in_finished_study, tmp_path, refused, unchanged):
    """Return a check that each command refuses to write to a place, given within `tmp_path`.

    `make` makes what lies there, with the command's own ending.
    """
    del in_finished_study

    def check(place, *says, make=None):
        for command, ending in OUT.items():
            path = tmp_path / f"{place}{ending}"
            if os.path.lexists(path):
                path.unlink()
            if make is not None:
                make(path)
            with unchanged(tmp_path):
                refused(f"{command} {path}", 1, path.name[-20:], *says, "--out")

    return check


def link(target, path):
    path.symlink_to(target)


def test_what_is_there_and_is_not_ours_is_not_written_to(written, refused, tmp_path):
    words = " of sweep's; move it away, or name another"
    written(
        "thesis", "is there already and is no ", words, make=lambda p: p.write_text("three years")
    )
    (tmp_path / "words").write_text("words")
    for target in ("gone", "words", "/dev/null"):
        written(
            "link", "is there already and is no file", make=lambda p, to=target: p.symlink_to(to)
        )
    written("pipe", "is there already and is no file", make=os.mkfifo)
    (tmp_path / "place").mkdir()
    refused(f"report digits-softmax --out {tmp_path / 'place'}", 2, "is a directory")
    for command in OUT:
        refused(f"{command} /dev/null", 1, "/dev/null: ", " ends in ", "--out")


def test_a_place_that_cannot_be_used_is_named(written, tmp_path, plain_user):
    (tmp_path / "thesis").write_text("three years")
    written("none/a", "none is no folder; name another with --out")
    written("thesis/a", "thesis is no folder; name another with --out")
    written("a" * 300, "cannot be used: File name too long; name another with --out")
    (tmp_path / "sealed").mkdir(mode=0o500)
    with plain_user():
        written("sealed/a", "sealed may not be written to; name another with --out")
        written("kept", "cannot be used: Permission denied", make=lambda path: path.touch(mode=0))


@pytest.fixture
def exported(copied_study, monkeypatch, invoke):
    """Enter a folder with a study, its archive `a.zip`, and some words."""
    monkeypatch.chdir(copied_study.root)
    assert invoke("export", "digits-softmax", "--out", "a.zip").exit_code == 0
    (copied_study.root / "words").write_text("words")
    return copied_study.root


def test_what_cannot_be_imported_is_refused(exported, refused, plain_user):
    for command, says in (
        ("import a.zip --as 'a\nb'", r"got 'a\nb'; choose another with --as NAME"),
        ("import words", "words: it is no whole .zip file"),
        ("import /dev/zero", "/dev/zero: there is no such file"),
        ("import mlruns/optuna.db", "it is no whole .zip file"),
        ("import words/a.zip", "words/a.zip: there is no such file"),
    ):
        refused(command, 1, says)
    (exported / "a.zip").chmod(0)
    with plain_user():
        refused("import a.zip --as b", 1, "a.zip: cannot be read: Permission denied")
