"""The page as a browser reads it, Markdown as a parser does, and the files of both."""

import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise, product
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markdown_it import MarkdownIt
from markupsafe import Markup, escape
from PIL import Image

import sweep.report
from sweep.analysis import comparison_figures
from sweep.errors import SweepError
from sweep.plots.style import new_figure, styled
from sweep.report import render_html, render_markdown, write
from sweep.report.facts import Unknown, study_facts
from sweep.report.render import (
    OVERVIEW_CAPTIONS,
    Rendered,
    _environment,
    code,
    comparison_pictures,
    escape_markdown,
    one_line,
    picture,
    study_pictures,
)
from sweep.search.record import CONFIRMATION

STYLE = (Path(sweep.report.__file__).parent / "templates" / "style.css.jinja").read_text()
SIGNS = st.text(alphabet="ab1 .-+=#>*_`~|[]()<>!&;:/@$\\\"'\tw")


# The page


class Page(HTMLParser):
    """Collects what a page consists of, and refuses tags that do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]

    def texts_in(self, *names):
        return [text for tag, text in self.texts if tag in names]


@pytest.fixture
def page(study, other, comparison, dot, make_report):
    """Return the page of two studies and their comparison, with all parts there are."""
    report = make_report(
        study, other, comparison=comparison, comparison_pictures=[replace(dot, name="c")]
    )
    rendered = render_html(report)
    assert rendered.files == {}  # the page needs no file beside it
    return Page(rendered.text)


def test_nothing_on_the_page_points_outside_it_and_the_browser_is_told_so(page):
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset", "data", "poster")
    ]
    assert addresses
    assert all(address.startswith(("#", "data:image/")) for address in addresses)
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    assert not re.search(r"url\(|@import|https?:", "".join(page.texts_in("style")))
    (policy,) = (meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_every_link_within_the_page_has_its_target_and_ids_are_given_once(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {link["href"].removeprefix("#") for link in page.all("a")}
    assert links == {"unknown", "comparison", "study-1", "study-2", "made"}
    assert links <= set(ids)


def test_headings_go_down_one_level_at_a_time_and_begin_with_one(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_page_can_be_read_without_seeing_it_and_by_keyboard(page):
    images = page.all("img")
    assert len(images) == 3
    assert {image["alt"] for image in images} == {"What it shows."}
    assert {image["src"] for image in images} == {"data:image/png;base64,iVBORw0KGgo="}
    assert {header["scope"] for header in page.all("th")} == {"col", "row"}
    assert "" not in page.texts_in("th")
    boxes = [box for box in page.all("div") if "scroll" in box.get("class", "")]
    assert len(boxes) > len(page.all("table"))
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)
    assert page.all("html") == [{"lang": "en"}]
    width = {"name": "viewport", "content": "width=device-width, initial-scale=1"}
    assert width in page.all("meta")


def test_the_answer_comes_first_and_what_is_open_has_its_command(study, make_report):
    page = Page(render_html(make_report(study)).text)
    assert page.texts_in("h1") == ["Which is best?"]
    assert page.texts_in("p").index("This one.") == 1
    assert "Whether it is luck." in page.texts_in("li")
    assert "sweep confirm tiny-softmax" in " ".join(page.texts_in("span"))
    assert "Not known yet" not in render_html(make_report(study, unknowns=[])).text


def test_a_study_without_a_complete_trial_still_makes_a_page(empty, make_report):
    page = Page(render_html(make_report(empty)).text)
    assert page.texts_in("h3") == ["The search", "Trials", "Commands that make it again"]
    assert any("the cost is nan" in text for text in page.texts_in("li"))


def test_each_of_several_studies_has_its_setting_and_a_lone_one_is_not_told_twice(
    page, study, make_report
):
    settings = [text for text in page.texts_in("li") if ": l2 0.001, learning rate" in text]
    assert [text.split(":")[0] for text in settings] == ["tiny-softmax", "tiny-bce"]
    text = render_html(make_report(study)).text
    assert "Comparison" not in text
    assert "Best is l2" not in text
    assert "82.0\u00a0%" in text  # a line does not break before a percent sign


def test_nothing_from_outside_becomes_markup_on_the_page(
    study, make_report, hostile_report, hostile
):
    plain = Page(render_html(make_report(study)).text)
    text = render_html(hostile_report).text
    page = Page(text)
    shown = hostile.replace("\u202e", "")
    assert "\u202e" not in text
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags}
    assert len(page.all("img")) == len(plain.all("img"))
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.texts_in("h1") == [shown]
    assert page.all("img")[0]["alt"] == shown


# Its colours


def luminance(colour):
    digits = colour.removeprefix("#")
    pairs = re.findall("..", digits) if len(digits) == 6 else [2 * digit for digit in digits]
    shares = [int(pair, 16) / 255 for pair in pairs]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return sum(w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    """Return the contrast of two colours by WCAG 2.2."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_all_text_can_be_read_on_all_its_grounds_in_light_in_dark_and_on_paper():
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    light, dark, paper = (dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in blocks)
    assert set(re.findall(r"var\(--([\w-]+)\)", STYLE)) == set(light) == set(dark) == set(paper)
    assert luminance(light["ground"]) > 0.9
    assert luminance(dark["ground"]) < 0.02
    assert paper["ground"] == "#fff"
    for palette in (light, dark, paper):
        for text, ground in product(("ink", "soft", "accent"), ("ground", "paper", "tint", "warm")):
            assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground)  # 1.4.3


