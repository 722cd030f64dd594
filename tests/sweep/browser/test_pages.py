"""MLflow's pages as somebody sees them who opens the links of `sweep ui`: in a real browser."""

from __future__ import annotations

from collections import Counter

import pytest

from sweep.search.record import open_study

pytestmark = pytest.mark.slow

SEARCHED = 5
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


def test_the_view_is_open_by_its_name(page):
    assert page.get_by_role("button", name="digits-softmax: dashboard").is_visible()


def test_the_trials_stand_in_the_order_of_their_results(page, browsed, studies):
    trials = open_study("digits-softmax", browsed).trials()
    listed = page.locator("a[href*='/runs/']").all_inner_texts()
    accuracies = [trials[int(name.removeprefix("trial-"))].last("val/accuracy") for name in listed]
    assert len(set(listed)) == studies["digits-softmax"]
    assert accuracies == sorted(accuracies, reverse=True)


def test_the_parallel_coordinates_have_all_their_axes_and_lines_between_them(page):
    page.locator(".parcoords canvas").first.wait_for()
    page.wait_for_function(f"({COUNT_INK})() > 1000")
    assert page.locator(".parcoords .dimension").count() == SEARCHED + 1


def test_every_scatter_chart_has_a_point_and_every_curve_a_line_for_each_trial(page, studies):
    page.wait_for_function(ALL_DRAWN)
    marks = page.evaluate(COUNT_MARKS)
    points = {title: count for title, count in marks.items() if " vs. " in title}
    lines = {title: count for title, count in marks.items() if " vs. " not in title}
    trials = studies["digits-softmax"]
    assert set(points.values()) == {trials}
    assert {"log10_l2 vs. best/val_accuracy", "train/loss vs. val/loss"} <= set(points)
    assert set(lines) == {"val/accuracy", "val/loss", "train/loss vs val/loss"}
    assert all(count >= trials for count in lines.values())


def test_the_slider_moves_the_weight_images_through_the_epochs(page):
    image = page.locator("img[src*=get-artifact]").last
    image.wait_for()
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
    assert "step%2B2%2B" in last
    assert "step%2B1%2B" in image.get_attribute("src")
    assert image.screenshot() != pixels


def test_the_images_are_all_in_sight_down_to_the_best(page, studies):
    images = page.locator("img[src*=get-artifact]")
    assert images.count() == studies["digits-softmax"]
    slider = page.get_by_role("slider").last.bounding_box()
    best = images.last.bounding_box()
    assert best["y"] + best["height"] < slider["y"]


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


def test_two_studies_stand_side_by_side_as_groups(pair_page, studies):
    for study, trials in studies.items():
        group = pair_page.get_by_text(f"Group: {study}").first
        assert group.is_visible()
        assert str(trials) in group.locator("..").inner_text()


def test_all_trials_of_both_studies_have_their_points_and_curves(pair_page, studies):
    pair_page.wait_for_function(ALL_DRAWN)
    marks = pair_page.evaluate(COUNT_MARKS)
    both = sum(studies.values())
    assert {marks[title] for title in marks if " vs. " in title} == {both}
    assert marks["val/accuracy"] >= both
    assert marks["val/loss"] >= both


@pytest.mark.parametrize("chart", ["loss vs. best/val_accuracy", "log10_l2 vs. best/val_accuracy"])
def test_the_colours_tell_two_studies_apart(pair_page, chart):
    pair_page.wait_for_function(ALL_DRAWN)
    assert hues(pair_page, chart) == {"blue": 6, "orange": 4}


def test_the_weights_of_both_studies_are_in_sight(pair_page, studies):
    images = pair_page.locator("img[src*=get-artifact]")
    images.last.wait_for()
    assert images.count() == sum(studies.values())


def test_the_page_of_a_study_draws_its_best_after_each_trial(study_page, studies):
    box = study_page.locator(".js-plotly-plot").first
    box.locator("path.js-line").first.wait_for()
    assert box.locator("path.point").count() == studies["digits-softmax"]
    assert study_page.get_by_text("val_accuracy", exact=True).first.is_visible()


def test_the_page_of_a_study_says_what_was_searched_and_found(study_page):
    study_page.get_by_role("tab", name="Overview").click()
    study_page.get_by_text("Trials: 6 complete, 0 pruned, 0 failed.").first.wait_for()


def test_the_page_of_a_trial_has_its_curves_and_the_images_of_its_weights(trial_page):
    trial_page.get_by_role("tab", name="Model metrics").click()
    trial_page.locator("path.js-line").first.wait_for()
    image = trial_page.locator("img[src*=get-artifact]").first
    image.scroll_into_view_if_needed()
    assert image.evaluate("image => image.naturalWidth") > 100


def test_the_page_of_a_trial_says_what_it_is(trial_page):
    trial_page.get_by_role("tab", name="Overview").click()
    trial_page.get_by_text("Description").first.wait_for()
    assert trial_page.get_by_text("No description").count() == 0


def is_genai(page):
    """Whether the page's menu is the one for prompts and judges."""
    judges = page.get_by_text("Judges", exact=True)
    judges.or_(page.get_by_text("Model registry", exact=True)).first.wait_for()
    return judges.count() > 0


@pytest.mark.parametrize("opened_page", ["page", "pair_page", "study_page"])
def test_no_link_opens_a_genai_page(opened_page, request):
    assert not is_genai(request.getfixturevalue(opened_page))


def test_without_its_workflow_type_the_link_would(browser, link):
    page = browser.new_page()
    page.set_default_timeout(45_000)
    page.goto(link.replace("workflowType=machine_learning&", ""))
    assert is_genai(page)
