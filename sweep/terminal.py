"""What the terminal shows: tables, curves as blocks, progress, and how a run went."""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

from sweep.search import Listener, Status, rank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeGuard

    from rich.console import Console
    from rich.progress import Progress

    from sweep.config import StudyConfig
    from sweep.search import TrialRecord


SELECTED, TIED = "*", "\N{ALMOST EQUAL TO}"
"""Marks of the selected trial, and of what cannot be told from it."""
PLAIN_TIED = "~"
PLAIN_WIDTH = 200
"""Columns of what is piped into a file or another program, whatever the terminal around it."""


class _Unfailing:
    """A stream that loses what it cannot write: a terminal that is gone must not end a study."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def make_console(*, stderr: bool = False) -> Console:
    """Return where text goes: without any escape code in a pipe or with NO_COLOR.

    Rich alone would still print bold and dim with NO_COLOR.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=cast("TextIO", _Unfailing(stream)) if stderr else None,
        width=None if stream.isatty() else PLAIN_WIDTH,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )


def draws_blocks() -> bool:
    """Whether stdout takes more than ASCII."""
    return (sys.stdout.encoding or "ascii").lower().replace("-", "").startswith("utf")


def tied_mark() -> str:
    """Return the mark of what cannot be told from the selected trial, as stdout can show it."""
    return TIED if draws_blocks() else PLAIN_TIED


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    styles: Sequence[str] = (),
) -> None:
    """Print a table on stdout; `styles` has one rich style per row."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for column in columns:
        left = column in LEFT
        justify: Literal["left", "right"] = "left" if left else "right"
        table.add_column(column, justify=justify, no_wrap=column not in WRAPPED)
    overflow: Literal["ellipsis", "crop"] = "ellipsis" if draws_blocks() else "crop"
    for number, row in enumerate(rows):
        # Text, because a name may hold what rich would read as markup; words give way to numbers.
        cells = [Text(cell, overflow=overflow) for cell in row]
        table.add_row(*cells, style=styles[number] if styles else None)
    out = make_console()
    if title:  # not the table's own, which would be wrapped to the width of that
        out.print(title, style="bold")
    out.print(table)


def table_width(columns: Mapping[str, Sequence[str]]) -> int:
    """Return how wide a table of these columns is when nothing is cut; keys are the headings."""
    widths = [max(map(len, [*name.split("\n"), *cells])) for name, cells in columns.items()]
    return sum(widths) + len(widths) - 1


LEFT = (
    *("study", "data", "loss", "status", "curve", "hyperparameter"),
    *("values", "pair", "verdict", "calibration error"),
)

WRAPPED = (*LEFT, "search")
"""Columns of words, which give way to numbers in a narrow terminal."""


def say(text: str) -> None:
    """Print a sentence on stdout; a terminal gets it broken between words."""
    make_console().print(text, soft_wrap=not sys.stdout.isatty())


BLOCKS = "▁▂▃▄▅▆▇█"
LARGEST = 1e150
WHISKERS = 1.5
"""Values further than so many interquartile ranges from the quartiles do not stretch the scale:
Tukey's fences (Exploratory Data Analysis, 1977)."""


