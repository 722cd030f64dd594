"""What is new of a run and travels to MLflow together, and how it waits in a file."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, TypeAlias

Inputs: TypeAlias = list[dict[str, str]]
CONTENTS = "news.json"


class Point(NamedTuple):
    """One value of a metric; `timestamp` is in milliseconds since 1970."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(kw_only=True)
class News:
    """What is new of one run.

    Attributes
    ----------
    run
        MLflow's id of it or, of a run that is yet to be created, a key that nobody else has.
    name, born_with
        With a name the run is created, with those tags, before anything else.
    parameters, points, tags
        As MLflow's; tags come after everything but the status, so that one can vouch for all.
    inputs
        The data sets that it uses: name, digest, source, profile and context of each.
    files
        By their path among its artifacts.
    status
        RUNNING, FINISHED, KILLED or FAILED, where it changes.

    """

    run: str
    name: str | None = None
    born_with: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    status: str | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        told = (self.parameters, self.points, self.tags, self.inputs, self.files, self.status)
        return self.name is not None or any(told)


def encode(letter: list[News]) -> bytes:
    """Return news of some runs as the content of a .zip file, uncompressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        plain = []
        for i, news in enumerate(letter):
            for path, data in news.files.items():
                file.writestr(_member(f"{i}/{path}"), data)
            plain.append(asdict(news) | {"files": sorted(news.files)})
        file.writestr(_member(CONTENTS), json.dumps(plain))
    return content.getvalue()


def _member(name: str) -> zipfile.ZipInfo:
    """Return a member of no time: a .zip file knows none before 1980, which a clock may tell."""
    return zipfile.ZipInfo(name)


def decode(content: bytes) -> list[News]:
    """Undo `encode`.

    Raises
    ------
    ValueError
        It is no such file.

    """
    try:
        return _decode(content)
    except Exception as error:
        # A power cut leaves any bytes, for which zipfile alone has half a dozen kinds of error.
        raise ValueError(f"{type(error).__name__}: {error!s:.200}") from error


def _decode(content: bytes) -> list[News]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        plain: list[dict[str, Any]] = json.loads(file.read(CONTENTS))
        return [
            News(
                **each
                | {
                    "points": [Point(*point) for point in each["points"]],
                    "files": {path: file.read(f"{i}/{path}") for path in each["files"]},
                }
            )
            for i, each in enumerate(plain)
        ]
