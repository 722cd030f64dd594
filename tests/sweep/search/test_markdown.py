from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.search.markdown import commands, number_of, plain, section, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("learning_rate", "learning_rate"),
        ("_hidden_ or *bold*", r"\_hidden\_ or \*bold\*"),
        ("a | b", r"a \| b"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("two\n\nlines", "two lines"),
        ("[link](x) `code` ~no~ @me {a}", r"\[link\](x) \`code\` \~no\~ \@me \{a\}"),
        (0.5, "0.5"),
    ],
)
def test_markdown_shows_just_the_characters_of_a_text(text, shown):
    assert plain(text) == shown


@given(st.text(max_size=700))
def test_no_text_breaks_a_line_a_cell_or_a_tag_nor_is_it_without_end(text):
    line = plain(text)
    assert len(line.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(\\\\)*\|", line)
    assert not {"<", ">"} & set(line)
    assert len(line) <= 600 * len("&amp;")


@pytest.mark.parametrize(
    ("value", "text"),
    [(25, "25"), (1_000_000, "1000000"), (0.1, "0.1"), (1.23456789e-5, "1.23457e-05")],
)
def test_a_number_has_six_digits_and_a_whole_one_all(value, text):
    assert number_of(value) == text


def test_a_table_has_as_many_bars_in_each_row_whatever_its_cells_hold():
    assert table(["class", "share"], [("a|b", 0.5), ("c", 1)]) == (
        "| class&emsp; | share |\n| --- | --- |\n| a\\|b&emsp; | 0.5 |\n| c&emsp; | 1 |"
    )


def test_commands_stand_in_a_block_of_code_below_what_they_do():
    assert commands(("sweep list", "all"), ("sweep ui a", "one")) == (
        "```sh\n# all\nsweep list\n# one\nsweep ui a\n```"
    )


def test_a_long_command_goes_on_in_the_next_line_and_stays_the_same_command():
    words = ["sweep", "run", "--data", "/a b --c/d.npz", *(f"--option-{i}=x" for i in range(20))]
    _, _, *lines, _ = commands((shlex.join(words), "long")).splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) < 70
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == words


def test_a_section_has_a_title_in_bold_and_paragraphs():
    assert section("Result", "one", "two") == "**Result**\n\none\n\ntwo"
