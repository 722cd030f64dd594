"""Hands news of runs to MLflow: in an order, and so that twice is as good as once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sweep.disks import scratch_folder
from sweep.tracking.points import BATCH, log_points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow import MlflowClient

    from sweep.tracking.news import Inputs, News

RUN_KEY = "sweep.run_key"
"""The tag by which a run is found again whose creation was not heard of."""
PREFIX = "new-"


def new_key() -> str:
    """Return a key for a run that is yet to be created."""
    return f"{PREFIX}{uuid4().hex}"


class Delivery:
    """Delivers news to one experiment.

    Parameters
    ----------
    client
        Of the store.
    experiment_id
        Where runs are created.

    """

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self.client, self.experiment_id = client, experiment_id
        self._ids: dict[str, str] = {}
        self._artifacts: dict[str, Any] = {}

    def run_id(self, key: str) -> str | None:
        """Return MLflow's id of a run; None as long as it is not created."""
        return self._ids.get(key) if key.startswith(PREFIX) else key

    def deliver(self, letter: Sequence[News], *, again: bool = False) -> None:
        """Deliver news of some runs; `again` where some of it may have arrived before.

        Raises what MLflow's client raises.
        """
        for news in letter:
            self._open(news, again=again)
        points = {self._known(news): news.points for news in letter if news.points}
        if points:
            log_points(self.client, points)
        for news in letter:
            self._close(news)

    def _open(self, news: News, *, again: bool) -> None:
        """Create the run where that is the news, and send what must be there before its points."""
        from mlflow.entities import Param

        if self.run_id(news.run) is None:
            found = self._find(news.run) if again or news.name is None else None
            self._ids[news.run] = found or self._create(news)
        run_id = self._known(news)
        if news.files:
            self._send_files(run_id, news.files)
        if news.inputs:
            self.client.log_inputs(run_id, datasets=_datasets(news.inputs))
        parameters = [Param(key, value) for key, value in news.parameters.items()]
        for start in range(0, len(parameters), BATCH):
            batch = parameters[start : start + BATCH]
            self.client.log_batch(run_id, params=batch, synchronous=True)

    def _close(self, news: News) -> None:
        """Send what vouches for the rest, and the status."""
        from mlflow.entities import RunTag

        run_id = self._known(news)
        if news.tags:
            tags = [RunTag(key, value) for key, value in news.tags.items()]
            self.client.log_batch(run_id, tags=tags, synchronous=True)
        if news.status == "RUNNING":
            self.client.update_run(run_id, status=news.status)
        elif news.status is not None:
            self.client.set_terminated(run_id, news.status)
            self._artifacts.pop(run_id, None)

    def _known(self, news: News) -> str:
        run_id = self.run_id(news.run)
        assert run_id is not None  # noqa: S101 - news are opened first
        return run_id

    def _find(self, key: str) -> str | None:
        query = f"tags.`{RUN_KEY}` = '{key}'"
        found = self.client.search_runs([self.experiment_id], query)
        return found[0].info.run_id if found else None

    def _create(self, news: News) -> str:
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

        if news.name is None:  # it was created in a store that is no longer there, or deleted
            raise MlflowException(f"Run '{news.run}' not found", RESOURCE_DOES_NOT_EXIST)
        run = self.client.create_run(
            self.experiment_id, tags=news.born_with | {RUN_KEY: news.run}, run_name=news.name
        )
        self._artifacts[run.info.run_id] = self._repository(run.info.artifact_uri)
        return str(run.info.run_id)

    def _repository(self, uri: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(uri, tracking_uri=self.client.tracking_uri)

    def _send_files(self, run_id: str, files: dict[str, bytes]) -> None:
        """Send files together; the client would read the whole run to find where they go."""
        from mlflow.exceptions import MlflowException

        if run_id not in self._artifacts:
            uri = self.client.get_run(run_id).info.artifact_uri
            self._artifacts[run_id] = self._repository(uri)
        with scratch_folder() as folder:
            for path, content in files.items():
                place = folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            try:
                self._artifacts[run_id].log_artifacts(str(folder))
            except OSError as error:  # of the store's disk, not of the folder's
                raise MlflowException(str(error)) from error


def _datasets(inputs: Inputs) -> list[Any]:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            dataset=Dataset(
                name=each["name"],
                digest=each["digest"],
                source_type="code",
                source=each["source"],
                profile=each["profile"],
            ),
            tags=[InputTag("mlflow.data.context", each["context"])],
        )
        for each in inputs
    ]