# Markdown


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


def test_names_and_numbers_stay_readable_and_addresses_become_no_links():
    for text in ("learning_rate", "digits-softmax", "88.80 ± 0.37 %", "1e-5 to 1, logarithmic"):
        assert escape_markdown(text) == text
    shown = escape_markdown("http://a.example www.a.example me@a.example")
    assert shown == r"http\://a.example www\.a.example me\@a.example"


def test_a_command_stays_in_its_block_of_code(parser):
    for line in ("sweep list", "a ``` b", "`````", "", "x\n```\ny"):
        (token,) = parser.parse(code(line))
        assert (token.type, token.info) == ("fence", "sh")
        assert token.content.strip() == one_line(line).strip()


def test_tables_headings_and_open_questions_are_those_of_the_page(
    parser, study, other, comparison, make_report
):
    text = render_markdown(make_report(study, other, comparison=comparison), folder="f").text
    kinds, texts = parsed(parser, text)
    assert kinds.count("table_open") == 1 + 2 + 2 * 4 + 2
    assert {"Comparison", "tiny-softmax", "tiny-bce", "On fresh seeds", "The search"} <= set(texts)
    assert "Whether it is luck.\n\n```sh\nsweep confirm tiny-softmax\n```\n" in text


def test_the_pictures_lie_in_a_folder_of_any_name_beside_it(parser, study, dot, make_report):
    rendered = render_markdown(make_report(study), folder="my (last) report_")
    assert rendered.files == {"my (last) report_/tiny-softmax-history.png": dot.content}
    tokens = [child for token in parser.parse(rendered.text) for child in token.children or ()]
    (image,) = (token for token in tokens if token.type == "image")
    assert unquote(image.attrs["src"]) == "my (last) report_/tiny-softmax-history.png"
    assert image.content == "What it shows."


def test_nothing_from_outside_becomes_markup_in_markdown(
    parser, study, empty, make_report, hostile_report
):
    plain, _ = parsed(parser, render_markdown(make_report(study), folder="figures").text)
    hostile, texts = parsed(parser, render_markdown(hostile_report, folder="figures").text)
    kinds = {"html_inline", "link_open", "em_open", "s_open", "code_inline"}
    assert plain.count("html_block") == hostile.count("html_block") == 1  # the mark of a report
    assert not kinds & set(hostile)
    for kind in ("image", "heading_open", "td_open", "tr_open", "strong_open", "fence"):
        assert hostile.count(kind) == plain.count(kind)
    assert "\u202e" not in "".join(texts)
    kinds, texts = parsed(parser, render_markdown(make_report(empty), folder="figures").text)
    assert "Trial 0: the cost is nan" in texts
    assert "image" not in kinds


# Escaping


def test_every_value_is_escaped_once_and_is_no_template():
    templates = _environment(escape)
    for source, value, shown in (
        ("{{ value }} {{ value ~ '>' }}", "<b>", "&lt;b&gt; &lt;b&gt;&gt;"),
        ("{% set x %}{{ value }}{% endset %}{{ x }}", "<b>", "&lt;b&gt;"),
        ("{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}{{ b(value) }}", "<", "<b>&lt;</b>"),
        ("{{ value }}", "{{ 7 * 7 }}", "{{ 7 * 7 }}"),
    ):
        assert templates.from_string(source).render(value=value) == shown
    with pytest.raises(UndefinedError, match="nothing"):
        templates.from_string("{{ nothing }}").render()
    shouting = _environment(lambda text: Markup(text.upper()))  # noqa: S704 - the point of the test
    assert shouting.from_string("a {{ value }}").render(value="b<") == "a B<"


def test_text_is_one_line_that_shows_all_of_itself():
    for text, shown in (
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("\x1b[31mred\x00", "[31mred"),
        ("left\u202eright\u200b", "leftright"),
        ("l\u00a0n \U0001f600", "l n \U0001f600"),
    ):
        assert one_line(text) == shown


