"""The dashboard as somebody sees it who opens the link of `sweep ui`: in a real browser."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 45_000
"""Milliseconds; a page that is ready sooner is not waited for."""
SHOTS = os.environ.get("SWEEP_SCREENSHOTS")
"""A folder for a picture of what the tests saw."""
TRIALS, SEARCHED = 6, 5

pytestmark = [
    pytest.mark.skipif(find_spec("playwright") is None, reason="playwright is not installed"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

COUNT_MARKS = """() => Object.fromEntries(
  [...document.querySelectorAll('.js-plotly-plot')].map(plot => {
    let box = plot;
    while (!box.previousElementSibling?.innerText) box = box.parentElement;
    const marks = plot.querySelectorAll('.scatterlayer path.point, .scatterlayer path.js-line');
    return [box.previousElementSibling.innerText.trim().split('\\n')[0], marks.length];
  }))"""
COUNT_INK = """() => Math.max(...[...document.querySelectorAll('.parcoords canvas')].map(canvas =>
  canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    .filter((value, i) => i % 4 === 3 && value > 0).length))"""
"""The parallel coordinates are lines of pixels: how many are not clear."""


@contextmanager
def served(folder, study):
    """Run `sweep ui` in a folder; yield the link that it prints."""
    with subprocess.Popen(
        [sys.executable, "-c", "from sweep.cli import main; main()", "ui", study,
         "--no-browser", "--port", "5800"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as command:  # fmt: skip
        try:
            yield command.stdout.readline().strip()
        finally:
            command.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def link(finished_study, tmp_path_factory):
    """Return the link of the finished study's dashboard, served from a copy of its folder."""
    copy = tmp_path_factory.mktemp("browsed")
    shutil.copytree(finished_study / "mlruns", copy / "mlruns")
    with served(copy, "digits-softmax") as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # CI is root, which chromium's sandbox refuses; it sees our own pages only.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser, link):
    """Return the dashboard in a window that is tall enough to draw all of it."""
    page = browser.new_page(viewport={"width": 1600, "height": 2600})
    page.set_default_timeout(PATIENCE)
    page.goto(link)
    page.locator(".js-plotly-plot").first.wait_for()
    yield page
    if SHOTS:
        page.locator(".parcoords").scroll_into_view_if_needed()
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(SHOTS) / "dashboard.png", timeout=PATIENCE)


def test_the_view_is_open_by_its_name(page):
    assert page.get_by_role("button", name="digits-softmax: dashboard").is_visible()


def test_the_trials_stand_in_the_order_of_their_results(page, in_finished_study):
    del in_finished_study
    from sweep.study.opening import load_study
    from sweep.study.storage import open_storage

    trials = load_study("digits-softmax", open_storage()).trials()
    listed = page.locator("a[href*='/runs/']").all_inner_texts()
    accuracies = [
        trials[int(name.removeprefix("trial-"))].user_attrs["sweep:curves"]["val/accuracy"][-1]
        for name in listed
    ]
    assert len(set(listed)) == TRIALS
    assert accuracies == sorted(accuracies, reverse=True)


def test_the_parallel_coordinates_have_all_their_axes_and_lines_between_them(page):
    page.locator(".parcoords canvas").first.wait_for()
    page.wait_for_function(f"({COUNT_INK})() > 1000")
    assert page.locator(".parcoords .dimension").count() == SEARCHED + 1


def test_every_scatter_chart_has_a_point_and_every_curve_a_line_for_each_trial(page):
    page.wait_for_function(f"Object.values(({COUNT_MARKS})()).every(marks => marks > 0)")
    marks = page.evaluate(COUNT_MARKS)
    points = {title: count for title, count in marks.items() if " vs. " in title}
    lines = {title: count for title, count in marks.items() if " vs. " not in title}
    assert set(points.values()) == {TRIALS}
    assert {"log10_l2 vs. best/val_accuracy", "train/loss vs. val/loss"} <= set(points)
    assert set(lines) == {"val/accuracy", "val/loss", "train/loss vs val/loss"}
    assert all(count >= TRIALS for count in lines.values())


def test_the_slider_moves_the_weight_images_through_the_epochs(page):
    image = page.locator("img[src*=get-artifact]").last
    image.wait_for()
    slider = page.get_by_role("slider").last
    last = image.get_attribute("src")
    slider.press("ArrowLeft")
    page.wait_for_function(
        "before => [...document.querySelectorAll('img[src*=get-artifact]')].at(-1)?.src"
        '  && !document.querySelector(`img[src="${before}"]`)',
        arg=last,
    )
    assert "step%2B2%2B" in last
    assert "step%2B1%2B" in image.get_attribute("src")


def is_genai(page):
    """Whether the page's menu is the one for prompts and judges."""
    page.get_by_text("Experiments").first.wait_for()
    page.get_by_text("Traces", exact=True).first.wait_for()
    return page.get_by_text("Judges", exact=True).count() > 0


def test_the_link_opens_no_genai_page(page):
    assert not is_genai(page)


def test_without_its_workflow_type_the_link_would(browser, link):
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(link.replace("workflowType=machine_learning&", ""))
    assert is_genai(page)
