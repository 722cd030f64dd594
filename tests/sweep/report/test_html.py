"""The page as a reader's program sees it: tags, headings, addresses, and no markup from outside."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from sweep.report import render_html

VOID = {"meta", "img", "br"}


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
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]

    def said(self, *names):
        return [text for tag, text in self.texts if tag in names]


@pytest.fixture
def page(study, other, comparison, picture, make_report):
    """Return the page of two studies and their comparison, with all parts there are."""
    report = make_report(
        study, other, comparison=comparison, comparison_pictures=[replace(picture, name="c")]
    )
    return Page(render_html(report).text)


def test_the_page_needs_no_file_beside_it(study, make_report):
    assert render_html(make_report(study)).files == {}


def test_nothing_on_the_page_points_outside_it(page):
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset", "data", "poster")
    ]
    assert addresses
    assert all(address.startswith(("#", "data:image/")) for address in addresses)
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    style = "".join(page.said("style"))
    assert not re.search(r"url\(|@import|https?:", style)


def test_the_browser_is_told_to_load_and_run_nothing(page):
    (policy,) = (meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_every_link_within_the_page_has_its_target(page):
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = {link["href"].removeprefix("#") for link in page.all("a")}
    assert links == {"unknown", "comparison", "study-1", "study-2", "made"}
    assert links <= targets


def test_ids_are_given_once(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_headings_go_down_one_level_at_a_time_and_begin_with_one(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_picture_says_in_words_what_it_shows(page):
    images = page.all("img")
    assert len(images) == 3
    assert {image["alt"] for image in images} == {"What it shows."}
    assert {image["src"] for image in images} == {"data:image/png;base64,iVBORw0KGgo="}


def test_every_header_of_a_table_says_what_it_heads(page):
    assert {header["scope"] for header in page.all("th")} == {"col", "row"}
    assert "" not in page.said("th")


def test_what_scrolls_can_be_reached_by_keyboard_and_has_a_name(page):
    boxes = [box for box in page.all("div") if "scroll" in box.get("class", "")]
    assert len(boxes) > len(page.all("table"))
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)


def test_language_and_width_are_declared(page):
    assert page.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )


def test_the_answer_stands_before_anything_else(study, make_report):
    page = Page(render_html(make_report(study)).text)
    assert [text for _, text in page.texts if text in ("Which is best?", "This one.")] == [
        "Which is best?",
        "This one.",
    ]
    assert page.said("p").index("This one.") == 1


def test_what_is_open_stands_with_its_command(study, make_report):
    page = Page(render_html(make_report(study)).text)
    assert "Whether it is luck." in page.said("li")
    words = " ".join(page.said("span"))
    assert "sweep confirm tiny-softmax" in words


def test_without_open_questions_there_is_no_such_section(study, make_report):
    text = render_html(make_report(study, unknowns=[])).text
    assert "Not known yet" not in text


def test_a_study_without_a_complete_trial_still_makes_a_page(empty, make_report):
    page = Page(render_html(make_report(empty)).text)
    assert page.said("h3") == ["Trials", "Commands that make it again"]
    assert any("the cost is nan" in text for text in page.said("li"))


def test_each_of_several_studies_has_its_setting_at_the_top(page):
    settings = [text for text in page.said("li") if ": l2 0.001, learning rate" in text]
    assert [text.split(":")[0] for text in settings] == ["tiny-softmax", "tiny-bce"]


def test_a_lone_study_is_not_compared_nor_told_twice(study, make_report):
    text = render_html(make_report(study)).text
    assert "Comparison" not in text
    assert "Best is l2" not in text


def test_a_loss_as_the_objective_is_told_in_nats(study, make_report):
    facts = replace(study, config=replace(study.config, objective="val-loss"), search=0.25)
    assert "0.2500 nats" in render_html(make_report(facts)).text


def test_nothing_from_outside_becomes_markup(study, make_report, hostile_report, hostile):
    plain = Page(render_html(make_report(study)).text)
    text = render_html(hostile_report).text
    page = Page(text)
    shown = hostile.replace("\u202e", "")
    assert "\u202e" not in text
    added = {tag for tag, _ in page.tags} - {tag for tag, _ in plain.tags}
    assert added == set()
    assert len(page.all("img")) == len(plain.all("img"))
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.said("h1") == [shown]
    assert page.all("img")[0]["alt"] == shown


def test_a_line_does_not_break_before_a_percent_sign(study, make_report):
    assert "82.0\u00a0%" in render_html(make_report(study)).text
