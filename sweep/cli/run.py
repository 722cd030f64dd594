"""`sweep run`: search, or go on searching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sweep.cli.inspect import best_lines, next_command
from sweep.cli.options import (
    FiniteFloat,
    class_weight_option,
    data_options,
    draws_option,
    epochs_option,
    few_shot_option,
    loss_option,
    ray_option,
    seed_option,
    slots_option,
    space_options,
    test_option,
    tracking_option,
    train_curve_option,
    workers_option,
)
from sweep.config import OBJECTIVES, PRUNERS, SAMPLERS, TRIALS
from sweep.search_space import read_axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sweep.analysis import Plan
    from sweep.study import Study
    from sweep.timings import Timings

SMALL = 0.02
"""Parts of the time below this share are not named."""
SHOWN = 5
"""So many numbers of trials are named."""


@click.command()
@click.argument("study", metavar="[STUDY]", required=False)
@loss_option
@click.option(
    "--trials",
    type=click.IntRange(1, 1_000_000),
    show_default=f"as before; {TRIALS} in a new study",
    help="Finished trials (complete and pruned) in total.",
)
@epochs_option
@seed_option
@data_options
@test_option
@few_shot_option
@draws_option
@space_options
@click.option(
    "--sampler",
    type=click.Choice(SAMPLERS),
    show_default=SAMPLERS[0],
    help="How settings are proposed; grid takes the ends and middle of every range.",
)
@click.option(
    "--pruner",
    type=click.Choice(PRUNERS),
    show_default=PRUNERS[0],
    help="How trials that fall behind are ended early; with median those that begin before five "
    "are complete run in full.",
)
@click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    show_default=OBJECTIVES[0],
    help="What is best, at the last epoch; ties go to the lower validation loss.",
)
@class_weight_option
@click.option(
    "--timeout",
    type=FiniteFloat(min=0, min_open=True),
    metavar="SECONDS",
    help="Begin no further trial after this long.",
)
@click.option("--like", metavar="OTHER", help="Begin STUDY as another study was, but for options.")
@slots_option
@train_curve_option
@workers_option
@ray_option
@tracking_option
@click.option("--dry-run", is_flag=True, help="Show what would run, and run nothing.")
def run(
    *,
    space_file: Path | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    timeout: float | None,
    workers: int | None,
    ray: str | None,
    tracking_uri: str | None,
    **options: Any,
) -> None:
    """Search for the best setting, and record every trial in MLflow.

    STUDY is DATA-LOSS unless named. `sweep run STUDY` goes on with a study as it was begun, until
    TRIALS are finished; an option that is given again is compared. Ctrl-C saves the state first.

    Trial 0 is the report's own setting (l2 0.1, learning rate 0.01, decay period 10, batch size
    50, flip probability 0.2; for bce a tenth of the l2 and ten times the rate, because its
    gradient is a tenth), moved into the space where it lies outside.
    """
    from sweep import study as api
    from sweep.workspace import Workspace

    if dry_run:
        show_plan(plan_of(space_file=space_file, overrides=overrides, **options))
        return
    studied = api.run(
        **options,
        space=read_axes(space_file, overrides) or None,
        timeout=timeout,
        workers=workers,
        ray=ray,
        tracking_uri=tracking_uri,
        folder=Workspace(),
        progress=True,
    )
    for line in summary(studied):
        click.echo(line)


def plan_of(*, space_file: Path | None, overrides: tuple[str, ...], **options: Any) -> Plan:
    """Return what a command line asks for."""
    from sweep.study import plan_run
    from sweep.workspace import Workspace

    return plan_run(**options, space=read_axes(space_file, overrides) or None, folder=Workspace())


def show_plan(plan: Plan) -> None:
    """Print what would run."""
    config, data = plan.settle()
    for notice in plan.notices:
        click.echo(notice, err=True)
    rows, validation = len(data.training.labels), len(data.validation.labels)
    click.echo(
        f"study {config.study}: {plan.trials} trials of {config.epochs} epochs, "
        f"{config.loss} loss, {config.sampler} sampler, {config.pruner} pruner, "
        f"seed {config.seed}, best by {config.objective}"
    )
    click.echo(f"{config.slots} slots, panels of {config.lanes} lanes")
    repeats = config.data.repeats_in_words
    training = repeats if config.data.few_shot else f"{rows:,} training rows"
    parts = f"{training}, {validation:,} validation rows"
    if config.data.folds:
        parts = f"{rows:,} rows in {repeats}"
    click.echo(
        f"data {config.data.name}: {parts}, "
        f"digest {config.data.data_digest[:12]}, split {config.data.split_digest[:12]}"
    )
    for name, axis in config.space.axes.items():
        click.echo(f"  {name:<17} {axis}")


def summary(study: Study) -> list[str]:
    """Return in short lines why training stopped, what is best, how sure, and what comes next."""
    from sweep.analysis import boundary_lines, find_selected
    from sweep.search import REFITS, tally

    record, session = study.record, study.session
    assert session is not None  # noqa: S101 - it was run just now
    lines = [f"study {study.name}: {session.why} ({tally(record.trials())})"]
    best = find_selected(record)
    if best is not None:
        lines += [*best_lines(record, best), *boundary_lines(record)]
        refits = [*record.attribute(REFITS, {})]
        if refits and str(best.number) not in refits:
            lines.append(
                f"champion: trial {best.number} now, no longer trial {refits[-1]} trained again on "
                f"all rows; `sweep test {study.name} --refit` trains trial {best.number} on them"
            )
    if foreign := record.foreign():
        lines.append(f"left alone: trials of other programs: {_listed(foreign)}")
    if refused := record.refused():
        lines.append(f"not tried: queued settings outside of what is possible: {_listed(refused)}")
    if not session.lanes_agree:
        lines.append("not moved: this machine's BLAS differs by lane; bits may not reproduce")
    if machines := session.machines:
        lines.append(f"machines: {len(machines)}, with {sum(machines.values())} actors of Ray")
    lines.append(f"time: {_time(session.timings)}")
    return [*lines, f"next: {next_command(record)}"]


def _time(timings: Timings) -> str:
    """Return how long it took, and for what; the parts add up."""
    parts = timings.seconds()
    wall, other = sum(parts.values()), parts.pop("other")
    large = sorted((n for n in parts if parts[n] >= SMALL * wall), key=lambda n: -parts[n])
    other += sum(seconds for name, seconds in parts.items() if name not in large)
    shares = [f"{name} {100 * parts[name] / wall:.0f} %" for name in large]
    return f"{wall:.1f} s ({', '.join([*shares, f'other {100 * other / wall:.0f} %'])})"


def _listed(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return ", ".join(map(str, numbers[:SHOWN])) + more
