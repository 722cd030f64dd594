import json

import pytest

from sweep.environment import environment
from sweep.settings import DataChoice
from sweep.tracking.provenance import log_provenance
from sweep.tracking.run import Run
from sweep.tracking.tracker import Tracker


@pytest.fixture
def logged(workspace, monkeypatch, tiny_data):
    """Return a choice of data and the run on which its provenance was logged."""
    del workspace
    state = {"commit": "abc", "branch": "main", "dirty": "True"}
    monkeypatch.setattr("sweep.tracking.provenance.git_state", lambda: state)
    choice = DataChoice(
        source="/data/tiny.npz",
        directory=None,
        name="tiny",
        val_size=15,
        split_seed=0,
        data_digest="d" * 64,
        split_digest="5" * 64,
    )
    tracker = Tracker("tiny")
    run = Run.create(tracker, "a run", tags={})
    log_provenance(run, choice, tiny_data)
    run.flush()
    return choice, tracker.client.get_run(run.id)


def test_digests_environment_and_git_state_are_tags(logged):
    choice, run = logged
    tags = {name.removeprefix("sweep."): value for name, value in run.data.tags.items()}
    assert tags["data"] == "tiny"
    assert tags["data_digest"] == choice.data_digest
    assert tags["split_digest"] == choice.split_digest
    assert (tags["git.commit"], tags["git.branch"], tags["git.dirty"]) == ("abc", "main", "True")
    for name, value in environment().items():
        assert tags[f"environment.{name}"] == value


def test_both_parts_of_the_split_are_inputs_with_their_size_and_where_they_lie(logged):
    choice, run = logged
    told = {}
    for given in run.inputs.dataset_inputs:
        (context,) = given.tags
        told[context.value] = json.loads(given.dataset.profile)
        assert json.loads(given.dataset.source) == {
            "source": choice.source,
            "data_digest": choice.data_digest,
        }
    assert told == {
        "training": {"rows": 45, "features": 12},
        "validation": {"rows": 15, "features": 12},
    }
