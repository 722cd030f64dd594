"""The Markdown report as a parser of it reads it."""

from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sweep.report.render import code, escape_markdown, one_line, render_markdown

SIGNS = st.text(alphabet="ab1 .-+=#>*_`~|[]()<>!&;:/@$\\\"'\tw")


@pytest.fixture(scope="module")
def parser():
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def parsed(parser, text):
    """Return the kinds of all tokens and the texts of those that show text."""
    kinds, texts = [], []
    for token in parser.parse(text):
        kinds.append(token.type)
        for child in token.children or ():
            kinds.append(child.type)
            texts.append(child.content)
    return kinds, texts


def words(text):
    return " ".join(text.split())


@given(SIGNS | st.text())
@example("x_ _y_ __z__ a_b")
@example("12. a")
@example("     a")
@example(" - a")
@example("=")
@example("1)")
@example("1. http://a.example www.a.example me@a.example")
def test_any_text_reads_as_itself_wherever_it_stands(parser, text):
    escaped = escape_markdown(one_line(text))
    for line in (f"a {escaped} z", f"{escaped} z", f"a {escaped}"):
        kinds, texts = parsed(parser, line)
        plain = words(line.replace(str(escaped), one_line(text)))
        assert words("".join(texts)) == plain
        assert set(kinds) <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}


@given(SIGNS)
def test_any_text_stays_in_its_cell(parser, text):
    escaped = escape_markdown(one_line(text))
    kinds, texts = parsed(parser, f"| a | b |\n|---|---|\n| {escaped} | z |")
    assert kinds.count("td_open") == 2
    assert words("".join(texts)) == words(f"ab{one_line(text).strip()}z")


def test_names_and_numbers_stay_readable():
    for text in (
        "learning_rate",
        "digits-softmax",
        "88.80 ± 0.37 %",
        "1e-5 to 1, log scale",
        "it's",
        "1.5 (2)",
    ):
        assert escape_markdown(text) == text


def test_what_would_become_a_link_by_itself_does_not():
    shown = escape_markdown("http://a.example www.a.example me@a.example")
    assert shown == r"http\://a.example www\.a.example me\@a.example"


@pytest.mark.parametrize("line", ["sweep list", "a ``` b", "`````", "", "x\n```\ny"])
def test_a_command_stays_in_its_block_of_code(parser, line):
    (token,) = parser.parse(code(line))
    assert (token.type, token.info) == ("fence", "sh")
    assert token.content.strip() == one_line(line).strip()


def test_tables_and_headings_are_those_of_the_page(parser, study, other, comparison, make_report):
    report = make_report(study, other, comparison=comparison)
    kinds, texts = parsed(parser, render_markdown(report, folder="figures").text)
    assert kinds.count("table_open") == 1 + 3 + 2 * 3 + 2
    for text in ("Comparison", "tiny-softmax", "tiny-bce", "On fresh seeds", "Trials"):
        assert text in texts


def test_the_pictures_lie_in_a_folder_beside_it(study, picture, make_report):
    rendered = render_markdown(make_report(study), folder="figures")
    assert rendered.files == {"figures/tiny-softmax-history.png": picture.content}
    assert "![What it shows.](figures/tiny-softmax-history.png)" in rendered.text


def test_a_folder_of_any_name_is_found(parser, study, make_report):
    text = render_markdown(make_report(study), folder="my (last) report_").text
    (image,) = (
        child
        for token in parser.parse(text)
        for child in token.children or ()
        if child.type == "image"
    )
    assert unquote(image.attrs["src"]) == "my (last) report_/tiny-softmax-history.png"


def test_what_is_open_stands_with_its_command(study, make_report):
    text = render_markdown(make_report(study), folder="figures").text
    assert "Whether it is luck.\n\n```sh\nsweep confirm tiny-softmax\n```\n" in text


def test_a_study_without_a_complete_trial_still_makes_a_report(parser, empty, make_report):
    kinds, texts = parsed(parser, render_markdown(make_report(empty), folder="figures").text)
    assert "Trial 0: the cost is nan" in texts
    assert "image" not in kinds


def test_nothing_from_outside_becomes_markup(parser, study, make_report, hostile_report):
    plain, _ = parsed(parser, render_markdown(make_report(study), folder="figures").text)
    hostile, texts = parsed(parser, render_markdown(hostile_report, folder="figures").text)
    kinds = {"html_block", "html_inline", "link_open", "em_open", "s_open", "code_inline"}
    assert plain.count("html_block") == hostile.count("html_block") == 1  # the mark of a report
    assert not (kinds - {"html_block"}) & set(hostile)
    for kind in ("image", "heading_open", "td_open", "tr_open", "strong_open", "fence"):
        assert hostile.count(kind) == plain.count(kind)
    assert "\u202e" not in "".join(texts)
