from __future__ import annotations

import collections
import os
import pickle
import struct
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweep.data.unpickle import recorded_array, unpickle

ROWS = np.arange(6, dtype=np.uint8).reshape(2, 3)
GOOD = pickle.dumps({"data": ROWS, "labels": [1, 2]}, 4)


class Command:
    def __reduce__(self):
        return os.system, ("touch was-here",)


def test_a_command_in_a_pickle_is_named_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"it asks for '{os.name}.system'"):
        unpickle(pickle.dumps({"data": Command()}, 2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "entry",
    [
        Fraction(1, 2),
        collections.OrderedDict(a=1),
        np.float64(1.0),
        eval,
        pickle.Unpickler,
    ],
    ids=["Fraction", "OrderedDict", "NumPy scalar", "eval", "Unpickler"],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_but_an_array_and_its_dtype_may_be_named(entry, protocol):
    with pytest.raises(ValueError, match="it cannot be unpickled: "):
        unpickle(pickle.dumps({"data": entry}, protocol))


def test_an_array_is_written_down_and_not_built():
    entry = unpickle(GOOD)["data"]
    assert not isinstance(entry, np.ndarray)
    assert np.array_equal(recorded_array(entry, (2, 3)), ROWS)


@pytest.mark.parametrize("shape", [(3, 2), (2, 4), (1, 6)])
def test_an_array_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="one uint8 array of shape"):
        recorded_array(unpickle(GOOD)["data"], shape)


def test_python_2_strings_are_text_as_keys_and_bytes_as_entries():
    assert unpickle(b"\x80\x02}U\x01aU\x02\xff\x00s.") == {"a": b"\xff\x00"}


DEEP = 100_000
HOSTILE = {
    "a byte array of a terabyte": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
    "an array of four exabytes": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n"
    b"(cnumpy\nndarray\n(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ftU\x01btR.",
    "a deeply nested key": b"\x80\x02})" + b"\x85" * DEEP + b"K\x01s.",
    "deeply nested lists": b"\x80\x02" + b"]" * DEEP + b"a" * (DEEP - 1) + b".",
    "a dictionary that is dropped": b"\x80\x02}0.",
    "a changed stand-in": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nN}U\x01aNs\x86b.",
    "a command in protocol 0": b"cos\nsystem\n(S'true'\ntR.",
    "a command by OBJ": b"\x80\x02(cos\nsystem\nU\x04trueo.",
    "the extension registry": b"\x80\x02\x82\x01.",
    "a name of two lines": b"\x80\x04\x8c\x02o\ns\x8c\x06system\x93.",
    "a persistent id": b"\x80\x02U\x01aQ.",
    "an unknown protocol": b"\x80\xff}.",
    "nothing": b"",
    "an end at once": b".",
    "a web page": b"<html>moved</html>",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_are_refused_in_one_short_line(content):
    with pytest.raises(ValueError, match=r"it cannot be unpickled: |it holds no") as caught:
        unpickle(content)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_a_memo_numbered_in_thousand_millions_takes_no_room():
    tracemalloc.start()
    assert unpickle(b"\x80\x02}r\xff\xff\xff\x7f.") == {}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@given(st.binary(max_size=80))
@example(b"}.")
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_dictionary_or_refused(content):
    try:
        entries = unpickle(content)
    except ValueError:
        return
    assert isinstance(entries, dict)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_pickle_with_one_wrong_byte_is_the_array_or_refused(position, change):
    content = bytearray(GOOD)
    content[position] ^= change
    try:
        array = recorded_array(unpickle(bytes(content)).get("data"), (2, 3))
    except ValueError:
        return
    assert array.shape == (2, 3)
    assert array.dtype == np.uint8


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_a_pickle_cut_off_anywhere_is_refused(length):
    with pytest.raises(ValueError, match="it cannot be unpickled"):
        unpickle(GOOD[:length])
