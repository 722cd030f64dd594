import math
from dataclasses import astuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sweep.tracking.news import News, Point, decode, encode

TEXT = st.text(max_size=20)
TEXTS = st.dictionaries(TEXT, TEXT, max_size=4)
FOLDERS = st.text("abc_+-. é", min_size=1, max_size=8)
POINTS = st.builds(
    Point,
    key=TEXT,
    value=st.floats(),
    timestamp=st.integers(0, 2**43),
    step=st.integers(-(2**31), 2**31),
)
NEWS = st.builds(
    News,
    run=TEXT,
    name=st.none() | TEXT,
    born_with=TEXTS,
    parameters=TEXTS,
    points=st.lists(POINTS, max_size=4),
    tags=TEXTS,
    inputs=st.lists(TEXTS, max_size=2),
    files=st.dictionaries(
        st.lists(FOLDERS, min_size=1, max_size=3).map("/".join), st.binary(max_size=99), max_size=3
    ),
    status=st.sampled_from([None, "RUNNING", "FINISHED", "KILLED", "FAILED"]),
)


def comparable(letter):
    """Return news with NaN as a word, which is equal to itself."""
    return [
        [
            [Point(p.key, "nan" if math.isnan(p.value) else p.value, *p[2:]) for p in part]
            if part is news.points
            else part
            for part in (getattr(news, name) for name in vars(news))
        ]
        for news in letter
    ]


@given(st.lists(NEWS, max_size=3))
@example([News(run="r", points=[Point("a", -0.0, 1, 0), Point("a", 5e-324, 1, 1)])])
@example([News(run="r", files={"news.json": b"{}", "a/b": b""}), News(run="r", name="")])
def test_a_letter_is_read_back_as_it_was_written(letter):
    again = decode(encode(letter))
    assert comparable(again) == comparable(letter)
    assert all(isinstance(point, Point) for news in again for point in news.points)
    signs = [math.copysign(1, point.value) for news in letter for point in news.points]
    assert [math.copysign(1, p.value) for news in again for p in news.points] == signs


@given(NEWS)
def test_news_are_true_as_soon_as_there_is_anything_to_tell(news):
    _, name, _, *told, status = astuple(news)
    assert bool(news) == (name is not None or status is not None or any(map(len, told)))


def test_a_run_alone_is_no_news():
    assert not News(run="a")
    assert not News(run="a", born_with={"tag": "of a run that is there already"})
    assert News(run="a", name="")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_half_a_letter_is_no_letter(share):
    content = encode([News(run="a", files={"file": b"x" * 100})])
    with pytest.raises(Exception, match="zip"):
        decode(content[: int(share * len(content))])


def test_a_letter_is_the_same_whatever_the_clock_tells(monkeypatch):
    letter = [News(run="a", files={"file": b"content"})]
    written = encode(letter)
    monkeypatch.setattr("time.time", lambda: 1.0)
    assert encode(letter) == written


@given(st.binary(max_size=200) | st.integers(0, 300).map(lambda end: WHOLE[:end]))
def test_what_is_no_letter_is_a_value_error(content):
    with pytest.raises(ValueError, match=r"^\w+: "):
        decode(content)


WHOLE = encode([News(run="a", tags={"told": "b" * 99}, files={"c/d": b"e" * 99})])
