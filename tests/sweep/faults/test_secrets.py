"""A password in an address or in the environment is used, and appears nowhere else."""

import base64
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SECRET = "tr0ub4dor"  # noqa: S105 - of no account anywhere
LOGIN = f"me:{SECRET}"


def refusing(status, seen):
    """Return a kind of server that answers everything with one status and repeats the request."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization", ""))
            said = f"{status}: {self.requestline} {dict(self.headers)}".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_GET  # noqa: N815 - the name that the server looks for

        def log_message(self, *_):
            pass

    return Refusing


@pytest.fixture
def server():
    """Return a context of a server that answers with a status; it gives port and logins seen."""

    @contextmanager
    def serve(status):
        seen = []
        listening = ThreadingHTTPServer(("127.0.0.1", 0), refusing(status, seen))
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        try:
            yield listening.server_port, seen
        finally:
            listening.shutdown()
            listening.server_close()

    return serve


def nowhere(folder, *texts):
    """Check that no text and no file below a folder holds the secret, as it is or encoded."""
    encoded = base64.b64encode(LOGIN.encode())
    contents = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    contents |= {f"output {place}": text.encode() for place, text in enumerate(texts)}
    for name, content in contents.items():
        assert SECRET.encode() not in content, name
        assert encoded not in content, name


COMMANDS = (
    ["run", "--data", "digits", "--trials", "1", "a"],
    ["train", "--data", "digits", "--epochs", "1"],
    ["report", "digits-softmax"],
    ["export", "digits-softmax"],
    ["sync", "digits-softmax"],
    ["ui", "digits-softmax", "--no-browser"],
)
TRAIN = COMMANDS[1]
PLAIN_AND_DEBUG = ([], ["--debug"])


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_server_that_refuses_a_login_does_not_make_it_known(
    in_copied_study, invoke, server, status
):
    with server(status) as (port, seen):
        for debug in PLAIN_AND_DEBUG:
            for command in COMMANDS:
                uri = f"http://{LOGIN}@127.0.0.1:{port}"
                said = invoke(*debug, *command, "--tracking-uri", uri)
                assert said.exit_code == 75, said.output
                nowhere(in_copied_study.root, said.output)
    assert any(login.startswith("Basic ") for login in seen)


@pytest.mark.slow
def test_a_login_of_the_environment_is_used_and_not_made_known(
    in_copied_study, invoke, server, monkeypatch
):
    for variables, kind in (
        ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": SECRET}, "Basic "),
        ({"MLFLOW_TRACKING_TOKEN": SECRET}, "Bearer "),
    ):
        with monkeypatch.context() as environment, server(401) as (port, seen):
            for name, value in variables.items():
                environment.setenv(name, value)
            environment.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
            for debug in PLAIN_AND_DEBUG:
                said = invoke(*debug, *TRAIN)
                assert said.exit_code == 75, said.output
                nowhere(in_copied_study.root, said.output)
        assert any(login.startswith(kind) for login in seen)


def test_no_address_gives_its_password_away(in_workspace, invoke, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    for uri in (
        f"postgresql://{LOGIN}@127.0.0.1:9/db",
        f"postgresql+psycopg2://{LOGIN}@127.0.0.1:9/db",
        f"postgresql://me:a/{SECRET}@127.0.0.1:9/db",
        f"postgresql://me:a?{SECRET}#b@127.0.0.1:9/db",
        f"postgresql://me:p@{SECRET}@127.0.0.1:9/db",
        f"postgresql://127.0.0.1:9/db?user=me&password={SECRET}",
        f"mysql://{LOGIN}@127.0.0.1:9/db",
        f"mssql+pyodbc://{LOGIN}@127.0.0.1:9/db?driver=x",
        f"http://{LOGIN}@127.0.0.1:99999",
        f"http://{LOGIN}@[::1",
        f"ftp://{LOGIN}@127.0.0.1",
        f"//{LOGIN}@127.0.0.1",
        f"http://127.0.0.1:9/?token={SECRET}",
    ):
        for debug in PLAIN_AND_DEBUG:
            said = invoke(*debug, *TRAIN, "--tracking-uri", uri)
            assert said.exit_code in (1, 75), said.output
            assert bool(debug) == ("Traceback" in said.stderr)
            nowhere(in_workspace.root, said.output)


@pytest.mark.slow
def test_a_study_tracked_with_a_login_leaves_none_behind(in_workspace, monkeypatch):
    uri = f"sqlite:///{in_workspace.mlflow_database}?password={SECRET}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    program = [sys.executable, "-c", "from sweep.cli import main; main(prog_name='sweep')"]
    for command in (
        ["run", "--data", "digits", "--trials", "2", "--epochs", "2"],
        ["confirm", "digits-softmax", "--seeds", "2", "--top", "1"],
        ["test", "digits-softmax"],
        ["report", "digits-softmax"],
        ["export", "digits-softmax"],
    ):
        process = subprocess.Popen(
            [*program, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        said = []
        while process.poll() is None:
            said += [path.read_text() for path in command_lines(process.pid)]
            time.sleep(0.2)
        out, err = process.communicate()
        assert process.returncode == 0, err
        nowhere(in_workspace.root, out, err, *said)


def command_lines(pid):
    """Return where a process and its children tell everybody how they were called."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    pids = [pid, *(children.read_text().split() if children.exists() else [])]
    return [path for path in (Path(f"/proc/{one}/cmdline") for one in pids) if path.exists()]
