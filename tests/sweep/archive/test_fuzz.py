"""Whatever bytes an archive is made of, reading it ends in a study or in one line."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.archive import container
from sweep.archive.container import pack, unpack
from sweep.archive.contents import read_contents
from sweep.archive.plain import RefusedError
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
    st.sampled_from(["../x", "a\nb", "<b>", "'", "\x00", "\ud800", "9" * 400, "__class__"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
)


def read(content):
    """Read as `sweep import` does; a refusal must be one line of bounded length."""
    try:
        contents = read_contents(unpack(content))
    except (RefusedError, SweepError) as error:
        said = str(error)
        assert said.isprintable() and len(said) < 500  # noqa: PT018 - one promise
        return None
    return contents


def places(value, path=()):
    """Yield the path of every value within plain values."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from places(inner, (*path, place))


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
def test_an_archive_with_bytes_changed_is_refused_or_the_same(members, data):
    content = bytearray(pack(members))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    again = read(bytes(content))
    assert again is None or again.members() == members


@BOUNDED
@given(data=st.data())
def test_a_member_of_any_bytes_is_refused(members, data):
    name = data.draw(st.sampled_from([container.STUDY, container.TRIALS, container.MODEL]))
    assert read(pack(members | {name: data.draw(st.binary(max_size=100))})) is None


@settings(BOUNDED, max_examples=600)
@given(data=st.data())
def test_any_value_in_any_place_is_refused_or_makes_a_study_that_is_written_the_same(members, data):
    name = data.draw(st.sampled_from([container.STUDY, container.TRIALS]))
    value = json.loads(members[name])
    path = data.draw(st.sampled_from(list(places(value))))
    changed = json.dumps(replaced(value, path, data.draw(ODD))).encode()
    contents = read(pack(members | {name: changed}))
    if contents is not None:
        again = contents.members()
        assert json.loads(again[name]) == json.loads(changed)
        assert read_contents(again).members() == again
        curves = [c for t in contents.trials for c in t.intermediate_values.values()]
        assert all(map(math.isfinite, curves))
