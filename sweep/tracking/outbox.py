"""Letters to MLflow that wait on disk until they are delivered, in their order."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sweep.disks import with_room
from sweep.errors import StoreUnreachableError
from sweep.tracking.news import decode, encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from sweep.tracking.news import News

DIGITS = 9
NAMES = f"{DIGITS * '[0-9]'}.zip"
HIDDEN = "."
"""What a name begins with as long as its letter is not to be delivered."""


class Outbox:
    """A folder with one file per letter, named by its number: whole, or not there at all.

    One process at a time has it; one of its threads may put letters in while another delivers.

    Parameters
    ----------
    folder
        It is made when the first letter comes.
    released, recorded
        After a death those prepared letters are released whose number is not above the first or
        among the second, and the others dropped: somebody has recorded that they count.

    """

    def __init__(self, folder: Path, *, released: int = 0, recorded: Collection[int] = ()) -> None:
        self.folder = folder
        for path in sorted(folder.glob(HIDDEN + NAMES)):
            number = int(path.stem.removeprefix(HIDDEN))
            if number <= released or number in recorded:
                self.release(number)
            else:
                with self._writing():
                    path.unlink()
        waiting = (int(path.stem) for path in self.waiting())
        self._next = max([released, *recorded, *waiting]) + 1

    def prepare(self, letter: Sequence[News]) -> int:
        """Write a letter that will not be delivered before its `release`; return its number."""
        number, self._next = self._next, self._next + 1
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._path(number, HIDDEN).write_bytes(encode(list(letter)))
        return number

    def release(self, number: int) -> None:
        """Let a prepared letter be delivered."""
        with self._writing():
            self._path(number, HIDDEN).replace(self._path(number))

    def waiting(self) -> list[Path]:
        """Return the letters that wait, the oldest first."""
        return sorted(self.folder.glob(NAMES))

    def read(self, path: Path) -> list[News]:
        """Return what stands in a letter."""
        return decode(path.read_bytes())

    def _path(self, number: int, mark: str = "") -> Path:
        return self.folder / f"{mark}{number:0{DIGITS}d}.zip"

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = with_room(str(error.strerror), self.folder)
            raise StoreUnreachableError(
                f"{self.folder}: what is to be logged cannot be kept here: {why}; make room or "
                "mend the permissions, then run the same command again"
            ) from error
