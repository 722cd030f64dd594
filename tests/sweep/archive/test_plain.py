import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.archive import plain
from sweep.archive.plain import RefusedError, read_json, write_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_written_reads_back_the_same_to_the_bit(value):
    line = write_json(value)
    again = read_json(line.encode(), "it")
    assert "\n" not in line
    assert (again, write_json(again)) == (value, line)


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
def test_no_infinity_and_no_nan_is_written(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is no JSON: Expecting value"),
        (b"[1, 2", "it is no JSON: Expecting"),
        (b'"\xff"', "it is no JSON: 'utf-8' codec can't decode"),
        (b"[NaN]", "it: numbers must be finite: got NaN"),
        (b"-Infinity", "it: numbers must be finite: got -Infinity"),
        (b'{"a": {"b": 1, "b": 2}}', "it: an object has 'b' twice"),
        (b"[" * 100_000, "it is no JSON: it is nested too deeply"),
        (b"[" * 50_000 + b"]" * 50_000, "it is no JSON: it is nested too deeply"),
        (b"9" * 5_000, "it is no JSON: Exceeds the limit"),
        (b"[],", "it is no JSON: Extra data"),
    ],
)
def test_what_is_no_plain_json_is_refused_with_its_name(content, said):
    with pytest.raises(RefusedError, match=f"^{re.escape(said)}"):
        read_json(content, "it")


@pytest.mark.parametrize(
    ("limit", "content"), [("MAX_CONTAINERS", b"[[],[],[],[]]"), ("MAX_VALUES", b"[1,1,1,1,1,1]")]
)
def test_more_than_fits_into_memory_is_refused_before_it_is_parsed(monkeypatch, limit, content):
    assert read_json(content, "it")
    monkeypatch.setattr(plain, limit, 4)
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(RefusedError, match=r"it may hold .* values in .* lists and objects"):
        read_json(content, "it")


WORD = re.compile("[a-z]+")
CHECKS = {
    "entries": (lambda value: plain.entries(value, "it", ("a", "b")), {"a": 1, "b": None}),
    "items": (lambda value: plain.items(value, "it", 2), [1, "b"]),
    "whole": (lambda value: plain.whole(value, "it", 0, 9), 9),
    "number": (lambda value: plain.number(value, "it", 0.0, 1.0), 1.0),
    "unbounded": (lambda value: plain.number(value, "it"), -1e300),
    "text": (lambda value: plain.text(value, "it", WORD, "a word"), "word"),
    "line": (lambda value: plain.line(value, "it", 5), "<b>é "),
}


@pytest.mark.parametrize("name", CHECKS)
def test_what_keeps_its_rule_is_returned(name):
    check, good = CHECKS[name]
    assert check(good) is good


BAD = [
    ("entries", [], "must be an object: got []"),
    ("entries", {"a": 1}, "lacks 'b'"),
    ("entries", {"a": 1, "b": 2, "c": 3}, "has an unknown entry, 'c'"),
    ("items", {}, "must be a list: got {}"),
    ("items", [1, 2, 3], "must have up to 2 entries: got 3"),
    ("whole", 10, "must be a whole number from 0 to 9: got 10"),
    ("whole", -1, "must be a whole number from 0 to 9: got -1"),
    ("whole", True, "must be a whole number from 0 to 9: got True"),
    ("whole", 1.0, "must be a whole number from 0 to 9: got 1.0"),
    ("whole", "1", "must be a whole number from 0 to 9: got '1'"),
    ("number", 1, "must be a finite float from 0 to 1: got 1"),
    ("number", 1.5, "must be a finite float from 0 to 1: got 1.5"),
    ("number", math.nan, "must be a finite float from 0 to 1: got nan"),
    ("unbounded", math.inf, "must be a finite float: got inf"),
    ("unbounded", None, "must be a finite float: got None"),
    ("text", "two words", "must be a word: got 'two words'"),
    ("text", "word\n", "must be a word: got 'word\\n'"),
    ("text", ["a"], "must be a word: got ['a']"),
    ("line", "123456", "must be up to 5 printable characters: got '123456'"),
    ("line", "a\nb", "must be up to 5 printable characters: got 'a\\nb'"),
    ("line", "\x1b[2J", "must be up to 5 printable characters: got '\\x1b[2J'"),
    ("line", "\ud800", "must be up to 5 printable characters: got '\\ud800'"),
    ("line", "\u202e", "must be up to 5 printable characters: got '\\u202e'"),
]


@pytest.mark.parametrize(("name", "value", "said"), BAD)
def test_what_breaks_its_rule_is_refused_with_the_rule_and_the_value(name, value, said):
    with pytest.raises(RefusedError) as refused:
        CHECKS[name][0](value)
    assert str(refused.value) == f"it {said}"


def test_a_value_is_shown_in_one_short_line():
    with pytest.raises(RefusedError) as refused:
        plain.whole("a\n" * 1_000_000, "it", 0, 9)
    assert len(str(refused.value)) < 150
    assert "\n" not in str(refused.value)
