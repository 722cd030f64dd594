"""Fetch an official archive: checked, retried, whole or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from sweep.data.cifar10 import has_hash
from sweep.errors import SweepError
from sweep.io import reading, with_room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger
    from pathlib import Path
    from types import TracebackType

    from sweep.data.cifar10 import Layout

RETRIES = 2  # after the first try, with pauses of one and two seconds
CHUNK = 1 << 18
TIMEOUT = 30.0  # seconds without a byte


class _Bar:
    """What pooch asks of a progress bar, drawn by rich on stderr; nothing where nobody watches."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

        console = Console(stderr=True)
        columns = BarColumn(), DownloadColumn(), TransferSpeedColumn()
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task("", total=total)
        self.total = total  # pooch sets it to what the server announces

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def update(self, size: int) -> None:
        self._progress.update(self._task, advance=size)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        """Leave it to the context, which outlives a try that fails."""


def already_there(layout: Layout, folder: Path) -> bool:
    """Whether the folder holds the archive of a layout; another file of its name is refused."""
    path = folder / layout.archive
    with reading(path):
        if not path.exists():
            return False
    if has_hash(path, "sha256", layout.sha256):
        return True
    raise SweepError(
        f"{path}: is there already but is not the published file; move it away to download, "
        "or use it as it is with --data-dir"
    )


@contextmanager
def _quiet(logger: Logger) -> Iterator[None]:
    """Keep pooch from telling a second time what we tell."""
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


def fetch(layout: Layout, folder: Path) -> Path:
    """Fetch the archive of a layout into a folder: the whole and right file appears, or nothing."""
    import pooch

    archives = pooch.create(
        folder,
        layout.url.removesuffix(layout.archive),
        registry={layout.archive: f"sha256:{layout.sha256}"},
        retry_if_failed=RETRIES,
    )
    path = folder / layout.archive
    by_hand = (
        f"try again later, or fetch it by hand ({layout.size:,} bytes, SHA-256 {layout.sha256}) "
        f"and put it at {path}"
    )
    try:
        with _quiet(pooch.get_logger()), _Bar(layout.size) as bar:
            load = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=TIMEOUT)
            archives.fetch(layout.archive, downloader=load)
    except ValueError as error:
        raise SweepError(
            f"{layout.url}: the server sent other bytes than the published ones; {by_hand}"
        ) from error
    except OSError as error:  # a failed request is one, too, and has no number
        if error.errno is not None or isinstance(error, PermissionError):  # pooch's has none
            reason = with_room(error.strerror or "Permission denied", folder)
            raise SweepError(
                f"{folder}: cannot be written to: {reason}; make room or mend the permissions, "
                "or name another folder with --data-dir"
            ) from error
        raise SweepError(f"{layout.url}: {error!s:.200}; {by_hand}") from error
    return path