@dataclass(frozen=True)
class BlockScale:
    """What the lowest and the highest block stand for; what lies beyond is drawn as these."""

    low: float
    high: float

    def block(self, value: float | None) -> str:
        """Return the block of a value; a blank where it is none that can be drawn."""
        if not _is_drawable(value):
            return " "
        if self.low == self.high:
            return BLOCKS[len(BLOCKS) // 2]
        share = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return BLOCKS[min(len(BLOCKS) - 1, math.floor(share * len(BLOCKS)))]


def shared_scale(curves: Iterable[Sequence[float | None]]) -> BlockScale:
    """Return the scale on which all the curves can be told apart, but for outliers."""
    values = [value for value in chain.from_iterable(curves) if _is_drawable(value)]
    if len(values) < 2:  # noqa: PLR2004 - one value spans no scale
        return BlockScale(*(values * 2 or (0.0, 0.0)))
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    reach = WHISKERS * (upper - lower)
    within = [value for value in values if lower - reach <= value <= upper + reach]
    return BlockScale(min(within), max(within))


def sparkline(curve: Sequence[float | None], scale: BlockScale, *, epochs: int, width: int) -> str:
    """Return a curve of at most `epochs` values in at most `width` blocks.

    Every curve of a study has the same axis: one that ended early is as much shorter. Where an
    epoch has no block of its own, a block shows the last of the epochs that it stands for.
    """
    columns = min(width, epochs)
    last = [math.ceil((column + 1) * epochs / columns) for column in range(columns)]
    blocks = [scale.block(curve[epoch - 1]) for epoch in last if epoch <= len(curve)]
    if len(curve) > (last[len(blocks) - 1] if blocks else 0):  # it ended within the next block
        blocks.append(scale.block(curve[-1]))
    return "".join(blocks)


def _is_drawable(value: float | None) -> TypeGuard[float]:
    """Whether it is a number, and no larger than the arithmetic of a scale can take."""
    return value is not None and abs(value) < LARGEST


class Count(Listener):
    """Counts epochs and trials: how far a study is, and how long the rest may take."""

    def __init__(self, console: Console, config: StudyConfig, *, total: int) -> None:
        self.console, self.config = console, config
        self.finished: set[int] = set()
        self.total = total
        self.epochs: dict[int, int] = {}  # of the trials in training
        self.values: dict[int, float] = {}
        self.best: TrialRecord | None = None
        self.trained = 0
        self.began = time.monotonic()
        self._rank = rank(config)

    @property
    def done(self) -> int:
        """How many trials are finished; an engine that lost machines tells of them again."""
        return len(self.finished)

    @property
    def epochs_done(self) -> int:
        """Epochs behind us, as if every finished trial had had all of its own."""
        return self.done * self.config.epochs + sum(self.epochs.values())

    @property
    def seconds_left(self) -> float:
        """As long as all that is missing takes, at the pace so far; pruning shortens it."""
        missing = self.total * self.config.epochs - self.epochs_done
        return (time.monotonic() - self.began) * max(0, missing) / max(1, self.trained)

    @property
    def leader(self) -> str:
        """The best result or, until there is one, the best of the trials in training."""
        if self.best is not None:
            return f"best {self.best.last(self.config.metric):.4f} (trial {self.best.number})"
        values = [(self.values[n], n) for n, epochs in self.epochs.items() if epochs]
        ahead = min(values, key=lambda each: (self.config.sign * each[0], each[1]), default=None)
        return "" if ahead is None else f"leading {ahead[0]:.4f} (trial {ahead[1]})"

    def trial_began(self, number: int) -> None:
        """Count it among those in training."""
        self.epochs[number] = 0

    def epoch_ended(self, number: int, epoch: int, value: float) -> None:
        """Remember where the trial stands."""
        self.trained += 1
        self.epochs[number], self.values[number] = epoch, value

    def trial_known(self, trial: TrialRecord) -> None:
        """Count a trial that an earlier run of the study has ended."""
        if trial.status in (Status.COMPLETE, Status.PRUNED):
            self.finished.add(trial.number)
        if trial.status == Status.COMPLETE:
            self.best = trial if self.best is None else min(self.best, trial, key=self._rank)

    def trial_ended(self, trial: TrialRecord) -> None:
        """Count the trial if it counts, and remember the best."""
        del self.epochs[trial.number]
        self.trial_known(trial)

    def noted(self, text: str) -> None:
        """Print it."""
        print_plainly(self.console, text)

    def warned(self, text: str) -> None:
        """Print it as a warning."""
        print_plainly(self.console, f"warning: {text}")


def print_plainly(console: Console, text: str) -> None:
    """Print a line as it is: a reason may hold what rich would read as markup."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


PACE_SECONDS = 600
"""The time left is told from the epochs of the last ten minutes; rich's own 30 s may hold none."""
QUIET_SECONDS = 10
"""Where there is no bar, a sign of life comes this often."""


class Quiet(Listener):
    """Shows nothing; what goes wrong is a Python warning."""

    def warned(self, text: str) -> None:
        """Warn."""
        warnings.warn(text, stacklevel=2)


@contextmanager
def watching(config: StudyConfig, *, total: int, shown: bool) -> Iterator[Listener]:
    """Show the progress of a study on stderr for the length of a block, where it is to be shown."""
    if not shown:
        yield Quiet()
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = make_console(stderr=True)
    if not console.is_interactive:  # a terminal that cannot move its cursor is none
        yield Lines(console, config, total=total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[now]}"),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, speed_estimate_period=PACE_SECONDS
    ) as progress:
        yield Bar(progress, config, total=total)


