"""`sweep best`: the chosen trial."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from sweep.cli.options import json_option, study_argument
from sweep.cli.tables import say

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from sweep.study.opening import OpenStudy


@click.command()
@study_argument
@json_option
def best(study_name: str, *, as_json: bool) -> None:
    """Show the chosen trial of STUDY.

    That is the winner of `sweep confirm` or, until that ran, the best by the objective; ties go
    to the lower validation loss.
    """
    from sweep.statistics.intervals import accuracy_interval
    from sweep.study.confirmation import confirmation_of
    from sweep.study.opening import load_study
    from sweep.study.results import chosen_trial, describe, grounds
    from sweep.study.storage import open_storage

    study = load_study(study_name, open_storage())
    trial = chosen_trial(study)
    if as_json:
        facts = describe(trial)
        rows = study.settings.data.val_size
        facts["val/accuracy_interval"] = accuracy_interval(facts["val/accuracy"], rows)
        facts["grounds"] = grounds(study)
        click.echo(json.dumps({"study": study.name, **facts}))
        return
    print_best(study, trial)
    click.echo(f"reproduce it with: sweep reproduce {study.name}")
    if confirmation_of(study) is None:
        click.echo(f"confirm it with: sweep confirm {study.name}")


def print_best(study: OpenStudy, trial: FrozenTrial) -> None:
    """Print the chosen trial with its setting and how sure its accuracy is."""
    from sweep.statistics.intervals import percent_with_interval
    from sweep.study.confirmation import confirmation_of
    from sweep.study.results import grounds, last_value

    rows = study.settings.data.val_size
    accuracy = percent_with_interval(last_value(trial, "val/accuracy"), rows)
    confirmation = confirmation_of(study)
    if confirmation is None:
        loss = study.settings.objective == "val-loss"
        objective = f"validation loss {trial.value:.4f}, " if loss else ""
        say(
            f"best: trial {trial.number}, {objective}validation accuracy {accuracy} "
            f"(95 % interval, {rows:,} rows; the best of many flatters)"
        )
    else:
        winner = confirmation.winner
        say(
            f"chosen: trial {trial.number}, {grounds(study)}: {confirmation.metric} "
            f"{winner.mean:.4f} +- {winner.standard_error:.4f} "
            f"(the search said {winner.search:.4f})"
        )
    setting = ", ".join(f"{name} {value:.4g}" for name, value in trial.params.items())
    say(f"      {setting}")
