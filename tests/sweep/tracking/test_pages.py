import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sweep.errors import SweepError
from sweep.tracking import pages
from sweep.tracking.pages import HOST, PORTS_TRIED, Place, find_place, has_pages_of, link, run_link


@pytest.fixture
def taken():
    """Return a port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


@contextmanager
def answering(body):
    """Answer every request with the same bytes."""

    class Same(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer((HOST, 0), Same) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_the_link_opens_the_runs_of_an_experiment_and_not_the_genai_pages():
    assert link("http://127.0.0.1:5000/", "7") == (
        "http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning"
    )


def test_the_link_of_a_view_opens_it_as_charts():
    assert link("http://127.0.0.1:5000", "7", "sweep-a1") == (
        "http://127.0.0.1:5000/#/experiments/7/runs"
        "?workflowType=machine_learning&viewStateShareKey=sweep-a1&compareRunsMode=CHART"
    )


def test_the_link_of_a_run_opens_its_charts_and_not_the_genai_pages():
    assert run_link("http://127.0.0.1:5000/", "7", "a1b2") == (
        "http://127.0.0.1:5000/#/experiments/7/runs/a1b2/model-metrics"
        "?workflowType=machine_learning"
    )


def test_a_port_that_is_taken_moves_on_to_the_next(taken):
    place = find_place(taken)
    assert taken < place.port < taken + PORTS_TRIED
    assert not place.served


def test_a_free_port_is_taken_as_wanted(taken):
    port = find_place(taken).port
    assert find_place(port) == Place(port)


def test_a_server_that_has_it_is_used(taken):
    asked = []

    def has_it(address):
        asked.append(address)
        return True

    assert find_place(taken, has_it) == Place(taken, served=True)
    assert asked == [f"http://{HOST}:{taken}"]


def test_no_free_port_is_said_with_the_option_to_use(monkeypatch):
    monkeypatch.setattr(pages, "_is_free", lambda _: False)
    with pytest.raises(SweepError) as refused:
        find_place(5000)
    assert str(refused.value) == "no free port from 5000 to 5099; name another with --port"


def test_no_port_above_the_last_is_tried(monkeypatch):
    monkeypatch.setattr(pages, "_is_free", lambda port: port > 65535)
    with pytest.raises(SweepError, match="no free port"):
        find_place(65530)


@pytest.fixture
def known(tracker):
    """Return an experiment as MLflow's server would describe it."""
    experiment = tracker.client.get_experiment_by_name("tiny")
    return {
        "experiment_id": experiment.experiment_id,
        "name": experiment.name,
        "artifact_location": experiment.artifact_location,
        "creation_time": experiment.creation_time,
    }


@pytest.mark.slow
def test_a_server_that_knows_the_experiment_has_its_pages(known, tracker):
    with answering(json.dumps({"experiment": known}).encode()) as address:
        assert has_pages_of(address, tracker.uri, known["experiment_id"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["name", "artifact_location", "creation_time"])
def test_a_server_of_another_folder_has_not(known, tracker, name):
    theirs = {**known, name: "another"}
    with answering(json.dumps({"experiment": theirs}).encode()) as address:
        assert not has_pages_of(address, tracker.uri, known["experiment_id"])


@pytest.mark.slow
@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": 404}', b'{"experiment": null}'])
def test_whatever_else_answers_has_not(known, tracker, body):
    with answering(body) as address:
        assert not has_pages_of(address, tracker.uri, known["experiment_id"])


@pytest.mark.slow
def test_who_never_answers_has_not(known, tracker, taken, monkeypatch):
    monkeypatch.setattr(pages, "ANSWER_SECONDS", 0.2)
    assert not has_pages_of(f"http://{HOST}:{taken}", tracker.uri, known["experiment_id"])
