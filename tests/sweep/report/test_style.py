"""The page's colours, by the numbers of WCAG 2.2."""

import re
from itertools import product
from pathlib import Path

import pytest

import sweep.report

STYLE = (Path(sweep.report.__file__).parent / "templates" / "style.css.jinja").read_text()
LEAST = 4.5
"""The contrast that success criterion 1.4.3 asks of text."""


def luminance(colour):
    digits = colour.removeprefix("#")
    pairs = re.findall("..", digits) if len(digits) == 6 else [2 * digit for digit in digits]
    shares = [int(pair, 16) / 255 for pair in pairs]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return sum(w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def palettes():
    """Return the colours of each block that sets them: light, dark and on paper."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in blocks]


def test_contrast_is_counted_as_the_standard_does():
    assert contrast("#fff", "#000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_there_are_colours_for_light_for_dark_and_for_paper():
    light, dark, paper = palettes()
    assert light.keys() == dark.keys() == paper.keys()
    assert luminance(light["ground"]) > 0.9
    assert luminance(dark["ground"]) < 0.02
    assert paper["ground"] == "#fff"


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark", "paper"])
def test_all_text_can_be_read_on_all_that_it_stands_on(palette):
    for text, ground in product(("ink", "soft", "accent"), ("ground", "paper", "tint", "warm")):
        assert contrast(palette[text], palette[ground]) >= LEAST, (text, ground)


def test_every_colour_that_is_used_is_given():
    used = set(re.findall(r"var\(--([\w-]+)\)", STYLE))
    assert used == palettes()[0].keys()
