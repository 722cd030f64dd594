"""One server of MLflow's pages and one browser for all tests of what somebody sees in them."""

from __future__ import annotations

import os
import shutil
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


@pytest.fixture(scope="session")
def browsed(tmp_path_factory, furnish):
    """Return a workspace with a study of each loss."""
    workspace = furnish(tmp_path_factory.mktemp("browsed"))
    command = [sys.executable, "-c", RUN]
    subprocess.run(command, cwd=workspace.root, check=True, capture_output=True)
    return workspace


@pytest.fixture(scope="session")
def studies(browsed):
    """Return the trials of each study, the best first, as the page is to have them."""
    from sweep.search.record import open_study
    from sweep.search.trials import complete, ranked

    found = {}
    for name in STUDIES:
        study = open_study(name, browsed)
        best_first = complete(ranked(study.config, study.trials()))
        pruned = [trial for trial in study.trials() if trial not in best_first]
        assert len(best_first) >= 2
        assert len(pruned) >= 2
        found[name] = best_first, pruned
    return found


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def link(browsed, pair):
    """Return the link of one study, on the server that is there already."""
    del pair
    said = subprocess.run(
        [*SWEEP, "ui", "digits-softmax", "--no-browser", "--port", PORT],
        cwd=browsed.root,
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stderr.startswith("A server of these runs is there already: ")
    return said.stdout.strip()


@pytest.fixture(scope="session")
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
    page.set_default_timeout(PATIENCE)
    page.add_init_script(NO_ASSISTANT)
    page.goto(link)
    page.locator(".js-plotly-plot").first.wait_for()
    yield page
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(SHOTS) / f"{name}.png", timeout=PATIENCE)
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
