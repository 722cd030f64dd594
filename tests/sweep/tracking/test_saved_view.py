import json
from dataclasses import replace

import pytest

from sweep.errors import SweepError
from sweep.tracking import saved_view
from sweep.tracking.saved_view import MAX_CHARACTERS, TAG, save_view, untested_mlflow
from sweep.tracking.views import View

VIEW = View("sweep-a1", "a view", {"orderByKey": "metrics.`val/accuracy`"})


def kept(tracker, key=VIEW.key):
    """Return what MLflow has of a view."""
    experiment = tracker.client.get_experiment(tracker.experiment_id)
    return json.loads(experiment.tags[f"{TAG}{key}"])


@pytest.fixture
def written(tracker, monkeypatch):
    """Return a list that grows by what is written."""
    values = []
    write = tracker.client.set_experiment_tag

    def noting(experiment_id, key, value):
        values.append(value)
        write(experiment_id, key, value)

    monkeypatch.setattr(tracker.client, "set_experiment_tag", noting)
    return values


def test_a_view_is_kept_by_its_name_with_its_state_as_text(tracker):
    save_view(tracker, VIEW)
    assert kept(tracker)["name"] == "a view"
    assert json.loads(kept(tracker)["state"]) == VIEW.state


def test_the_same_view_again_writes_nothing(tracker, written):
    save_view(tracker, VIEW)
    save_view(tracker, VIEW)
    assert len(written) == 1


def test_a_changed_view_is_renewed_and_keeps_its_birthday(tracker):
    save_view(tracker, VIEW)
    born = kept(tracker)["createdAt"]
    save_view(tracker, replace(VIEW, state={"orderByAsc": True}))
    assert json.loads(kept(tracker)["state"]) == {"orderByAsc": True}
    assert kept(tracker)["createdAt"] == born


def test_a_view_stays_where_it_is_not_to_be_renewed(tracker, written):
    save_view(tracker, VIEW, renew=False)
    save_view(tracker, replace(VIEW, state={}), renew=False)
    assert len(written) == 1


@pytest.mark.parametrize("mark", [{}, {"sweep": "the digest of another state"}])
def test_a_view_that_a_user_saved_in_its_place_stays(tracker, mark):
    theirs = {"name": "mine", "createdAt": 1, "updatedAt": 2, "state": "{}", **mark}
    tracker.client.set_experiment_tag(tracker.experiment_id, f"{TAG}{VIEW.key}", json.dumps(theirs))
    save_view(tracker, VIEW)
    assert kept(tracker) == theirs


@pytest.mark.parametrize("value", ["", "not JSON", "[1]", "{}"])
def test_what_is_no_view_is_replaced_by_one(tracker, value):
    tracker.client.set_experiment_tag(tracker.experiment_id, f"{TAG}{VIEW.key}", value)
    save_view(tracker, VIEW)
    assert kept(tracker)["name"] == "a view"


def test_a_view_that_mlflow_would_cut_is_refused(tracker):
    long = replace(VIEW, state={"searchFilter": "x" * MAX_CHARACTERS})
    with pytest.raises(SweepError, match=r"too many studies; open one with `sweep ui STUDY`"):
        save_view(tracker, long)
    assert tracker.client.get_experiment(tracker.experiment_id).tags == {}


@pytest.mark.parametrize(
    ("installed", "untested"),
    [("3.17.0", None), ("3.17.2", None), ("3.18.0", "3.18.0"), ("3.1.7", "3.1.7"), ("4.0", "4.0")],
)
def test_only_the_minor_version_that_was_looked_at_counts_as_tested(
    monkeypatch, installed, untested
):
    monkeypatch.setattr(saved_view, "version", lambda _: installed)
    assert untested_mlflow() == untested


def test_the_installed_version_is_the_tested_one():
    assert untested_mlflow() is None
