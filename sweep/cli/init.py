"""`sweep init`: both stores made, before many processes ask for them at once."""

from __future__ import annotations

import click

from sweep.cli.options import storage_option, tracking_option


@click.command()
@storage_option
@tracking_option
def init(*, storage: str | None, tracking_uri: str | None) -> None:
    """Make the stores of studies and runs, or say that they are there.

    Every other command does so too where it needs them; this one shows, before workers are
    started on many machines, that the addresses are right. Of an MLflow server it asks only
    whether it answers.
    """
    from sweep.study.storage import make_storage, making_stores, name_of
    from sweep.tracking.address import database_path, mask
    from sweep.tracking.tracker import make_store
    from sweep.tracking.tracker import tracking_uri as resolve

    made = make_storage(storage)
    click.echo(f"studies: {name_of(storage)} {_said(made)}")
    uri = resolve(tracking_uri)
    if database_path(uri) is None:
        made = make_store(uri)
    else:
        with making_stores():
            made = make_store(uri)
    answer = "answers" if uri.startswith("http") else _said(made)
    click.echo(f"runs: MLflow at {mask(uri, uri)} {answer}")


def _said(made: bool) -> str:  # noqa: FBT001 - the one fact there is
    return "is made" if made else "is there"
