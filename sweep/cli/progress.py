"""Live progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sweep.cli.count import Count, print_plainly
from sweep.cli.sparkline import Scale, sparkline
from sweep.cli.tables import console as console_of
from sweep.search.trials import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from sweep.config import StudyConfig
    from sweep.search.listener import Listener
    from sweep.search.trials import TrialRecord

PACE_SECONDS = 600
"""The time left is told from the epochs of the last ten minutes; rich's own 30 s may hold none."""
QUIET_SECONDS = 10
"""Where there is no bar, a sign of life comes this often."""
TRACE_WIDTH = 24
WIDE = 120
"""Columns from which on a bar has room for the curve of the best so far."""


@contextmanager
def watching(config: StudyConfig, *, total: int) -> Iterator[Listener]:
    """Show the progress of a study for the length of a block."""
    console = console_of(stderr=True)
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
        TextColumn("{task.fields[trace]}"),
    )
    with Progress(
        *columns, console=console, transient=True, speed_estimate_period=PACE_SECONDS
    ) as progress:
        yield Bar(progress, config, total=total)


@contextmanager
def watching_epochs(epochs: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
    """Show the progress of one training for the length of a block."""
    console = console_of(stderr=True)
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
def watching_passes(total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` epochs have passed for the length of a block."""
    console = console_of(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("epochs, left"), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_interactive
    ) as bar:
        task = bar.add_task("epochs", total=total)
        yield lambda epochs: bar.advance(task, epochs)


class Bar(Count):
    """Moves a rich progress bar, pass by pass; a wide one has the curve of the leader."""

    def __init__(self, progress: Progress, config: StudyConfig, *, total: int) -> None:
        super().__init__(progress.console, config, total=total)
        self.progress = progress
        self.trace: list[float] = []
        self.task = progress.add_task(
            "trials", total=total * config.epochs, now="", count="", trace=""
        )
        self._move()

    def trial_ended(self, trial: TrialRecord) -> None:
        """Move on; a trial that failed gets a line above the bar."""
        super().trial_ended(trial)
        if trial.status == Status.FAILED:
            print_plainly(self.console, f"trial {trial.number} failed: {trial.reason}")
        self._move()

    def pass_ended(self, training: int) -> None:  # noqa: ARG002 - counted already
        """Move on."""
        if self.leader is not None:
            self.trace.append(self.leader.value)
        self._move()

    def _move(self) -> None:
        self.progress.update(
            self.task,
            completed=self.epochs_done,
            count=f"{self.done}/{self.total}",
            now=f"{len(self.epochs)} in training  {self.leader or ''}",
            trace=self._drawn(),
        )

    def _drawn(self) -> str:
        """Return the curve of the leader after each pass, where there is room for it."""
        if not self.trace or self.console.width < WIDE or self.console.options.ascii_only:
            return ""
        scale = Scale(min(self.trace), max(self.trace))
        return sparkline(self.trace, scale, epochs=len(self.trace), width=TRACE_WIDTH)


class Lines(Count):
    """Prints a line per trial, and one now and then while all of them train."""

    def __init__(self, console: Console, config: StudyConfig, *, total: int) -> None:
        super().__init__(console, config, total=total)
        self.said = time.monotonic()

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
        if training and time.monotonic() - self.said >= QUIET_SECONDS:
            left = f"about {self.seconds_left:.0f} s left"
            self._say([f"{training} trials in training", *self._state(), left])

    def _state(self) -> list[str]:
        return [f"{self.done} of {self.total} done"] + ([str(self.leader)] if self.leader else [])

    def _say(self, parts: list[str]) -> None:
        print_plainly(self.console, "; ".join(parts))
        self.said = time.monotonic()
