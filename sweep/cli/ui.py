"""`sweep ui`: MLflow's pages for this folder's runs."""

from __future__ import annotations

from contextlib import suppress

import click

from sweep.cli.options import tracking_option


@click.command()
@click.argument("study_name", metavar="[STUDY]", required=False)
@click.option(
    "--port",
    type=click.IntRange(1024, 65535),
    default=5000,
    show_default=True,
    help="Port on 127.0.0.1; the next free one if it is taken.",
)
@tracking_option
def ui(study_name: str | None, port: int, tracking_uri: str | None) -> None:
    """Start MLflow's pages for this folder's runs, and print the link that opens them.

    With STUDY the link opens the charts of its trials, the best first; else all runs of the
    newest experiment. Ctrl-C ends the server.
    """
    from sweep.tracking.server import link, serving
    from sweep.tracking.tracker import newest_experiment, without_login
    from sweep.tracking.tracker import tracking_uri as resolve

    uri = resolve(tracking_uri)
    settings = None
    if study_name is not None:
        from sweep.study.opening import load_study
        from sweep.study.storage import open_storage

        settings = load_study(study_name, open_storage()).settings
    experiment_id = newest_experiment(uri, settings.data.name if settings else None)
    if uri.startswith("http"):
        click.echo(link(without_login(uri), experiment_id, settings))
        return
    with serving(uri, port) as server:
        click.echo(link(server.address, experiment_id, settings))
        click.echo("Ctrl-C ends the server.", err=True)
        with suppress(KeyboardInterrupt):
            server.wait()
