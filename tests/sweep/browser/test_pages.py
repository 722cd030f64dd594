"""MLflow's pages as somebody sees them who opens the links of `sweep ui`: in a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from sweep.search.record import open_study
from sweep.search.trials import complete, ranked

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TIMEOUT = 45_000
"""Milliseconds; a page that is ready sooner is not waited for."""
SHOTS = os.environ.get("SWEEP_SCREENSHOTS")
"""A folder for a picture of what the tests saw."""
STUDIES = {"digits-softmax": 12, "digits-bce": 9}
"""How many trials each has; halving prunes most of them."""
EPOCHS = 6
SWEEP = [sys.executable, "-c", "from sweep.cli import main; main()"]
PORT = "5800"
RUN = f"""
from sweep.cli import main
for study, trials in {STUDIES}.items():
    data, loss = study.split("-")
    options = ["--data", data, "--loss", loss, "--trials", str(trials), "--epochs", "{EPOCHS}"]
    main(["run", *options], standalone_mode=False)
"""
NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
"""On the first visit MLflow opens a pane that takes a quarter of the width."""


@pytest.fixture(scope="module")
def browsed(tmp_path_factory, furnish):
    """Return a workspace with a study of each loss."""
    workspace = furnish(tmp_path_factory.mktemp("browsed"))
    command = [sys.executable, "-c", RUN]
    subprocess.run(command, cwd=workspace.root, check=True, capture_output=True)
    return workspace


@pytest.fixture(scope="module")
def studies(browsed):
    """Return the trials of each study, the best first, as the page is to have them."""
    found = {}
    for name in STUDIES:
        study = open_study(name, browsed)
        best_first = complete(ranked(study.config, study.trials()))
        pruned = [trial for trial in study.trials() if trial not in best_first]
        assert len(best_first) >= 2
        assert len(pruned) >= 2
        found[name] = best_first, pruned
    return found


@pytest.fixture(scope="module")
def pair(browsed):
    """Return what `sweep ui` prints for both studies: the link, and after it each study's own."""
    with subprocess.Popen(
        [*SWEEP, "ui", *STUDIES, "--no-browser", "--port", PORT],
        cwd=browsed.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        try:
            link = command.stdout.readline().strip()
            yield link, [command.stderr.readline().split()[-1] for _ in STUDIES]
        finally:
            command.terminate()  # Ctrl-C is ignored in a job of the background


@pytest.fixture(scope="module")
def link(browsed, pair):
    """Return the link of one study, on the server that is there already."""
    del pair
    said = subprocess.run(
        [*SWEEP, "ui", "digits-softmax", "--no-browser", "--port", PORT],
        cwd=browsed.root,
        check=True,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert said.stderr.startswith("A server of these runs is there already: ")
    return said.stdout.strip()


@pytest.fixture(scope="module")
def browser():
    if find_spec("playwright") is None:
        pytest.skip("playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # CI is root, which chromium's sandbox refuses; it sees our own pages only.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser, link, name):
    """Open a page in a window that is tall enough to draw all of it; keep a picture of it."""
    page = browser.new_page(viewport={"width": 1600, "height": 4200})
    page.set_default_timeout(TIMEOUT)
    page.add_init_script(NO_ASSISTANT)
    page.goto(link)
    page.locator(".js-plotly-plot").first.wait_for()
    yield page
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(SHOTS) / f"{name}.png", timeout=TIMEOUT)
    page.close()


@pytest.fixture(scope="module")
def page(browser, link):
    """Return the dashboard of one study."""
    with opened(browser, link, "dashboard") as page:
        yield page


@pytest.fixture(scope="module")
def pair_page(browser, pair):
    """Return the page with both studies."""
    with opened(browser, pair[0], "side-by-side") as page:
        yield page


@pytest.fixture(scope="module")
def study_page(browser, pair):
    """Return the page of a study's own run."""
    with opened(browser, pair[1][0], "study") as page:
        yield page


@pytest.fixture(scope="module")
def trial_page(browser, link):
    """Return the page of the best trial, reached from the dashboard by a click."""
    with opened(browser, link, "trial") as page:
        page.locator("a[href*='/runs/']").first.click()
        page.get_by_role("tab", name="Model metrics").wait_for()
        yield page


SEARCHED = 5
SHOWN = 10
"""So many runs have their images on a page."""
COUNT_MARKS = """() => Object.fromEntries(
  [...document.querySelectorAll('.js-plotly-plot')].map(plot => {
    let box = plot;
    while (!box.previousElementSibling?.innerText) box = box.parentElement;
    const marks = plot.querySelectorAll(
      '.scatterlayer path.point, .scatterlayer path.js-line, .barlayer .point path');
    return [box.previousElementSibling.innerText.trim().split('\\n')[0], marks.length];
  }))"""
ALL_DRAWN = f"""() => {{
  const marks = ({COUNT_MARKS})();
  const last = ['val/accuracy', 'val/loss', 'train/loss vs val/loss', 'train/loss vs. val/loss'];
  return [...last, ...Object.keys(marks)].every(title => marks[title] > 0);
}}"""
COUNT_INK = """() => Math.max(...[...document.querySelectorAll('.parcoords canvas')].map(canvas =>
  canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    .filter((value, i) => i % 4 === 3 && value > 0).length))"""
"""The parallel coordinates are lines of pixels: how many are not clear."""


def count(studies, *names):
    return sum(len(complete) + len(pruned) for complete, pruned in map(studies.get, names))


def hues(page, chart):
    """Count the points of a chart that are rather blue, orange or grey."""
    colours = page.evaluate(
        """title => {
          const plots = [...document.querySelectorAll('.js-plotly-plot')];
          const plot = plots.find(plot => {
            let box = plot;
            while (!box.previousElementSibling?.innerText) box = box.parentElement;
            return box.previousElementSibling.innerText.trim().startsWith(title);
          });
          return [...plot.querySelectorAll('.scatterlayer path.point')]
            .map(point => getComputedStyle(point).fill.match(/\\d+/g).slice(0, 3).map(Number));
        }""",
        chart,
    )
    return Counter(
        "grey" if red == blue else "blue" if blue > red else "orange" for red, _, blue in colours
    )


def images_of(page):
    """Return the weight images once all are drawn; none is missing."""
    images = page.locator("img[src*=get-artifact]")
    images.last.wait_for()
    page.wait_for_function(
        "[...document.querySelectorAll('img[src*=get-artifact]')].every(image => image.complete)"
    )
    assert page.get_by_text("No image logged").count() == 0
    return images


def test_the_view_is_open_by_its_name_with_the_complete_trials_first_and_the_best_on_top(
    page, studies
):
    assert page.get_by_role("button", name="digits-softmax: dashboard").is_visible()
    complete, pruned = studies["digits-softmax"]
    listed = page.locator("a[href*='/runs/']").all_inner_texts()
    assert listed[: len(complete)] == [f"trial-{trial.number:03d}" for trial in complete]
    rest = {f"trial-{trial.number:03d}" for trial in pruned}
    assert set(listed[len(complete) :]) == rest


def test_the_parallel_coordinates_have_all_their_axes_and_lines_between_them(page):
    page.locator(".parcoords canvas").first.wait_for()
    page.wait_for_function(f"({COUNT_INK})() > 1000")
    assert page.locator(".parcoords .dimension").count() == SEARCHED + 1


def test_every_scatter_chart_has_a_point_and_every_curve_a_line_for_each_trial(page, studies):
    page.wait_for_function(ALL_DRAWN)
    marks = page.evaluate(COUNT_MARKS)
    points = {title: count for title, count in marks.items() if " vs. " in title}
    lines = {title: count for title, count in marks.items() if " vs. " not in title}
    trials = count(studies, "digits-softmax")
    assert len(points) == 3
    assert set(points.values()) == {trials}
    assert "train/loss vs. val/loss" in points
    assert set(lines) == {"val/accuracy", "val/loss", "train/loss vs val/loss"}
    several = [t for part in studies["digits-softmax"] for t in part if t.epochs > 1]
    assert all(drawn >= len(several) for drawn in lines.values())


def test_complete_trials_stand_out_from_the_pruned_ones_which_are_grey(page, studies):
    page.wait_for_function(ALL_DRAWN)
    complete, pruned = studies["digits-softmax"]
    found = hues(page, "train/loss vs. val/loss")
    assert found == {"blue": len(complete), "grey": len(pruned)}


def test_the_weights_are_all_in_sight_down_to_the_best(page, studies):
    images = images_of(page)
    assert images.count() == min(SHOWN, count(studies, "digits-softmax"))
    slider = page.get_by_role("slider").last.bounding_box()
    best = images.last.bounding_box()
    assert best["y"] + best["height"] < slider["y"]


def test_the_slider_moves_the_weight_images_through_the_epochs(page):
    image = images_of(page).last
    slider = page.get_by_role("slider").last
    last = image.get_attribute("src")
    pixels = image.screenshot()
    slider.press("ArrowLeft")
    page.wait_for_function(
        "before => [...document.querySelectorAll('img[src*=get-artifact]')].at(-1)?.src"
        '  && !document.querySelector(`img[src="${before}"]`)',
        arg=last,
    )
    page.wait_for_function(
        "[...document.querySelectorAll('img[src*=get-artifact]')].every(image => image.complete)"
    )
    assert "step%2B6%2B" in last
    assert "step%2B6%2B" not in image.get_attribute("src")
    assert image.screenshot() != pixels


def test_two_studies_stand_side_by_side_as_groups(pair_page, studies):
    for study in studies:
        group = pair_page.get_by_text(f"Group: {study}").first
        assert group.is_visible()
        assert str(count(studies, study)) in group.locator("..").inner_text()


def test_all_trials_of_both_studies_have_their_points_curves_and_colours(pair_page, studies):
    pair_page.wait_for_function(ALL_DRAWN)
    marks = pair_page.evaluate(COUNT_MARKS)
    both = count(studies, *studies)
    assert {marks[title] for title in marks if " vs. " in title} == {both}
    (blue, grey), (orange, more_grey) = (map(len, parts) for parts in studies.values())
    for chart in ("loss vs. best/val_accuracy", "log10_l2 vs. best/val_accuracy"):
        found = hues(pair_page, chart)
        assert found == {"blue": blue, "orange": orange, "grey": grey + more_grey}
    images = images_of(pair_page)
    assert images.count() > 0


def test_the_page_of_a_study_draws_its_best_after_each_trial_and_says_what_was_found(
    study_page, studies
):
    box = study_page.locator(".js-plotly-plot").first
    box.locator("path.js-line").first.wait_for()
    assert 0 < box.locator("path.point").count() <= count(studies, "digits-softmax")
    assert study_page.get_by_text("val_accuracy", exact=True).first.is_visible()
    study_page.get_by_role("tab", name="Overview").click()
    complete, pruned = map(len, studies["digits-softmax"])
    told = f"Trials: {complete} complete, {pruned} pruned, 0 failed."
    study_page.get_by_text(told).first.wait_for()


def test_the_page_of_a_trial_has_its_curves_its_weights_and_says_what_it_is(trial_page):
    trial_page.get_by_role("tab", name="Model metrics").click()
    trial_page.locator("path.js-line").first.wait_for()
    trial_page.set_viewport_size({"width": 1600, "height": 12_000})  # the weights stand last
    image = trial_page.locator("img[src*=get-artifact]").first
    image.scroll_into_view_if_needed()
    assert image.evaluate("image => image.naturalWidth") > 100
    trial_page.get_by_role("tab", name="Overview").click()
    trial_page.get_by_text("Description").first.wait_for()
    assert trial_page.get_by_text("No description").count() == 0


def is_genai(page):
    """Whether the page's menu is the one for prompts and judges."""
    judges = page.get_by_text("Judges", exact=True)
    judges.or_(page.get_by_text("Model registry", exact=True)).first.wait_for()
    return judges.count() > 0


def test_no_link_opens_a_genai_page(page, pair_page, study_page, browser, link):
    for opened in (page, pair_page, study_page):
        assert not is_genai(opened)
    plain = browser.new_page()
    plain.set_default_timeout(45_000)
    plain.goto(link.replace("workflowType=machine_learning&", ""))
    assert is_genai(plain)  # without its workflow type the link would
