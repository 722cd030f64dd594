import base64
import json
import stat
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from sweep.errors import SweepError
from sweep.tracking import guard
from sweep.tracking.access import EVERYWHERE, KNOWN_PASSWORD, Access, Login
from sweep.tracking.guard import guarding
from sweep.tracking.pages import DIRECT
from sweep.tracking.server import serving
from sweep.tracking.tracker import Tracker

LOGIN = Login(name="me", password="long enough 77")  # noqa: S106 - opens a server of this test
NAME = "lab.example.org"
SEARCH = "ajax-api/2.0/mlflow/runs/search"


def settings(access, port=5000):
    with guarding(access, port) as (arguments, environment):
        return arguments, environment


def test_a_local_server_listens_here_with_one_worker_and_no_job_runner():
    arguments, environment = settings(Access())
    assert arguments == ["--host", "127.0.0.1", "--port", "5000", "--workers", "1"]
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_no_server_runs_commands_for_whoever_asks_its_assistant(monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_REMOTE_ASSISTANT", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ASSISTANT_SANDBOX", "false")
    _, environment = settings(Access())
    assert environment["MLFLOW_ENABLE_REMOTE_ASSISTANT"] == "false"
    assert environment["MLFLOW_ENABLE_ASSISTANT_SANDBOX"] == "true"


def test_a_local_server_goes_by_local_names_through_any_tunnel():
    _, environment = settings(Access())
    assert environment["MLFLOW_SERVER_ALLOWED_HOSTS"] == (
        "127.0.0.1,127.0.0.1:*,localhost,localhost:*"
    )


@pytest.mark.parametrize(
    "name",
    [
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS",
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED",
        "_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED",
        "MLFLOW_AUTH_CONFIG_PATH",
        "MLFLOW_STATIC_PREFIX",
        "MLFLOW_UVICORN_OPTS",
    ],
)
def test_what_the_environment_says_of_servers_opens_none(monkeypatch, name):
    monkeypatch.setenv(name, "true")
    assert name not in settings(Access())[1]


def test_the_rest_of_the_environment_reaches_the_server(monkeypatch):
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert settings(Access())[1]["MLFLOW_S3_ENDPOINT_URL"] == "http://127.0.0.1:9000"


def test_a_missing_package_is_said_with_what_pip_calls_it(monkeypatch):
    monkeypatch.setattr(guard, "find_spec", lambda _: None)
    with pytest.raises(SweepError) as refused, guarding(Access(names=(NAME,), login=LOGIN), 5000):
        pass
    assert str(refused.value) == "MLflow's login needs Flask-WTF; `pip install 'sweep[auth]'`"


needs_flask_wtf = pytest.mark.skipif(
    guard.find_spec("flask_wtf") is None, reason="Flask-WTF is not installed"
)


@needs_flask_wtf
def test_the_account_is_its_owners_alone_and_gone_with_the_server():
    with guarding(Access(names=(NAME,), login=LOGIN), 5000) as (arguments, environment):
        accounts = Path(environment["MLFLOW_AUTH_CONFIG_PATH"])
        assert arguments[-2:] == ["--app-name", "basic-auth"]
        assert stat.S_IMODE(accounts.stat().st_mode) == 0o600
        assert stat.S_IMODE(accounts.parent.stat().st_mode) == 0o700
        assert LOGIN.password not in " ".join(arguments) + accounts.read_text()
        assert f"sqlite:///{accounts.parent}/" in accounts.read_text()
    assert not accounts.parent.exists()


@needs_flask_wtf
def test_each_server_signs_with_a_key_of_its_own():
    access = Access(names=(NAME,), login=LOGIN)
    keys = {settings(access)[1]["MLFLOW_FLASK_SERVER_SECRET_KEY"] for _ in range(2)}
    assert len(keys) == 2
    assert all(len(key) == 64 for key in keys)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, empty_mlflow_database):
    """Return MLflow's own server with a login, on all addresses of this machine."""
    folder = tmp_path_factory.mktemp("guarded")
    database = folder / "mlflow.db"
    database.write_bytes(empty_mlflow_database.read_bytes())
    access = Access(host=EVERYWHERE, names=(NAME, "127.0.0.2"), login=LOGIN)
    with serving(f"sqlite:///{database}", 5900, "0", access) as server:
        yield server


def ask(server, *, login=None, **headers):
    """Return the status with which the server answers a search of runs."""
    port = server.address.rpartition(":")[2]
    said = {"Host": f"{NAME}:{port}", "Content-Type": "application/json"} | headers
    if login is not None:
        said["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
    request = Request(
        f"http://127.0.0.2:{port}/{SEARCH}",
        data=json.dumps({"experiment_ids": ["0"]}).encode(),
        headers=said,
    )
    return status(request)


def status(request):
    try:
        with DIRECT.open(request) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


MINE = (LOGIN.name, LOGIN.password)


@needs_flask_wtf
@pytest.mark.slow
def test_whoever_logs_in_gets_in_from_another_address(guarded):
    assert guarded.address.startswith(f"http://{NAME}:")
    assert ask(guarded, login=MINE) == 200


@needs_flask_wtf
@pytest.mark.parametrize(
    "login", [None, ("me", "wrong password"), ("admin", KNOWN_PASSWORD), ("me", "")]
)
@pytest.mark.slow
def test_nobody_else_does(guarded, login):
    assert ask(guarded, login=login) == 401


@needs_flask_wtf
@pytest.mark.parametrize("name", ["evil.example", "10.evil.example", "127.0.0.1", "localhost:5900"])
@pytest.mark.slow
def test_a_name_that_is_not_allowed_is_refused_even_with_the_login(guarded, name):
    assert ask(guarded, login=MINE, Host=name) == 403


@needs_flask_wtf
@pytest.mark.slow
def test_only_pages_of_the_server_itself_may_ask(guarded):
    assert ask(guarded, login=MINE, Origin=guarded.address) == 200
    assert ask(guarded, login=MINE, Origin=f"https://{NAME}") == 200
    assert ask(guarded, login=MINE, Origin="http://evil.example") == 403


@needs_flask_wtf
@pytest.mark.slow
def test_the_password_is_in_no_argument_of_any_process(guarded):
    assert guarded.process is not None
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = path.read_bytes()
        except OSError:
            continue
        assert LOGIN.password.encode() not in said


@pytest.mark.slow
def test_a_page_from_elsewhere_whose_name_leads_here_reaches_no_local_server(workspace):
    del workspace
    uri = "sqlite:///mlruns/mlflow.db"
    experiment = Tracker("digits").experiment_id
    with serving(uri, 5950, experiment) as server:
        pages = [
            Request(server.address, headers={"Host": name})  # noqa: S310 - our own address
            for name in ("127.0.0.1", "localhost:8080", "evil.example", "10.evil.example")
        ]
        assert [status(page) for page in pages] == [200, 200, 403, 403]
