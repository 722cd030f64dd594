"""`sweep sync`: send MLflow what it lacks."""

from __future__ import annotations

import click

from sweep.cli.options import tracking_option


@click.command()
@click.argument("study_name", metavar="[STUDY]", required=False)
@tracking_option
def sync(study_name: str | None, tracking_uri: str | None) -> None:
    """Send MLflow what it lacks of STUDY, or of all studies of this folder.

    While MLflow's server was away a study went on; what it should know waits in mlruns/pending/ and
    in the record. The next `sweep run` of the study would send it as well.
    """
    from sweep.analysis.session import sync_study
    from sweep.search.record import open_study, recorded_studies
    from sweep.search.storage import making_stores, open_storage
    from sweep.tracking.tracker import Tracker
    from sweep.workspace import Workspace

    workspace = Workspace()
    studies = (
        recorded_studies(open_storage(workspace), workspace)
        if study_name is None
        else [open_study(study_name, workspace)]
    )
    for study in studies:
        with making_stores(workspace):
            tracker = Tracker(study.config.data.name, workspace, uri=tracking_uri)
        sent = sync_study(study, tracker)
        click.echo(f"{study.name}: {sent or 'no'} {'run was' if sent == 1 else 'runs were'} sent")
