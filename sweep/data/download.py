"""Fetch an official archive: checked, retried, whole or not at all."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sweep.data.files import has_hash, reading
from sweep.errors import SweepError

if TYPE_CHECKING:
    import requests

    from sweep.data.layouts import Archive

TRIES = 3  # for what may pass: a broken connection, a busy server; never for wrong bytes
PAUSE = 1.0  # seconds before the second try, twice as long before the third
CHUNK = 1 << 18
TIMEOUT = 30.0  # seconds without a byte
SERVER_ERROR = 5  # first digit of the statuses that another try may cure; also:
_PASSING = (408, 429)  # request timeout, too many requests


class _TooLong(Exception):  # noqa: N818 - it never leaves this module
    pass


class _Bounded:
    """A file that refuses to grow past the known length, however much a server sends."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file, self._left = file, limit

    def write(self, block: bytes) -> None:
        self._left -= len(block)
        if self._left < 0:
            raise _TooLong
        self._file.write(block)

    def flush(self) -> None:
        self._file.flush()


def already_there(archive: Archive, folder: Path) -> bool:
    """Whether the folder holds the archive, whole and right.

    Raises
    ------
    SweepError
        A file of that name holds something else; it is not replaced.
    """
    path = folder / archive.file_name
    with reading(path):
        if not path.exists():
            return False
    if has_hash(path, "sha256", archive.sha256):
        return True
    raise SweepError(
        f"{path}: is there already but is not the published file; move it away to download, "
        "or use it as it is with --data-dir"
    )


def fetch(archive: Archive, folder: Path) -> Path:
    """Fetch an archive into a folder: the whole and right file appears there, or nothing.

    Raises
    ------
    SweepError
        The server cannot be reached, sends other bytes, or the folder cannot be written to.
    """
    import pooch
    import requests

    path = folder / archive.file_name
    pooch.get_logger().setLevel("WARNING")  # it would tell a second time what we tell
    for left in reversed(range(TRIES)):
        try:
            pooch.retrieve(
                archive.url,
                known_hash=f"sha256:{archive.sha256}",
                fname=path.name,
                path=folder,
                downloader=lambda url, file, _: _stream(url, file, archive.size),
            )
        except requests.RequestException as error:
            reason, passing = _reason(error)
            if not (left and passing):
                raise SweepError(_by_hand(archive, path, reason)) from error
            time.sleep(PAUSE * (TRIES - left))
        except (_TooLong, ValueError) as error:
            raise SweepError(
                _by_hand(archive, path, "it sent other bytes than the published ones")
            ) from error
        except OSError as error:
            raise SweepError(
                f"{folder}: cannot be written to: {error.strerror or error}"
            ) from error
        else:
            break
    return path


def _stream(url: str, file: str, size: int) -> None:
    """Fetch the URL into a file that pooch then checks and moves into place."""
    import pooch
    from tqdm import tqdm  # type: ignore[import-untyped] # it ships no types

    with ExitStack() as opened:
        # No bar where nobody watches. The hook is there because pooch leaves connections open.
        bar = opened.enter_context(tqdm(total=size, unit="B", unit_scale=True, disable=None))
        unbounded = opened.enter_context(Path(file).open("wb"))
        pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=CHUNK,
            timeout=TIMEOUT,
            hooks={"response": lambda response, **_: opened.enter_context(response)},
        )(url, _Bounded(unbounded, size), None)


def _reason(error: requests.RequestException) -> tuple[str, bool]:
    """Why it failed, in words, and whether another try may help."""
    import requests

    if error.response is not None:
        status = error.response.status_code
        return f"the server answered {status}", status in _PASSING or status // 100 == SERVER_ERROR
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT:.0f} seconds", True
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not trusted", False
    if isinstance(error, requests.ConnectionError):
        return "no connection", True
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off", True
    return f"it cannot be fetched ({type(error).__name__})", False


def _by_hand(archive: Archive, path: Path, reason: str) -> str:
    return (
        f"{archive.url}: {reason}; try again later, or fetch it by hand ({archive.size:,} bytes, "
        f"SHA-256 {archive.sha256}) and put it at {path}"
    )