def test_a_number_has_a_true_minus_and_a_command_a_hyphen(study, make_report):
    text = render_html(make_report(study, unknowns=[Unknown("x", "sweep run --set l2=-1")])).text
    assert "\N{MINUS SIGN}5.80" in text  # how pessimistic the search was
    assert "l2=-1" in text


# Files


@pytest.fixture
def path(tmp_path):
    return tmp_path / "report.html"


def test_the_text_and_its_pictures_are_written_and_nothing_beside_them(path):
    files = write(Rendered("text", {"figures/a.png": b"a"}), path)
    assert files == [path.parent / "figures" / "a.png", path]
    assert [file.read_bytes() for file in files] == [b"a", b"text"]
    assert sorted(path.parent.iterdir()) == [path.parent / "figures", path]


def test_what_was_there_stays_until_the_new_one_is_whole(path, monkeypatch):
    write(Rendered("old", {}), path)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweep.io.os.fsync", full)
    with pytest.raises(SweepError, match=r"cannot be written: No space left on device; name"):
        write(Rendered("new", {}), path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SweepError, match=r"b/report.html: cannot be written: No such file"):
        write(Rendered("text", {}), tmp_path / "a" / "b" / "report.html")


def test_pictures_that_no_report_of_this_name_drew_are_left_alone(path):
    (path.parent / "figures").mkdir()
    (path.parent / "figures" / "a.png").write_bytes(b"mine")
    with pytest.raises(SweepError, match=r"figures/a.png: exists already, and"):
        write(Rendered("text", {"figures/a.png": b"a"}), path)
    assert (path.parent / "figures" / "a.png").read_bytes() == b"mine"
    assert not path.exists()


# Pictures


@pytest.fixture
def drawn(no_store):
    """Return a function that draws what a study has, by the ends of the pictures' names."""

    def draw(study):
        pictures = study_pictures(study, study_facts(study, no_store), no_store)
        return {each.name.removeprefix(f"{study.name}-"): each for each in pictures}

    return draw


def test_the_search_and_the_selected_trial_are_drawn_each_with_a_caption(searched, drawn):
    pictures = drawn(searched)
    overview = {name.replace("_", "-") for name in OVERVIEW_CAPTIONS}
    assert set(pictures) == overview | {"curves"}
    assert pictures["history"].alt == (
        "tiny-softmax, 4 finished trials: the selected trial 1 has the validation accuracy 80.0 %."
    )
    assert "after epoch 1" in pictures["slice"].caption


def test_a_study_without_trials_has_no_pictures(make_study, drawn):
    assert drawn(make_study()) == {}


def test_the_top_trials_on_fresh_seeds_are_drawn_with_the_winner_in_words(
    searched, confirmation, drawn
):
    pruned = replace(confirmation.winner, trial=3, search=math.nan)
    confirmation = replace(confirmation, trials=[pruned, *confirmation.trials])
    searched.set_attribute(CONFIRMATION, confirmation.record())
    pictures = drawn(searched)
    assert "trial 3 has the best mean, 88.80 ± 0.37 %" in pictures["confirmation"].alt
    assert "the selected trial 3 was pruned at epoch 1" in pictures["history"].alt


def test_a_comparison_has_its_figures_and_its_sentence_in_each(comparison):
    pictures = comparison_pictures(comparison)
    names = [f"comparison-{name.replace('_', '-')}" for name in comparison_figures(comparison)]
    assert [each.name for each in pictures] == names
    assert all(each.alt.endswith(comparison.sentence) for each in pictures)


WORDS = {"name": "figure", "caption": "How to read it.", "alt": "What it shows."}


def test_pixels_come_back_as_they_were_in_a_file_that_can_travel_within_a_page(rng):
    pixels = rng.integers(0, 256, size=(20, 30, 3), dtype=np.uint8)
    drawn = picture(pixels, **WORDS)
    assert (drawn.file_name, drawn.width, drawn.height) == ("figure.png", 30, 20)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(drawn.content))), pixels)
    assert drawn.data_uri.startswith("data:image/png;base64,iVBORw0KGgo")


def test_a_figure_is_twice_as_dense_as_the_page_and_its_palette_moves_no_colour_far(rng):
    @styled
    def crowd():
        figure = new_figure(300, 200)
        figure.subplots().scatter(*rng.normal(size=(2, 4000)), s=1)
        return figure

    figure = crowd()
    drawn = picture(figure, **WORDS)
    assert (drawn.width, drawn.height) == (300, 200)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=200)
    exact, shown = (
        np.asarray(Image.open(each).convert("RGB"), dtype=int)
        for each in (file, io.BytesIO(drawn.content))
    )
    assert exact.shape == shown.shape == (400, 600, 3)
    apart = np.abs(shown - exact)
    assert apart.mean() < 1
    assert apart.max() < 32
    assert picture(figure, **WORDS) == drawn  # the same file every time
