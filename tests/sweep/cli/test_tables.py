import sys
from io import BytesIO, TextIOWrapper

import pytest

from sweep.cli.tables import (
    PLAIN_WIDTH,
    console,
    draws_blocks,
    number,
    percent,
    print_table,
    say,
    table_width,
    tied_mark,
)


class Terminal(TextIOWrapper):
    """A stdout that says it is a terminal, and keeps what it got."""

    def isatty(self):
        return True

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode()


@pytest.fixture
def terminal(monkeypatch):
    """Return a function that makes stdout a colour terminal of 40 columns."""

    def make(encoding="utf-8"):
        stdout = Terminal(BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setenv("COLUMNS", "40")
        monkeypatch.setenv("TERM", "xterm-256color")
        return stdout

    return make


def test_numbers_are_short_and_what_is_not_there_is_a_dash():
    assert [number(value) for value in (0.123456, 1234567.0, 50, 0.0, None)] == [
        "0.123",
        "1.23e+06",
        "50",
        "0",
        "-",
    ]
    assert [percent(share) for share in (0.4134, 1.0, 0.0, None)] == [
        "41.3%",
        "100.0%",
        "0.0%",
        "-",
    ]


def test_a_cell_is_shown_as_it_is(capsys):
    print_table(["study", "best"], [["[red]name", "1"]], styles=["dim"])
    assert "[red]name" in capsys.readouterr().out


def test_names_stand_left_and_numbers_right(capsys):
    print_table(["study", "best"], [["a", "1"], ["longer-name", "22222"]], title="All of them")
    title, header, rule, *rows = capsys.readouterr().out.splitlines()
    assert title.strip() == "All of them"
    assert header.split() == ["study", "best"]
    assert set(rule) == {"─"}
    assert [row.rstrip() for row in rows] == ["a               1", "longer-name 22222"]


def test_a_pipe_has_one_width_whatever_the_terminal_around_it(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    assert console().width == PLAIN_WIDTH == 200
    say("word " * 100)
    assert capsys.readouterr().out.count("\n") == 1


def test_a_terminal_gets_its_own_width_and_sentences_broken_between_words(terminal):
    stdout = terminal()
    assert console().width == 40
    say("[red]word " * 10)
    assert [line.split() for line in stdout.text().splitlines()] == [
        ["[red]word"] * words for words in (4, 4, 2)
    ]


def test_styles_reach_a_terminal(terminal):
    stdout = terminal()
    print_table(["trial"], [["1"]], title="All", styles=["dim"])
    assert "\x1b[1mAll" in stdout.text()
    assert "\x1b[2m" in stdout.text()


def test_with_no_color_there_is_no_escape_code_and_the_same_text(terminal, monkeypatch, capsys):
    monkeypatch.setenv("NO_COLOR", "1")
    stdout = terminal()
    print_table(["trial"], [["1"]], title="All", styles=["red"])
    assert "\x1b" not in stdout.text()
    monkeypatch.undo()
    print_table(["trial"], [["1"]], title="All", styles=["red"])
    assert capsys.readouterr().out == stdout.text()


def test_without_utf_8_nothing_is_said_that_cannot_be_written(terminal):
    stdout = terminal("ascii")
    print_table(["study", "mark"], [["a" * 60, tied_mark()]])
    assert not draws_blocks()
    assert stdout.text().isascii()
    assert "~" in stdout.text()


def test_a_long_title_is_not_wrapped_to_the_width_of_its_table(capsys):
    print_table(["a"], [["1"]], title="a title that is wider than the table")
    assert capsys.readouterr().out.startswith("a title that is wider than the table\n")


def test_the_width_of_a_table_counts_headings_cells_and_gaps():
    assert table_width({"val\nacc": ["90.0%", "-"], "trial": ["0"], "x": ["22"]}) == 14
