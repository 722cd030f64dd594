"""The Markdown description of a trial's MLflow run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.curves import best_epoch
from sweep.search.markdown import commands, number_of, plain, section, table
from sweep.search.trials import Status
from sweep.statistics.intervals import percent_with_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.config import StudyConfig
    from sweep.curves import Curves
    from sweep.search.trials import TrialRecord

WORDS = {
    Status.RUNNING: "Training",
    Status.COMPLETE: "Complete",
    Status.PRUNED: "Pruned",
    Status.FAILED: "Failed",
}


def trial_note(config: StudyConfig, trial: TrialRecord) -> str:
    """Say what a trial asks, what came of it, what it was given and how to repeat it.

    The page shows the first lines alone until one asks for more: so the result comes first.
    """
    given = {**trial.params, "epochs": config.epochs, "seed": config.training_seed}
    rows = [(name, number_of(value)) for name, value in given.items()]
    parts = [
        _question(config, trial.number),
        _result(config, trial),
        section("Setting", table(["hyperparameter", "value"], rows)),
        *([section("Measured", *_measured(trial.curves))] if trial.epochs else []),
        section("How to reproduce it", *_again(config, trial)),
        section("Keep in mind", _caution(config)),
    ]
    return "\n\n".join(parts)


def _question(config: StudyConfig, number: int) -> str:
    return (
        f"**Trial {number} of {plain(config.study)}**: how well does a linear classifier with "
        f"the {config.loss} loss do on {plain(config.data.name)} in the setting below? The "
        f"study searches for the best {config.objective} after {config.epochs} epochs."
    )


def _result(config: StudyConfig, trial: TrialRecord) -> str:
    rows = config.data.val_size
    result = f"**{WORDS[trial.status]}** after {trial.epochs} of {config.epochs} epochs"
    if trial.epochs:
        accuracy = percent_with_interval(trial.last("val/accuracy"), rows)
        result += f", with a validation accuracy of {accuracy} (95 % interval for {rows:,} rows)"
    return result + (f": {plain(trial.reason)}." if trial.reason else ".")


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


def _again(config: StudyConfig, trial: TrialRecord) -> list[str]:
    if trial.status == Status.RUNNING:
        return ["The trial is training: its result will stand here at its end."]
    place = (
        f"It trains the trial alone, from pass {trial.first_pass} on, and compares every point of "
        "its curves and its weights: bit for bit on the same machine with the same versions."
    )
    return [
        commands(
            (
                f"sweep reproduce {config.study} --trial {trial.number}",
                "exit code 0: it matches; 3: it does not",
            ),
        ),
        place,
    ]


def _caution(config: StudyConfig) -> str:
    return (
        "This is one training among many: another seed gives a slightly different result, and "
        "whichever trial is selected by its validation result looks better on these rows than it "
        f"is. `sweep confirm {config.study}` trains the best on seeds that the search never used. "
        "The test rows stay sealed until `sweep test` opens them."
    )
