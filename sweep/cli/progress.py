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

    from optuna.trial import FrozenTrial

    from sweep.settings import Settings
    from sweep.study.ending import Ending

PACE_SECONDS = 600
"""The time left is told from the epochs of the last ten minutes; rich's own 30 s may hold none."""


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


class Bar(Listener):
    """Moves a rich progress bar, epoch by epoch: a trial may take minutes."""

    def __init__(self, progress: Progress, settings: Settings, *, done: int, total: int) -> None:
        self.progress = progress
        self.settings = settings
        self.done = done
        self.total = total
        self.best = ""
        self.task = progress.add_task("trials", total=total * settings.epochs, now="", count="")
        self._count()

    def trial_began(self, number: int) -> None:
        """Name the trial."""
        self._say(f"trial {number}")

    def epoch_ended(self, number: int, epoch: int, value: float) -> None:
        """Show where the trial stands."""
        epochs = self.settings.epochs
        self.progress.update(self.task, completed=self.done * epochs + epoch)
        self._say(f"trial {number} epoch {epoch}/{epochs} {self.settings.metric} {value:.4f}")

    def trial_ended(
        self, number: int, ending: Ending, reason: str, best: FrozenTrial | None
    ) -> None:
        """Count the trial if it counts, and remember the best."""
        if best is not None:
            self.best = f"best {best.value:.4f} (trial {best.number})"
        if ending in ("complete", "pruned"):
            self.done += 1
        else:
            _print(self.progress.console, f"trial {number} {ending}: {reason}")
        self._count()

    def warned(self, text: str) -> None:
        """Print it above the bar."""
        _print(self.progress.console, f"warning: {text}")

    def _count(self) -> None:
        self.progress.update(
            self.task,
            completed=self.done * self.settings.epochs,
            count=f"{self.done}/{self.total}",
        )

    def _say(self, text: str) -> None:
        self.progress.update(self.task, now=f"{text}  {self.best}")


class Lines(Listener):
    """Prints a line per trial."""

    def __init__(self, console: Console, settings: Settings, *, done: int, total: int) -> None:
        self.console = console
        self.settings = settings
        self.done = done
        self.total = total
        self.fresh = 0
        self.epoch = 0
        self.value: float | None = None
        self.began = time.monotonic()

    def trial_began(self, number: int) -> None:  # noqa: ARG002 - part of the listener
        """Forget the last trial."""
        self.epoch, self.value = 0, None

    def epoch_ended(self, number: int, epoch: int, value: float) -> None:  # noqa: ARG002 - part of the listener
        """Remember where the trial stands."""
        self.epoch, self.value = epoch, value

    def trial_ended(
        self, number: int, ending: Ending, reason: str, best: FrozenTrial | None
    ) -> None:
        """Print how the trial ended, how many are done and how long the rest may take."""
        if ending in ("complete", "pruned"):
            self.done += 1
            self.fresh += 1
        value = f" {self.settings.metric} {self.value:.4f}" if self.value is not None else ""
        parts = [
            f"trial {number} {ending}:{value} after {self.epoch} of {self.settings.epochs} epochs",
            f"{self.done} of {self.total} done",
        ]
        if ending not in ("complete", "pruned"):
            parts.insert(1, reason)
        if best is not None:
            parts.append(f"best {best.value:.4f} (trial {best.number})")
        if self.fresh and self.done < self.total:
            seconds = (time.monotonic() - self.began) / self.fresh * (self.total - self.done)
            parts.append(f"about {seconds:.0f} s left")
        _print(self.console, "; ".join(parts))

    def warned(self, text: str) -> None:
        """Print it."""
        _print(self.console, f"warning: {text}")


def _print(console: Console, text: str) -> None:
    """Print a line as it is: a reason may hold what rich would read as markup."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
