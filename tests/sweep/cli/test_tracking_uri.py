"""What `--tracking-uri` says of an address that is none, or of a store that is away."""

import pytest

from sweep.tracking.tracker import Tracker

TAKEN = "write e.g. sqlite:///mlruns/mlflow.db or http://127.0.0.1:5000 with --tracking-uri"
AWAY = "http://me:s3cret@127.0.0.1:9"


@pytest.fixture
def commands(tiny_npz):
    return [["run", "--data", tiny_npz, "--trials", "1"], ["train", "--data", tiny_npz], ["ui"]]


@pytest.mark.parametrize("uri", ["./mlruns", ".", "gopher://host"])
def test_an_address_that_mlflow_does_not_take_is_refused(workspace, invoke, commands, uri):
    del workspace
    for command in commands:
        said = invoke(*command, "--tracking-uri", uri)
        assert (said.exit_code, said.stdout) == (1, "")
        assert said.stderr.splitlines()[-1] == (
            f"sweep: error: not a tracking address that MLflow takes: {uri!r}; {TAKEN}"
        )


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_refused_port_is_75_and_the_password_appears_nowhere(
    workspace, invoke, commands, monkeypatch, debug
):
    del workspace
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    for command in commands:
        said = invoke(*debug, *command, "--tracking-uri", AWAY)
        assert (said.exit_code, said.stdout) == (75, "")
        assert said.stderr.splitlines()[-1].endswith(
            ": MLflow at http://***@127.0.0.1:9 does not do as asked: Connection refused; check "
            "that it is up and has space, then run the same command again"
        )
        assert bool(debug) == ("Traceback" in said.stderr)
        assert "s3cret" not in said.output
    assert sum(waits) < 10


def test_the_environments_address_is_taken_where_none_is_given(
    workspace, invoke, commands, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace}/mlruns/mlflow.db")
    assert invoke(*commands[1], "--epochs", "1").exit_code == 0
    assert len(Tracker("tiny").runs(role="train")) == 1
