"""Live progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sweep.study.listener import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sweep.settings import Settings
    from sweep.study.ending import Ending
    from sweep.study.standing import Best

PACE_SECONDS = 600
"""The time left is told from the epochs of the last ten minutes; rich's own 30 s may hold none."""
QUIET_SECONDS = 10
"""Where there is no bar, a sign of life comes this often."""


@contextmanager
def watching(settings: Settings, *, done: int, total: int) -> Iterator[Listener]:
    """Show the progress of a study for the length of a block."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(console, settings, done=done, total=total)
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
        yield Bar(progress, settings, done=done, total=total)


@contextmanager
def watching_epochs(epochs: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
    """Show the progress of one training for the length of a block."""
    console = Console(stderr=True)
    live = console.is_terminal
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("epochs {task.fields[now]}"))
    with Progress(*columns, console=console, transient=True, disable=not live) as bar:
        task = bar.add_task("epochs", total=epochs, now="")

        def on_epoch(epoch: int, values: dict[str, float]) -> None:
            now = f"val/accuracy {values['val/accuracy']:.4f}"
            bar.update(task, completed=epoch, now=now)
            if not live and (epoch == epochs or epoch % max(1, epochs // 10) == 0):
                console.print(f"epoch {epoch} of {epochs}: {now}", highlight=False)

        yield on_epoch


@contextmanager
def watching_passes(total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` epochs have passed for the length of a block."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("epochs, left"), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("epochs", total=total)
        yield lambda epochs: bar.advance(task, epochs)


class Count(Listener):
    """Counts epochs and trials: how far a study is, and how long the rest may take."""

    def __init__(self, console: Console, settings: Settings, *, done: int, total: int) -> None:
        self.console = console
        self.settings = settings
        self.done, self.total = done, total
        self.epochs: dict[int, int] = {}  # of the trials in training
        self.values: dict[int, float] = {}
        self.best = ""
        self.trained = 0
        self.began = time.monotonic()

    @property
    def epochs_done(self) -> int:
        """Epochs behind us, as if every finished trial had had all of its own."""
        return self.done * self.settings.epochs + sum(self.epochs.values())

    @property
    def seconds_left(self) -> float:
        """As long as all that is missing takes, at the pace so far; pruning shortens it."""
        missing = self.total * self.settings.epochs - self.epochs_done
        return (time.monotonic() - self.began) * max(0, missing) / max(1, self.trained)

    def trial_began(self, number: int) -> None:
        """Count it among those in training."""
        self.epochs[number] = 0

    def epoch_ended(self, number: int, epoch: int, value: float) -> None:
        """Remember where the trial stands."""
        self.epochs[number], self.values[number] = epoch, value
        self.trained += 1

    def trial_ended(self, number: int, ending: Ending, reason: str, best: Best | None) -> None:  # noqa: ARG002 - for those that print
        """Count the trial if it counts, and remember the best."""
        del self.epochs[number]
        self.done += ending in ("complete", "pruned")
        if best is not None:
            self.best = f"best {best.value:.4f} (trial {best.number})"

    def warned(self, text: str) -> None:
        """Print it."""
        _print(self.console, f"warning: {text}")


class Bar(Count):
    """Moves a rich progress bar, pass by pass."""

    def __init__(self, progress: Progress, settings: Settings, *, done: int, total: int) -> None:
        super().__init__(progress.console, settings, done=done, total=total)
        self.progress = progress
        self.task = progress.add_task("trials", total=total * settings.epochs, now="", count="")
        self._move()

    def trial_ended(self, number: int, ending: Ending, reason: str, best: Best | None) -> None:
        """Move on; a trial that failed gets a line above the bar."""
        super().trial_ended(number, ending, reason, best)
        if ending not in ("complete", "pruned"):
            _print(self.console, f"trial {number} {ending}: {reason}")
        self._move()

    def pass_ended(self, training: int) -> None:  # noqa: ARG002 - counted already
        """Move on."""
        self._move()

    def _move(self) -> None:
        self.progress.update(
            self.task,
            completed=self.epochs_done,
            count=f"{self.done}/{self.total}",
            now=f"{len(self.epochs)} in training  {self.best}",
        )


class Lines(Count):
    """Prints a line per trial, and one now and then while all of them train."""

    def __init__(self, console: Console, settings: Settings, *, done: int, total: int) -> None:
        super().__init__(console, settings, done=done, total=total)
        self.said = time.monotonic()

    def trial_ended(self, number: int, ending: Ending, reason: str, best: Best | None) -> None:
        """Print how the trial ended and how many are done."""
        epoch = self.epochs[number]
        super().trial_ended(number, ending, reason, best)
        value = f" {self.settings.metric} {self.values[number]:.4f}" if epoch else ""
        parts = [f"trial {number} {ending}:{value} after {epoch} of {self.settings.epochs} epochs"]
        if ending not in ("complete", "pruned"):
            parts.append(reason)
        self._say([*parts, *self._state()])

    def pass_ended(self, training: int) -> None:
        """Print a sign of life when nothing else was printed for a while."""
        if training and time.monotonic() - self.said >= QUIET_SECONDS:
            left = f"about {self.seconds_left:.0f} s left"
            self._say([f"{training} trials in training", *self._state(), left])

    def _state(self) -> list[str]:
        return [f"{self.done} of {self.total} done"] + ([self.best] if self.best else [])

    def _say(self, parts: list[str]) -> None:
        _print(self.console, "; ".join(parts))
        self.said = time.monotonic()


def _print(console: Console, text: str) -> None:
    """Print a line as it is: a reason may hold what rich would read as markup."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
