"""`sweep confirm`: the top trials again, on fresh seeds."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.options import (
    data_dir_option,
    json_option,
    study_argument,
    tracking_option,
)
from sweep.cli.tables import print_table, say, tied_mark
from sweep.errors import StoreUnreachableError, SweepError

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.analysis.confirmation import Confirmation, Confirmed
    from sweep.search.record import StudyRecord

COLUMNS = ("trial", "search", "confirmed", "std\nerror", "optimism", "behind the winner", "")


@click.command()
@study_argument
@click.option(
    "--top",
    type=click.IntRange(1, 50),
    default=5,
    show_default=True,
    help="How many of the best trials to train again.",
)
@click.option(
    "--seeds",
    type=click.IntRange(2, 1000),
    default=10,
    show_default=True,
    help="On how many fresh seeds, at least; asking for more later adds the missing ones.",
)
@data_dir_option
@tracking_option
@json_option
def confirm(
    study_name: str,
    top: int,
    seeds: int,
    data_dir: Path | None,
    *,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Train the top trials of STUDY again on fresh seeds, and select the best mean.

    The best of many trials was selected by its score, so that is optimistic; scores on fresh seeds
    are less so. The winner becomes the selected trial, which `sweep best`, `sweep test`, `sweep
    compare` and `sweep reproduce` take, and the registered model `champion`. Pruned trials are
    trained to the end where fewer than --top are complete. The baseline, the report's own setting,
    trains along: its spread is the noise floor.
    """
    from sweep.analysis.confirm import Confirming
    from sweep.analysis.confirm_run import log_confirmation
    from sweep.cli.progress import watching_passes
    from sweep.data.reopening import reopen_data, reopen_source
    from sweep.search.record import open_study
    from sweep.timings import Timings
    from sweep.tracking.tracker import Tracker
    from sweep.workspace import Workspace

    workspace = Workspace()
    study = open_study(study_name, workspace)
    data = reopen_data(study.config.data, reopen_source(study.config.data, data_dir))
    tracker = Tracker(study.config.data.name, workspace, uri=tracking_uri)
    confirming = Confirming(study, data, top=top, seeds=seeds, timings=Timings())
    with watching_passes(confirming.passes) as on_epoch:
        found = confirming.run(on_epoch)
    # Told first: what a tracking store that is gone cannot take must not be lost on the user.
    if as_json:
        click.echo(json.dumps({"study": study.name, **_facts(found)}))
    else:
        print_confirmation(study, found)
    try:
        log_confirmation(study, found, tracker)
    except StoreUnreachableError:
        raise
    except SweepError as error:  # what it found stands all the same
        click.echo(f"no champion is registered: {error}", err=True)


def print_confirmation(study: StudyRecord, found: Confirmation) -> None:
    """Print the table and what it means."""
    from sweep.analysis.confirmation import pruned_at

    pruned = pruned_at(study)
    print_table(
        COLUMNS,
        [_cells(found, one, pruned.get(one.trial)) for one in [*found.trials, found.baseline]],
        title=f"{study.name}: {found.metric} on {len(found.seeds)} fresh seeds, "
        f"{found.epochs} epochs each",
    )
    say(
        f"{tied_mark()} not distinguishable from the winner: the 95 % interval of the difference, "
        "paired by seed, covers 0"
    )
    if math.isfinite(found.noise_floor):
        say(
            f"noise floor: one training each of two settings differs by up to "
            f"{found.noise_floor:.4f} by the seed alone (95 %)"
        )
    winner, baseline = found.winner, found.baseline
    if found.sign * (baseline.mean - winner.mean) > 0:
        say(
            f"The baseline, the report's own setting, came to {baseline.mean:.4f}, better than "
            "all of these: the search has found nothing better."
        )
    epoch = pruned.get(winner.trial)
    in_search = f"said {_shown(winner.search)}" if epoch is None else f"pruned it at epoch {epoch}"
    say(
        f"selected: trial {winner.trial}, {found.metric} {winner.mean:.4f} +- "
        f"{winner.standard_error:.4f} (mean and standard error of {len(found.seeds)} seeds); "
        f"the search {in_search}"
    )
    say(
        f"Fresh seeds, but the search's own {study.config.data.val_size:,} validation rows: by how "
        "much these are optimistic, only the test rows can tell."
    )
    click.echo(f"next: sweep test {study.name} | sweep report {study.name}")


def _cells(found: Confirmation, one: Confirmed, pruned: int | None) -> list[str]:
    mean, low, high = found.behind(one)
    is_winner = one is found.winner
    tied = not is_winner and low <= 0 <= high
    behind = _shown(mean)
    if math.isfinite(low):  # a few equal differences tell no interval
        behind += f" [{low:.4f}, {high:.4f}]"
    diverged = f"diverged on {one.diverged}" if one.diverged else ""
    optimism = found.optimism(one)
    return [
        "baseline" if one.is_baseline else str(one.trial),
        _in_search(one, pruned),
        _shown(one.mean),
        _shown(one.standard_error),
        f"{round(optimism, 4) + 0.0:+.4f}" if math.isfinite(optimism) else "-",
        "" if is_winner else behind,
        "winner" if is_winner else tied_mark() if tied else diverged,
    ]


def _in_search(one: Confirmed, pruned: int | None) -> str:
    return _shown(one.search) if pruned is None else f"pruned at epoch {pruned}"


def _shown(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "-"


def _facts(found: Confirmation) -> dict[str, Any]:
    """Return plain values under stable names."""

    def known(value: float) -> float | None:
        return value if math.isfinite(value) else None

    def facts(one: Confirmed) -> dict[str, Any]:
        mean, low, high = (known(value) for value in found.behind(one))
        return {
            "confirmed_mean": known(one.mean),
            "standard_error": known(one.standard_error),
            "optimism": known(found.optimism(one)),
            "behind": {"mean": mean, "low": low, "high": high},
        }

    record = found.record()
    trials = zip(record["trials"], found.trials, strict=True)
    return record | {
        "trials": [plain | facts(one) for plain, one in trials],
        "baseline": record["baseline"] | facts(found.baseline),
        "selected_trial": found.winner.trial,
        "noise_floor": known(found.noise_floor),
    }
