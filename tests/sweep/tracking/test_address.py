import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.tracking.address import mask, without_login
from sweep.tracking.tracker import EXAMPLE_URI

LETTERS = st.text("abcABC012%$!.-_~", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:s3cr%40t@127.0.0.1:9/base", "http://***@127.0.0.1:9/base"),
        ("postgresql://me:pass@word@host/db", "postgresql://***@host/db"),
        ("http://token@host", "http://***@host"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        (EXAMPLE_URI, EXAMPLE_URI),
    ],
)
def test_what_is_shown_of_an_address_has_no_login(uri, shown):
    assert mask(uri, uri) == shown
    assert mask(f"at {uri}: no", uri) == f"at {shown}: no"
    assert without_login(uri) == shown.replace("***@", "")


@given(LETTERS, LETTERS)
def test_neither_name_nor_password_is_left_of_any_login(user, password):
    uri = f"postgresql://{user}:{password}@host:5432/runs"
    assert mask(uri, uri) == "postgresql://***@host:5432/runs"
    assert without_login(uri) == "postgresql://host:5432/runs"
