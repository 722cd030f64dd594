"""`sweep ui`: the dashboards of this folder's studies in a browser."""

from __future__ import annotations

import os
import sys
import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from sweep.cli.options import tracking_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.search import StudyRecord
    from sweep.tracking import Server
    from sweep.workspace import Workspace


@click.command()
@click.argument("names", metavar="[STUDY [STUDY_B]]", nargs=-1)
@click.option(
    "--port",
    type=click.IntRange(1024, 65535),
    default=5000,
    show_default=True,
    help="Port to listen on; the next free one if something else does already.",
)
@click.option("--no-browser", is_flag=True, help="Print the link, and open nothing.")
@tracking_option
def ui(
    names: tuple[str, ...],
    *,
    port: int,
    no_browser: bool,
    tracking_uri: str | None,
) -> None:
    """Start MLflow's pages for this folder's runs, and open them in a browser.

    With STUDY they open on its dashboard, with two studies on one that lays them side by side; else
    on all runs of the newest experiment. Ctrl-C ends the server.

    The server listens on 127.0.0.1, for this machine alone.
    """
    from sweep.tracking import (
        check_address,
        link,
        newest_experiment,
        run_link,
        serving,
        without_login,
    )
    from sweep.tracking import tracking_uri as resolve
    from sweep.workspace import Workspace

    workspace = Workspace()
    studies = _studies(names, workspace)
    uri = resolve(tracking_uri, workspace)
    check_address(uri)
    experiment_id = newest_experiment(uri, studies[0].config.data.name if studies else None)
    view, runs = _view(studies, uri, workspace)
    if uri.startswith("http"):
        click.echo(link(without_login(uri), experiment_id, view))
        return
    with serving(uri, port, experiment_id) as server:
        if server.process is None:
            click.echo(f"A server of these runs is there already: {server.address}", err=True)
        for name, run_id in runs.items():
            page = run_link(server.address, experiment_id, run_id)
            click.echo(f"The best of {name} after each trial: {page}", err=True)
        _show(server, link(server.address, experiment_id, view), no_browser=no_browser)


def _studies(names: Sequence[str], workspace: Workspace) -> list[StudyRecord]:
    """Open the studies by their names; without any, no store is opened."""
    from sweep.search import open_study

    if len(names) > 2:  # noqa: PLR2004 - side by side
        raise click.UsageError(f"One study, or two side by side: got {len(names)}.")
    return [open_study(name, workspace) for name in names]


def _view(
    studies: Sequence[StudyRecord], uri: str, workspace: Workspace
) -> tuple[str | None, dict[str, str]]:
    """See to it that MLflow has the dashboard of one or two studies.

    Returns
    -------
    tuple
        The key of the dashboard, and the run of each study by the study's name.

    """
    from sweep.analysis import colour_trials
    from sweep.tracking import (
        TESTED_MLFLOW,
        Tracker,
        ensure_pair_view,
        ensure_view,
        untested_mlflow,
    )

    if not studies:
        return None, {}
    first, *rest = studies
    tracker = Tracker(first.config.data.name, workspace, uri=uri)
    runs = {
        study.name: run.info.run_id
        for study in studies
        for run in tracker.runs(role="study", **study.tags)
    }
    untested = untested_mlflow()
    if untested is not None:
        click.echo(
            f"MLflow {untested} is installed, and the dashboards were tested with {TESTED_MLFLOW}: "
            "the link opens the plain page of runs.",
            err=True,
        )
        return None, runs
    views = [(study.config, study.tags) for study in studies]
    key = ensure_pair_view(tracker, views) if rest else ensure_view(tracker, *views[0])
    for study in studies:
        colour_trials(tracker, study)
    return key, runs


def _show(server: Server, page: str, *, no_browser: bool) -> None:
    """Print the link, open it, and stay until Ctrl-C where the server is ours."""
    click.echo(page)
    if not no_browser and _has_display():
        webbrowser.open(page)
    if server.process is not None:
        click.echo("Ctrl-C ends the server.", err=True)
        with suppress(KeyboardInterrupt):
            server.wait()


def _has_display() -> bool:
    """Whether there are windows: without, a browser would take over the terminal."""
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
