import pytest

from sweep.errors import SweepError
from sweep.tracking.access import EVERYWHERE, HOST, KNOWN_PASSWORD, Access, Login

LOGIN = Login(name="me", password="long enough 77")  # noqa: S106 - opens nothing


def test_without_a_login_a_server_is_for_this_machine_alone():
    access = Access()
    assert (access.host, access.names, access.login) == (HOST, (HOST, "localhost"), None)


@pytest.mark.parametrize(
    "elsewhere", [{"host": EVERYWHERE}, {"host": "127.0.0.2"}, {"names": ("lab.example.org",)}]
)
def test_what_others_reach_asks_for_a_login(elsewhere):
    with pytest.raises(SweepError, match="asks for a login: None"):
        Access(**elsewhere)
    assert Access(**elsewhere, login=LOGIN).login == LOGIN


@pytest.mark.parametrize("host", ["localhost", "::", "10.0.0", "", "10.0.0.1:80"])
def test_an_address_that_is_none_is_refused(host):
    with pytest.raises(SweepError) as refused:
        Access(host=host, login=LOGIN)
    assert str(refused.value) == (
        f"a server listens on an IPv4 address of this machine: {host!r}; "
        "write e.g. 127.0.0.1, or 0.0.0.0 for all of them"
    )


@pytest.mark.parametrize(
    "names", [(), ("*",), ("",), ("lab:5000",), ("*.example.org",), ("lab", "a b"), ("lab,x",)]
)
def test_a_name_that_would_let_in_others_is_refused(names):
    with pytest.raises(SweepError) as refused:
        Access(names=names, login=LOGIN)
    assert str(refused.value) == (
        "allowed hosts are names of this machine, without ports and wildcards: "
        f"{','.join(names)!r}; write e.g. lab.example.org"
    )


def test_a_server_on_all_addresses_is_found_on_this_machines_own():
    assert Access(host=EVERYWHERE, login=LOGIN).reached == HOST
    assert Access(host="127.0.0.2", login=LOGIN).reached == "127.0.0.2"


@pytest.mark.parametrize("password", [KNOWN_PASSWORD, "eleven char", ""])
def test_a_password_that_is_short_or_known_to_all_is_refused_and_not_shown(password):
    with pytest.raises(SweepError) as refused:
        Login(name="me", password=password)
    assert str(refused.value) == (
        "a login's password has at least 12 characters and is not the one that MLflow used to come "
        "with; choose another password"
    )


@pytest.mark.parametrize("name", ["", "a:b"])
def test_a_name_that_no_browser_can_send_is_refused(name):
    with pytest.raises(SweepError, match=f"no colon in it: {name!r}"):
        Login(name=name, password=LOGIN.password)


def test_a_login_shows_no_password():
    assert LOGIN.password not in repr(Access(names=("lab",), login=LOGIN))
