"""Whatever a space file, an option or a store says, it is read or refused in one line."""

import copy
import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.config import StudyConfig
from sweep.errors import SweepError
from sweep.search.record import CONFIG
from sweep.search_space import NAMES, axes_from_file, axis_from_text

BOUNDED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
NUMBER = st.sampled_from(["0", "1", "-1", "0.5", "1e-4", "1e999", "nan", "inf", "9" * 5000, "0x1"])
WORD = NUMBER | st.sampled_from(["true", '"a"', "[1, 2]", "{low = 1, high = 2}", "1979-05-27"])
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["../x", "a\nb", "<b>", "\x00", "\ud800", 10**400, float("nan")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


RANGE = "{} = {{low = {}, high = {}, log = {}}}"


def refused_or(read):
    """Call `read`; it may refuse, in words."""
    try:
        return read()
    except SweepError as error:
        assert 0 < len(str(error)) < 1500  # noqa: PT017 - not every input is refused
        return None


def lines(name, value):
    return f"{name} = {value}"


@pytest.mark.slow
@BOUNDED
@given(
    text=st.text(max_size=60)
    | st.lists(st.builds(lines, st.sampled_from(NAMES), WORD), max_size=4).map("\n".join)
    | st.builds(RANGE.format, st.sampled_from(NAMES), WORD, WORD, WORD)
)
def test_any_text_is_a_space_file_or_refused(tmp_path, text):
    (tmp_path / "a.toml").write_text(text, errors="replace")
    refused_or(lambda: axes_from_file(tmp_path / "a.toml"))


@pytest.mark.slow
@BOUNDED
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_space_file_or_refused(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    refused_or(lambda: axes_from_file(tmp_path / "a.toml"))


@pytest.mark.slow
@BOUNDED
@given(
    text=st.text(max_size=40)
    | st.builds("{}={}:{}:{}".format, st.sampled_from(NAMES), NUMBER, NUMBER, st.text(max_size=4))
    | st.builds("{}={},{}".format, st.sampled_from(NAMES), NUMBER, NUMBER)
)
def test_any_text_is_an_override_or_refused(text):
    axis = refused_or(lambda: axis_from_text(text))
    if axis is not None:
        assert axis_from_text(f"{axis.name}={axis}") == axis


def places(value, path=()):
    """Yield the path of every value within plain values."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))


@pytest.mark.slow
@BOUNDED
@given(data=st.data())
def test_any_config_of_a_store_is_read_or_refused(make_config, data):
    record = make_config().record()
    path = data.draw(st.sampled_from([path for path in places(record) if path]))
    changed = replaced(record, path, data.draw(PLAIN))
    refused_or(lambda: StudyConfig.from_record(changed))


def replaced(record, path, value):
    """Return a copy of plain values with one of them another."""
    copied = copy.deepcopy(record)
    inner = copied
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copied


WRITTEN_OVER = {
    "null": 1,
    "[]": 1,
    "3": 1,
    '"text"': 1,
    "{}": 1,
    '{"study": "../x", "space": {}, "data": {}}': 1,
    '{"study": "digits-softmax"}': 1,
    '{"study": "digits-softmax", "space": [], "data": []}': 1,
    "{": 75,
    "": 75,
}


def test_a_study_whose_config_was_written_over_is_named(in_copied_study, refused):
    query = "UPDATE study_user_attributes SET value_json = ? WHERE key = ?"
    for written, code in WRITTEN_OVER.items():
        with closing(sqlite3.connect(in_copied_study.optuna_database)) as database, database:
            database.execute(query, (written, CONFIG))
        named = "'digits-softmax'" if code == 1 else "mlruns/optuna.db"
        refused("show digits-softmax", code, named)
