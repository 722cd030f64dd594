import json

import pytest

from sweep.environment import environment
from sweep.tracking.provenance import log_provenance
from sweep.tracking.run import Run


@pytest.fixture
def logged(tiny_study, monkeypatch):
    """Return the study's settings and the run on which their provenance was logged."""
    state = {"commit": "abc", "branch": "main", "dirty": "True"}
    monkeypatch.setattr("sweep.tracking.provenance.git_state", lambda: state)
    loop = tiny_study()
    run = Run.create(loop.tracker, "a run", tags={})
    log_provenance(run, loop.study.settings.data, loop.data)
    return loop.study.settings.data, loop.tracker.client.get_run(run.id)


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
        "training": {"rows": 72, "features": 4},
        "validation": {"rows": 18, "features": 4},
    }