@contextmanager
def watching_epochs(
    epochs: int, *, shown: bool
) -> Iterator[Callable[[int, dict[str, float]], None]]:
    """Show the progress of one training, likewise."""
    if not shown:
        yield lambda *_: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = make_console(stderr=True)
    live = console.is_interactive
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("epochs {task.fields[now]}"))
    with Progress(*columns, console=console, transient=True, disable=not live) as bar:
        task = bar.add_task("epochs", total=epochs, now="")

        def on_epoch(epoch: int, values: dict[str, float]) -> None:
            now = f"val/accuracy {values['val/accuracy']:.4f}"
            bar.update(task, completed=epoch, now=now)
            if not live and (epoch == epochs or epoch % max(1, epochs // 10) == 0):
                print_plainly(console, f"epoch {epoch} of {epochs}: {now}")

        yield on_epoch


@contextmanager
def watching_passes(total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` epochs have passed, likewise."""
    if not shown:
        yield lambda _: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = make_console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("epochs, left"), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_interactive
    ) as bar:
        task = bar.add_task("epochs", total=total)
        yield lambda epochs: bar.advance(task, epochs)


class Bar(Count):
    """Moves a rich progress bar, pass by pass."""

    def __init__(self, progress: Progress, config: StudyConfig, *, total: int) -> None:
        super().__init__(progress.console, config, total=total)
        self.progress = progress
        self.task = progress.add_task("trials", total=total * config.epochs, now="", count="")
        self._move()

    def trial_ended(self, trial: TrialRecord) -> None:
        """Move on; a trial that failed gets a line above the bar."""
        super().trial_ended(trial)
        if trial.status == Status.FAILED:
            print_plainly(self.console, f"trial {trial.number} failed: {trial.reason}")
        self._move()

    def pass_ended(self, training: int) -> None:  # noqa: ARG002 - counted already
        """Move on."""
        self._move()

    def _move(self) -> None:
        self.progress.update(
            self.task,
            completed=self.epochs_done,
            count=f"{self.done}/{self.total}",
            now=f"{len(self.epochs)} in training  {self.leader}",
        )


class Lines(Count):
    """Prints a line per trial, and one now and then while all of them train."""

    def __init__(self, console: Console, config: StudyConfig, *, total: int) -> None:
        super().__init__(console, config, total=total)
        self.printed = time.monotonic()

    def trial_ended(self, trial: TrialRecord) -> None:
        """Print how the trial ended and how many are done."""
        super().trial_ended(trial)
        metric, epochs = self.config.metric, trial.epochs
        value = f" {metric} {trial.last(metric):.4f}" if epochs else ""
        ended = f"trial {trial.number} {trial.status}:{value} after {epochs} of"
        parts = [f"{ended} {self.config.epochs} epochs"]
        if trial.status == Status.FAILED:
            parts.append(trial.reason)
        self._say([*parts, *self._state()])

    def pass_ended(self, training: int) -> None:
        """Print a sign of life when nothing else was printed for a while."""
        if training and time.monotonic() - self.printed >= QUIET_SECONDS:
            left = f"about {self.seconds_left:.0f} s left"
            self._say([f"{training} trials in training", *self._state(), left])

    def _state(self) -> list[str]:
        return [f"{self.done} of {self.total} done"] + ([self.leader] if self.leader else [])

    def _say(self, parts: list[str]) -> None:
        print_plainly(self.console, "; ".join(parts))
        self.printed = time.monotonic()
