"""The Markdown description of a trial's MLflow run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.curves import best_epoch
from sweep.statistics.intervals import percent_with_interval
from sweep.study.ending import Ending
from sweep.study.markdown import commands, number_of, plain, section, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.curves import Curves
    from sweep.engine import Seat
    from sweep.settings import Settings
    from sweep_model.hyperparameters import Hyperparameters

WORDS = {
    None: "Training",
    Ending.COMPLETE: "Complete",
    Ending.PRUNED: "Pruned",
    Ending.DIVERGED: "Diverged",
    Ending.ERROR: "Broken off",
    Ending.INTERRUPTED: "Interrupted",
}
UNFINISHED = {
    None: "The trial trains: what came of it will stand here at its end.",
    Ending.ERROR: "A trial that broke off has no result to reproduce; the study goes on without.",
    Ending.INTERRUPTED: "The trial has no result yet: the same `sweep run` finishes it.",
}


def trial_note(
    settings: Settings,
    number: int,
    hyperparameters: Hyperparameters,
    seat: Seat,
    *,
    curves: Curves,
    ending: Ending | None,
    reason: str = "",
) -> str:
    """Say what a trial asks, what came of it, what it was given and how to repeat it.

    The page shows the first lines alone until one asks for more: so the result comes first.

    Parameters
    ----------
    settings
        Of its study.
    number
        Of the trial.
    hyperparameters, seat
        With the rows they decide every bit of it.
    curves
        What it has measured so far.
    ending
        How it ended; None while it trains.
    reason
        Why it ended, where that needs to be said.

    """
    given = {**vars(hyperparameters), "epochs": settings.epochs, "seed": seat.seed}
    rows = [(name, number_of(value)) for name, value in given.items()]
    parts = [
        _question(settings, number),
        _result(settings, curves, ending, reason),
        section("Setting", table(["hyperparameter", "value"], rows)),
        *([section("Measured", *_measured(curves))] if curves["val/loss"] else []),
        section("How to reproduce it", *_again(settings, number, seat, ending)),
        section("Keep in mind", _caution(settings)),
    ]
    return "\n\n".join(parts)


def _question(settings: Settings, number: int) -> str:
    return (
        f"**Trial {number} of {plain(settings.study)}**: how well does a linear classifier with "
        f"the {settings.loss} loss do on {plain(settings.data.name)} in the setting below? The "
        f"study searches for the best {settings.objective} after {settings.epochs} epochs."
    )


def _result(settings: Settings, curves: Curves, ending: Ending | None, reason: str) -> str:
    accuracies, rows = curves["val/accuracy"], settings.data.val_size
    said = f"**{WORDS[ending]}** after {len(accuracies)} of {settings.epochs} epochs"
    if accuracies:
        accuracy = percent_with_interval(accuracies[-1], rows)
        said += f", with a validation accuracy of {accuracy} (95 % interval for {rows:,} rows)"
    return said + (f": {plain(reason)}." if reason else ".")


def _measured(curves: Curves) -> tuple[str, str]:
    def last(quantity: str, shown: Callable[[float], str]) -> list[str]:
        return [shown(curves[f"{rows}/{quantity}"][-1]) for rows in ("val", "train")]

    rows = [
        ("accuracy", *last("accuracy", _percent)),
        ("loss (nats)", *last("loss", "{:.4g}".format)),
        ("cost (nats)", *last("cost", "{:.4g}".format)),
    ]
    epoch, accuracy = best_epoch(curves)
    below = (
        f"After epoch {len(curves['val/loss'])}. The best epoch was {epoch}, with a validation "
        f"accuracy of {_percent(accuracy)}; it is the last that counts."
    )
    return table(["", "validation", "training"], rows), below


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _again(settings: Settings, number: int, seat: Seat, ending: Ending | None) -> list[str]:
    if ending in UNFINISHED:
        return [UNFINISHED[ending]]
    place = (
        f"It trains the trial again in its own seat (slot {seat.slot} of a stack of {seat.width}, "
        f"from pass {seat.first_pass} on) and compares every point of its curves and its weights: "
        "bit for bit on the same machine with the same versions."
    )
    return [
        commands(
            (
                f"sweep reproduce {settings.study} --trial {number}",
                "exit code 0: it matches; 3: it does not",
            ),
        ),
        place,
    ]


def _caution(settings: Settings) -> str:
    return (
        "This is one training among many: with another seed it would come out a little "
        "otherwise, and whichever trial is chosen for its validation result looks better on these "
        f"rows than it is. `sweep confirm {settings.study}` trains the best on seeds that the "
        "search never saw. The test rows stay sealed until `sweep test` opens them."
    )
