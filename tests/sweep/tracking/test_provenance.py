import json

from sweep.environment import environment
from sweep.tracking import provenance as module
from sweep.tracking.provenance import inputs, provenance


def test_digests_environment_and_git_state_are_tags(make_config, monkeypatch):
    state = {"commit": "abc", "branch": "main", "dirty": "True"}
    monkeypatch.setattr(module, "git_state", lambda: state)
    data = make_config().data
    tags = provenance(data)
    assert tags["data"] == "tiny"
    assert tags["data_digest"] == data.data_digest
    assert tags["split_digest"] == data.split_digest
    assert (tags["git.commit"], tags["git.branch"], tags["git.dirty"]) == ("abc", "main", "True")
    for name, value in environment().items():
        assert tags[f"environment.{name}"] == value
    assert provenance(data, {"numpy": "1.0"})["environment.numpy"] == "1.0"


def test_both_parts_of_the_split_are_inputs_with_their_size_and_where_they_lie(
    make_config, tiny_data
):
    data = make_config().data
    told = {}
    for given in inputs(data, tiny_data):
        told[given["context"]] = json.loads(given["profile"])
        assert data.split_digest.startswith(given["digest"])
        assert json.loads(given["source"]) == {
            "source": data.source,
            "data_digest": data.data_digest,
        }
    assert told == {
        "training": {"rows": 45, "features": 12},
        "validation": {"rows": 15, "features": 12},
    }
