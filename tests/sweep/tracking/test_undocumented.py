"""Each thing that is used of MLflow without being documented is still there."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from mlflow import environment_variables
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES

from sweep.errors import SweepError
from sweep.tracking import undocumented
from sweep.tracking.dashboard import pair_view, study_view
from sweep.tracking.undocumented import (
    DEFAULTS,
    LOGGED_IMAGES,
    MAX_CHARACTERS,
    RUN_COLOUR,
    VIEW,
    View,
    images,
    knows_schema,
    link,
    own_settings,
    run_link,
    save_view,
    sections,
    untested_mlflow,
)

SHOWN = View("sweep-a1", "a view", {"orderByKey": "metrics.`val/accuracy`"})
TAGS = {"study": "tiny-softmax", "study_id": "a1"}


def kept(tracker, key=SHOWN.key):
    """Return what MLflow has of a view."""
    experiment = tracker.client.get_experiment(tracker.experiment_id)
    return json.loads(experiment.tags[f"{VIEW}{key}"])


def keys_of(value):
    """Yield the names of all that a view says, however deep."""
    if isinstance(value, dict):
        yield from value
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, dict | list):
            yield from keys_of(each)


def test_all_that_a_view_and_a_link_say_is_known_to_the_pages(make_config):
    config, other = make_config(), make_config(loss="bce")
    names = {VIEW.removeprefix("mlflow.").rstrip("."), RUN_COLOUR, LOGGED_IMAGES}
    names |= {"viewStateShareKey", "compareRunsMode", "workflowType", "machine_learning"}
    names |= {*keys_of(study_view(config, TAGS).state)}
    names |= {*keys_of(pair_view([(config, TAGS), (other, {"study_id": "b2"})]).state)}
    names |= {"PARALLEL", "SCATTER", "LINE", "BAR", "IMAGE", "SHOW_ALL"}
    for script in (Path(mlflow.__file__).parent / "server/js/build/static/js").glob("*.js"):
        text = script.read_text()
        names = {name for name in names if name not in text}
    assert names == set()
    assert LOGGED_IMAGES == MLFLOW_LOGGED_IMAGES


def test_mlflows_settings_have_our_defaults_and_the_environment_counts_before_them(monkeypatch):
    for name in DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    before = {name: getattr(environment_variables, name).get() for name in DEFAULTS}
    with own_settings:
        with own_settings:
            pass
        for name, value in DEFAULTS.items():
            assert getattr(environment_variables, name).get() == value
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
        assert environment_variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 7
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    assert {name: getattr(environment_variables, name).get() for name in DEFAULTS} == before


@pytest.mark.slow
def test_no_telemetry_is_sent_and_the_environment_stays_as_it_is(tmp_path):
    program = (
        "import os, sys\n"
        "for name in ('CI', 'PYTEST_CURRENT_TEST', 'GITHUB_ACTIONS', 'MLFLOW_DISABLE_TELEMETRY'):\n"
        "    os.environ.pop(name, None)\n"
        "before = dict(os.environ)\n"
        "from sweep.tracking import Tracker\n"
        "from sweep.workspace import Workspace\n"
        "Tracker('tiny', Workspace())\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "assert get_telemetry_client() is None\n"
        "assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


def test_tables_are_made_in_one_file_whose_revision_is_known(empty_mlflow_database):
    with closing(sqlite3.connect(empty_mlflow_database)) as store:
        (revision,) = store.execute("SELECT version_num FROM alembic_version").fetchone()
        (place,) = store.execute("SELECT artifact_location FROM experiments").fetchone()
    assert knows_schema(revision)
    assert not knows_schema("ffffffffffff")
    assert place == (empty_mlflow_database.parent / "artifacts" / "0").as_uri()


# Saved views


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


def test_a_view_is_kept_by_its_name_and_renewed_only_where_it_changed(tracker, written):
    save_view(tracker, SHOWN)
    born = kept(tracker)
    assert (born["name"], json.loads(born["state"])) == ("a view", SHOWN.state)
    save_view(tracker, SHOWN)
    save_view(tracker, SHOWN._replace(state={}), renew=False)
    assert len(written) == 1
    save_view(tracker, SHOWN._replace(state={"orderByAsc": True}))
    assert json.loads(kept(tracker)["state"]) == {"orderByAsc": True}
    assert kept(tracker)["createdAt"] == born["createdAt"]


def test_a_view_that_a_user_saved_in_its_place_stays_and_what_is_none_is_replaced(tracker):
    tag = f"{VIEW}{SHOWN.key}"
    for mark in ({}, {"sweep": "the digest of another state"}):
        theirs = {"name": "mine", "createdAt": 1, "updatedAt": 2, "state": "{}", **mark}
        tracker.client.set_experiment_tag(tracker.experiment_id, tag, json.dumps(theirs))
        save_view(tracker, SHOWN)
        assert kept(tracker) == theirs
    for value in ("", "not JSON", "[1]", "{}"):
        tracker.client.set_experiment_tag(tracker.experiment_id, tag, value)
        save_view(tracker, SHOWN)
        assert kept(tracker)["name"] == "a view"


def test_a_view_that_mlflow_would_cut_is_refused(tracker, written):
    long = SHOWN._replace(state={"searchFilter": "x" * MAX_CHARACTERS})
    with pytest.raises(SweepError, match=r"too many studies; open one with `sweep ui STUDY`"):
        save_view(tracker, long)
    assert written == []


def test_only_the_minor_version_that_was_looked_at_counts_as_tested(monkeypatch):
    for installed, untested in (
        ("3.17.0", None),
        ("3.17.2", None),
        ("3.18.0", "3.18.0"),
        ("3.1.7", "3.1.7"),
        ("4.0", "4.0"),
    ):
        monkeypatch.setattr(undocumented, "version", lambda _, installed=installed: installed)
        assert untested_mlflow() == untested


def test_a_section_without_charts_is_left_out():
    state = sections(("empty", 1, 300, []), ("full", 2, 400, [images("weights", 1)]))
    first = state["compareRunSections"][0]
    assert (first["name"], first["columns"], first["cardHeight"]) == ("full", 2, 400)


def test_links_open_charts_of_runs_and_not_the_genai_pages():
    page = "http://127.0.0.1:5000/#/experiments/7/runs"
    training = "?workflowType=machine_learning"
    assert link("http://127.0.0.1:5000/", "7") == f"{page}{training}"
    assert link("http://127.0.0.1:5000", "7", "sweep-a1") == (
        f"{page}{training}&viewStateShareKey=sweep-a1&compareRunsMode=CHART"
    )
    assert run_link("http://127.0.0.1:5000/", "7", "a1b2") == f"{page}/a1b2/model-metrics{training}"
