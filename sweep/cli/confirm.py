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

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.study.confirmation import Confirmation, Confirmed
    from sweep.study.opening import OpenStudy

COLUMNS = ("trial", "search", "confirmed", "std\nerror", "flattered\nby", "behind the winner", "")


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
    """Train the top trials of STUDY again on fresh seeds, and choose the best mean.

    The best of many trials was picked for its score, so its score flatters it; scores on fresh
    seeds do so less. The winner becomes the chosen trial, which `sweep best`, `sweep test`, `sweep
    compare` and `sweep reproduce` go by, and the registered model `champion`. The baseline, the
    report's own setting, trains along: its spread is the noise floor.
    """
    from sweep.cli.progress import watching_passes
    from sweep.study.confirm import Confirming
    from sweep.study.confirm_run import log_confirmation
    from sweep.study.material import reopen_data, reopen_source
    from sweep.study.opening import load_study
    from sweep.study.storage import open_storage
    from sweep.timings import Timings
    from sweep.tracking.tracker import Tracker

    study = load_study(study_name, open_storage())
    data = reopen_data(study.settings.data, reopen_source(study.settings.data, data_dir))
    tracker = Tracker(study.settings.data.name, uri=tracking_uri)
    confirming = Confirming(study, data, top=top, seeds=seeds, timings=Timings())
    with watching_passes(confirming.passes) as on_epoch:
        found = confirming.run(on_epoch)
    # Told first: what a tracking store that is gone cannot take must not be lost on the user.
    if as_json:
        click.echo(json.dumps({"study": study.name, **_facts(found)}))
    else:
        print_confirmation(study, found)
    log_confirmation(study, found, tracker)


def print_confirmation(study: OpenStudy, found: Confirmation) -> None:
    """Print the table and what it means."""
    print_table(
        COLUMNS,
        [_cells(found, one) for one in [*found.trials, found.baseline]],
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
    say(
        f"chosen: trial {winner.trial}, {found.metric} {winner.mean:.4f} +- "
        f"{winner.standard_error:.4f} (mean and standard error of {len(found.seeds)} seeds); "
        f"the search said {winner.search:.4f}"
    )
    say(
        f"Fresh seeds, but the search's own {study.settings.data.val_size:,} validation rows: what "
        f"these rows flatter, only `sweep test {study.name}` can tell."
    )
    click.echo(f"next: sweep test {study.name} | sweep report {study.name}")


def _cells(found: Confirmation, one: Confirmed) -> list[str]:
    mean, low, high = found.behind(one)
    is_winner = one is found.winner
    tied = not is_winner and low <= 0 <= high
    behind = f"{mean:.4f} [{low:.4f}, {high:.4f}]" if math.isfinite(mean) else "-"
    diverged = f"diverged on {one.diverged}" if one.diverged else ""
    return [
        "baseline" if one.trial < 0 else str(one.trial),
        _shown(one.search),
        _shown(one.mean),
        _shown(one.standard_error),
        "-" if one.trial < 0 or one.diverged else f"{found.flattered(one):+.4f}",
        "" if is_winner else behind,
        "winner" if is_winner else tied_mark() if tied else diverged,
    ]


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
            "flattered_by": known(found.flattered(one)),
            "behind": {"mean": mean, "low": low, "high": high},
        }

    record = found.record()
    trials = zip(record["trials"], found.trials, strict=True)
    return record | {
        "trials": [plain | facts(one) for plain, one in trials],
        "baseline": record["baseline"] | facts(found.baseline),
        "chosen_trial": found.winner.trial,
        "noise_floor": known(found.noise_floor),
    }
