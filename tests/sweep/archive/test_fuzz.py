"""Whatever bytes an archive is made of, reading it ends in a study or in one line."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.archive.export import _pack
from sweep.archive.load import MODEL, STUDY, unpack
from sweep.archive.models import RefusedError
from sweep.errors import SweepError

pytestmark = pytest.mark.slow

BOUNDED = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**63, max_value=2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["../x", "a\nb", "<b>", "'", "\x00", "9" * 400, "__class__"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
)


def read(content):
    """Read as `sweep import` does; a refusal must be of bounded length."""
    try:
        return unpack(content)
    except (RefusedError, SweepError) as error:
        said = str(error)
    assert len(said) < 500
    return None


def places(value, path=()):
    """Yield the path of every value within plain values."""
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from places(inner, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@BOUNDED
@given(content=st.binary(max_size=300))
def test_any_bytes_are_refused(content):
    assert read(content) is None


@BOUNDED
@given(data=st.data())
def test_an_archive_with_bytes_changed_is_refused_or_the_same(content, archived, data):
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    again = read(bytes(changed))
    assert again is None or again[0] == archived[0]


@BOUNDED
@given(data=st.data())
def test_a_member_of_any_bytes_is_refused(members, data):
    name = data.draw(st.sampled_from([STUDY, MODEL]))
    assert read(_pack(members | {name: data.draw(st.binary(max_size=100))})) is None


@settings(BOUNDED, max_examples=600)
@given(data=st.data())
def test_any_value_in_any_place_is_refused_or_read_as_it_is(members, data):
    study = json.loads(members[STUDY])
    path = data.draw(st.sampled_from(list(places(study))))
    changed = json.dumps(replaced(study, path, data.draw(ODD))).encode()
    again = read(_pack(members | {STUDY: changed}))
    if again is not None:
        plain = again[0].model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert plain == json.loads(changed)
