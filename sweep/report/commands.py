"""The commands that make a study's answer again, in the order in which they are run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.report.facts import Command
from sweep.study.run_command import run_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.comparison.comparison import Comparison
    from sweep.report.facts import StudyFacts


def commands_of(studies: Sequence[StudyFacts], comparison: Comparison | None) -> list[Command]:
    """Return what was run to know what the report says, and how to check its best trials."""
    found = [command for study in studies for command in _commands(study)]
    names = " ".join(study.name for study in studies)
    if comparison is not None:
        found.append(
            Command("Compare the chosen trials on the test rows.", f"sweep compare {names}")
        )
    return [*found, Command("Write this report.", f"sweep report {names}")]


def _commands(study: StudyFacts) -> list[Command]:
    name, settings, confirmation = study.name, study.settings, study.confirmation
    search = run_command(settings, max(1, study.tally.finished))
    found = [Command(f"Search, as {name} did, in an empty folder.", search)]
    if confirmation is not None:
        top, seeds = len(confirmation.trials), len(confirmation.seeds)
        line = f"sweep confirm {name} --top {top} --seeds {seeds}"
        found.append(Command("Train the top trials again on fresh seeds.", line))
    if study.chosen is not None:
        line = f"sweep reproduce {name} --trial {study.chosen}"
        found.append(Command("Train the chosen trial again and check it bit for bit.", line))
    if study.test is not None:
        found.append(Command("Open the test rows once more.", f"sweep test {name}"))
    return found
