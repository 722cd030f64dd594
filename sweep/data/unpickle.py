"""Read the pickles of CIFAR-10's Python version without running anything that they name.

A pickle is a program. This reader knows only the instructions that lists, dictionaries, strings,
small numbers and one array are made of, and an array's parts are written down, not built: a
hostile file can neither call a function nor ask for memory that it does not itself fill.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

_INSTRUCTIONS = b"".join(
    [
        *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK),
        *(pickle.SETITEM, pickle.SETITEMS),
        *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS),
        *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
        *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE),
        *(pickle.BININT, pickle.BININT1, pickle.BININT2),
        *(pickle.BINSTRING, pickle.SHORT_BINSTRING, pickle.BINBYTES, pickle.SHORT_BINBYTES),
        *(pickle.BINUNICODE, pickle.SHORT_BINUNICODE),
        *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET, pickle.MEMOIZE),
        *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD),
    ]
)


class _Entries(dict[Any, Any]):
    """A dictionary with text for keys: to hash a deeply nested key would overflow the stack."""

    __slots__ = ()

    def __setitem__(self, key: object, entry: object) -> None:
        if not isinstance(key, str | bytes):
            raise pickle.UnpicklingError("a key is no text")
        super().__setitem__(key.decode("latin-1") if isinstance(key, bytes) else key, entry)


class _Recorded:
    """Stands where an array or its dtype would be: keeps what they are made from."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _RecordedArray(_Recorded):
    pass


class _RecordedDtype(_Recorded):
    pass


_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _RecordedArray,  # up to NumPy 1
    ("numpy._core.multiarray", "_reconstruct"): _RecordedArray,  # from NumPy 2
    ("numpy", "ndarray"): "ndarray",  # named as an argument, never called
    ("numpy", "dtype"): _RecordedDtype,
}


# The interpreter in Python, not the one in C: its memo is a dictionary, whereas the other makes
# room for as many entries as the file cares to name.
class _BatchUnpickler(pickle._Unpickler):  # noqa: SLF001 - the only other name is the one in C
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **{code: pickle._Unpickler.dispatch[code] for code in _INSTRUCTIONS},  # noqa: SLF001
        pickle.EMPTY_DICT[0]: lambda self: self.append(_Entries()),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {f'{module}.{name}'!r:.100}")
        return _ADMITTED[module, name]


def unpickle(content: bytes) -> dict[str, Any]:
    """Return the dictionary that a pickle holds, its keys as text; ValueError for any other."""
    try:
        # Python 2 pickled text as bytes, and pixels as text: bytes is right for both.
        entries = _BatchUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # bytes that are no pickle can raise anything here
        reason = str(error) if isinstance(error, pickle.UnpicklingError) else repr(error)
        raise ValueError(f"it cannot be unpickled: {reason:.200}") from error
    if not isinstance(entries, _Entries):
        raise ValueError("it holds no dictionary")  # noqa: TRY004 - a matter of the file
    return entries


def recorded_array(entry: object, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return an unpickled entry as the uint8 array of that shape that it must be."""
    match entry:
        case _RecordedArray(
            state=(1, found, _RecordedDtype(arguments=("u1" | b"u1", *_)), False, bytes(data))
        ) if found == shape and len(data) == shape[0] * shape[1]:
            return np.frombuffer(data, np.uint8).reshape(shape)
        case _:
            raise ValueError(f"its data must be one uint8 array of shape {shape} in row order")
