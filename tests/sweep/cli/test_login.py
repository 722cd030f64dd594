from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from sweep.cli.login import NAME, PASSWORD
from sweep.tracking.access import EVERYWHERE, Access, Login
from sweep.tracking.tracker import Tracker

SECRET = "long enough 77"  # noqa: S105 - opens nothing
HOSTS = ["--allowed-hosts", "lab.example.org, 10.0.0.7"]


@pytest.fixture(autouse=True)
def asked(workspace, monkeypatch):
    """Stand in for the server of a folder with runs; return whom it was to let in."""
    del workspace
    Tracker("digits")
    accesses = []

    @contextmanager
    def serving(_uri, port, _experiment, access):
        accesses.append(access)
        yield SimpleNamespace(address=f"http://lab.example.org:{port}", process=None)

    monkeypatch.setattr("sweep.tracking.server.serving", serving)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", NAME, PASSWORD):
        monkeypatch.delenv(name, raising=False)
    return accesses


@pytest.fixture
def login(monkeypatch):
    """Put a login into the environment."""
    monkeypatch.setenv(NAME, "me")
    monkeypatch.setenv(PASSWORD, SECRET)
    return Login(name="me", password=SECRET)


def test_without_being_told_the_pages_are_for_this_machine_and_need_no_login(invoke, asked):
    assert invoke("ui").exit_code == 0
    assert asked == [Access()]


def test_another_address_alone_is_a_usage_error_that_says_what_else_it_takes(invoke, asked, login):
    del login
    said = invoke("ui", "--host", EVERYWHERE)
    assert (said.exit_code, asked) == (2, [])
    assert said.stderr.endswith(
        "Error: --host 0.0.0.0 lets others in: name this machine as their browsers do, e.g. "
        "--allowed-hosts lab.example.org.\n"
    )


def test_the_login_comes_from_the_environment_and_its_password_is_not_shown(invoke, asked, login):
    said = invoke("ui", "--host", EVERYWHERE, *HOSTS)
    assert said.exit_code == 0
    assert asked == [Access(host=EVERYWHERE, names=("lab.example.org", "10.0.0.7"), login=login)]
    assert said.stderr.startswith(
        "Whoever logs in as 'me' gets in. Nothing is encrypted: put a proxy with TLS in front, or "
        "stay in a network that you trust.\n"
    )
    assert SECRET not in said.output


@pytest.mark.usefixtures("login")
def test_a_proxy_on_this_machine_takes_a_login_too(invoke, asked):
    invoke("ui", *HOSTS)
    assert (asked[0].host, asked[0].login.name) == ("127.0.0.1", "me")


@pytest.mark.parametrize("missing", [NAME, PASSWORD])
@pytest.mark.usefixtures("login")
def test_without_a_login_and_a_terminal_nothing_is_served(invoke, asked, monkeypatch, missing):
    monkeypatch.delenv(missing)
    said = invoke("ui", *HOSTS)
    assert (said.exit_code, said.stdout, asked) == (1, "", [])
    assert said.stderr == (
        "sweep: error: pages that others reach ask for a login, and there is no terminal to ask "
        "for one: set MLFLOW_AUTH_ADMIN_USERNAME and MLFLOW_AUTH_ADMIN_PASSWORD\n"
    )


def test_on_a_terminal_the_login_is_asked_for_unseen_and_twice(invoke, asked, monkeypatch):
    prompts = []
    answers = {"Name to log in with": "you", "Password": SECRET}

    def prompt(text, **how):
        prompts.append((text, how))
        return answers[text]

    monkeypatch.setattr("sweep.cli.login.sys", SimpleNamespace(stdin=Terminal()))
    monkeypatch.setattr("click.prompt", prompt)
    invoke("ui", *HOSTS)
    assert asked[0].login == Login(name="you", password=SECRET)
    assert prompts == [
        ("Name to log in with", {"default": "admin", "err": True}),
        ("Password", {"hide_input": True, "confirmation_prompt": True, "err": True}),
    ]


class Terminal:
    def isatty(self):
        return True


@pytest.mark.usefixtures("login")
def test_the_password_that_mlflow_used_to_come_with_is_refused(invoke, asked, monkeypatch):
    monkeypatch.setenv(PASSWORD, "password1234")
    said = invoke("ui", *HOSTS)
    assert (said.exit_code, asked) == (1, [])
    assert "not the one that MLflow used to come with" in said.stderr


@pytest.mark.parametrize("options", [HOSTS, ["--host", "127.0.0.2"]])
def test_optunas_dashboard_has_no_login_and_stays_here(invoke, asked, options):
    said = invoke("ui", "--optuna", *options)
    assert (said.exit_code, asked) == (2, [])
    assert "optuna-dashboard has no login: it stays on 127.0.0.1." in said.stderr


def test_no_option_takes_a_password(invoke):
    assert "password" not in invoke("ui", "--help").output.replace(PASSWORD, "").lower()
