"""`sweep best`: the selected trial."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import click

from sweep.cli.options import json_option, study_argument
from sweep.cli.tables import say

if TYPE_CHECKING:
    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord


@click.command()
@study_argument
@json_option
def best(study_name: str, *, as_json: bool) -> None:
    """Show the selected trial of STUDY.

    That is the winner of `sweep confirm` or, until that ran, the best by the objective; ties go
    to the lower validation loss.
    """
    from sweep.analysis.confirmation import confirmation_of
    from sweep.analysis.selection import grounds, selected_trial
    from sweep.search.record import open_study
    from sweep.search.trials import describe
    from sweep.statistics.intervals import accuracy_interval
    from sweep.workspace import Workspace

    study = open_study(study_name, Workspace())
    trial = selected_trial(study)
    if as_json:
        facts = describe(trial)
        rows = study.config.data.val_size
        facts["val/accuracy_interval"] = accuracy_interval(facts["val/accuracy"], rows)
        facts["grounds"] = grounds(study)
        click.echo(json.dumps({"study": study.name, **facts}))
        return
    print_best(study, trial)
    click.echo(f"reproduce it with: sweep reproduce {study.name}")
    if confirmation_of(study) is None:
        click.echo(f"confirm it with: sweep confirm {study.name}")


def print_best(study: StudyRecord, trial: TrialRecord) -> None:
    """Print the selected trial with its setting and how sure its accuracy is."""
    from sweep.analysis.confirmation import confirmation_of
    from sweep.analysis.selection import grounds
    from sweep.statistics.intervals import percent_with_interval

    rows = study.config.data.val_size
    accuracy = percent_with_interval(trial.last("val/accuracy"), rows)
    confirmation = confirmation_of(study)
    tried = len(study.trials())
    if confirmation is None:
        loss = study.config.objective == "val-loss"
        objective = f"validation loss {trial.last('val/loss'):.4f}, " if loss else ""
        say(
            f"best: trial {trial.number}, {objective}validation accuracy {accuracy} "
            f"(95 % interval, {rows:,} rows; optimistic: the best of {tried})"
        )
    else:
        winner = confirmation.winner
        ended = math.isfinite(winner.search)
        in_search = f"{winner.search:.4f} in the search" if ended else "pruned by the search"
        say(
            f"selected: trial {trial.number}, {grounds(study)}: {confirmation.metric} "
            f"{winner.mean:.4f} +- {winner.standard_error:.4f} ({in_search})"
        )
    setting = ", ".join(f"{name} {value:.4g}" for name, value in trial.params.items())
    say(f"      {setting}")
