"""Commands that judge what a search found: confirm, compare, test, reproduce."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.inspect import held_out_accuracy, held_out_lines
from sweep.cli.options import (
    FiniteFloat,
    json_option,
    label_option,
    map_option,
    open_in_folder,
    ray_option,
    rows_options,
    study_argument,
    tracking_option,
)
from sweep.config import DataFiles
from sweep.errors import CheckFailedError
from sweep.formatting import fixed
from sweep.terminal import print_table, say, tied_mark

if TYPE_CHECKING:
    from sweep.analysis import (
        Comparison,
        Confirmation,
        Confirmed,
        Verdict,
    )
    from sweep.search import StudyRecord


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
@ray_option
@rows_options
@json_option
def confirm(
    study_name: str, *, top: int, seeds: int, ray: str | None, as_json: bool, **where: Any
) -> None:
    """Train the top trials of STUDY again on fresh seeds, and select the best mean.

    The best of many trials was selected by its score, so that is optimistic; scores on fresh seeds
    are less so. The winner becomes the selected trial, which `sweep best`, `sweep test`, `sweep
    compare` and `sweep reproduce` take, and the registered model `champion`. Pruned trials are
    trained to the end where fewer than --top are complete. The baseline, the report's own setting,
    trains along: its spread is the noise floor.
    """
    study = open_in_folder(study_name, **where)
    confirmation = study.confirm(top=top, seeds=seeds, ray=ray, progress=True)
    if as_json:
        click.echo(json.dumps({"study": study.name, **_facts(confirmation)}))
    else:
        print_confirmation(study.record, confirmation)


def print_confirmation(study: StudyRecord, confirmation: Confirmation) -> None:
    """Print the table and what it means."""
    from sweep.analysis import pruned_at

    pruned, seeds = pruned_at(study), len(confirmation.seeds)
    settings = [*confirmation.trials, confirmation.baseline]
    print_table(
        COLUMNS,
        [_cells(confirmation, setting, pruned.get(setting.trial)) for setting in settings],
        title=f"{study.name}: {confirmation.metric} on {seeds} fresh seeds, "
        f"{confirmation.epochs} epochs each",
    )
    if any(_is_tied(confirmation, setting) for setting in settings):
        say(
            f"{tied_mark()} not distinguishable from the winner: the 95 % interval of the "
            "difference, paired by seed, covers 0"
        )
    if math.isfinite(confirmation.noise_floor):
        say(
            f"noise floor: one training each of two settings differs by up to "
            f"{confirmation.noise_floor:.4f} by the seed alone (95 %)"
        )
    winner, baseline = confirmation.winner, confirmation.baseline
    if confirmation.sign * (baseline.mean - winner.mean) > 0:
        say(
            f"The baseline, the report's own setting, came to {baseline.mean:.4f}, better than "
            "all of these: the search has found nothing better."
        )
    epoch = pruned.get(winner.trial)
    in_search = f"said {fixed(winner.search)}" if epoch is None else f"pruned it at epoch {epoch}"
    say(
        f"selected: trial {winner.trial}, {confirmation.metric} {winner.mean:.4f} +- "
        f"{winner.standard_error:.4f} (mean and standard error of {seeds} seeds); "
        f"the search {in_search}"
    )
    say(
        f"Fresh seeds, but the search's own {study.config.data.val_size:,} validation rows: by how "
        "much these are optimistic, only the test rows can tell."
    )
    click.echo(f"next: sweep test {study.name}")


def _is_tied(confirmation: Confirmation, setting: Confirmed) -> bool:
    """Whether a setting cannot be told from the winner."""
    _, low, high = confirmation.behind(setting)
    return setting is not confirmation.winner and low <= 0 <= high


def _cells(confirmation: Confirmation, setting: Confirmed, pruned: int | None) -> list[str]:
    mean, low, high = confirmation.behind(setting)
    is_winner, tied = setting is confirmation.winner, _is_tied(confirmation, setting)
    behind = fixed(mean)
    if math.isfinite(low):  # a few equal differences tell no interval
        behind += f" [{low:.4f}, {high:.4f}]"
    diverged = f"diverged on {setting.diverged}" if setting.diverged else ""
    return [
        "baseline" if setting.is_baseline else str(setting.trial),
        _in_search(setting, pruned),
        fixed(setting.mean),
        fixed(setting.standard_error),
        fixed(confirmation.optimism(setting), sign="+"),
        "" if is_winner else behind,
        "winner" if is_winner else tied_mark() if tied else diverged,
    ]


def _in_search(setting: Confirmed, pruned: int | None) -> str:
    return fixed(setting.search) if pruned is None else f"pruned at epoch {pruned}"


def _facts(confirmation: Confirmation) -> dict[str, Any]:
    """Return plain values under stable names."""

    def nan_to_none(value: float) -> float | None:
        return value if math.isfinite(value) else None

    def facts(setting: Confirmed) -> dict[str, Any]:
        mean, low, high = (nan_to_none(value) for value in confirmation.behind(setting))
        return {
            "confirmed_mean": nan_to_none(setting.mean),
            "standard_error": nan_to_none(setting.standard_error),
            "optimism": nan_to_none(confirmation.optimism(setting)),
            "behind": {"mean": mean, "low": low, "high": high},
        }

    record = confirmation.record()
    trials = zip(record["trials"], confirmation.trials, strict=True)
    return record | {
        "trials": [plain | facts(setting) for plain, setting in trials],
        "baseline": record["baseline"] | facts(confirmation.baseline),
        "selected_trial": confirmation.winner.trial,
        "noise_floor": nan_to_none(confirmation.noise_floor),
    }


@click.command()
@click.argument("study_names", metavar="STUDY STUDY...", nargs=-1, required=True)
@rows_options
@json_option
def compare(study_names: tuple[str, ...], *, as_json: bool, **where: Any) -> None:
    """Compare the selected trials of two or more studies on the same test rows.

    The first line says which is better, or that no difference is shown: McNemar's exact test on
    the rows that one study has right and the other wrong. The test rows are opened, and that is
    counted for each study. A run of MLflow has the figures, of each class among them.
    """
    from sweep import study as api

    studies = [open_in_folder(name, **where) for name in study_names]
    comparison = api.compare(*studies, progress=True)
    if as_json:
        click.echo(json.dumps(comparison.record()))
        return
    print_comparison(comparison)
    click.echo(f"next: sweep report {' '.join(study_names)}")


def print_comparison(comparison: Comparison) -> None:
    """Print the answer, what it rests on, and what speaks against trusting it."""
    from sweep.report import comparison_tables

    say(comparison.sentence)
    for table in comparison_tables(comparison):
        click.echo()
        columns = [heading.words for heading in table.headings]
        print_table(columns, [[row.name, *map(str, row.cells)] for row in table.rows])
        say(table.caption)
    click.echo()
    for answer in comparison.answers:
        if answer.confirmed_mean is not None and answer.confirmed_error is not None:
            say(
                f"{answer.study} trial {answer.trial} on {answer.seeds} fresh seeds: "
                f"{answer.confirmed_mean:.4f} +- {answer.confirmed_error:.4f} (objective, mean and "
                "standard error)"
            )
    for caveat in comparison.caveats:
        say(f"note: {caveat}")


@click.command()
@study_argument
@click.option(
    "--refit",
    is_flag=True,
    help="Train the selected setting again on training and validation rows; that model is tested "
    "where there are test rows, and registered as champion.",
)
@rows_options
@json_option
def test(study_name: str, *, refit: bool, as_json: bool, **where: Any) -> None:
    """Open the test rows: evaluate the selected trial of STUDY on them, and count it.

    The search never sees these rows. The more often they are looked at, the less they tell: the
    study counts how often. Every metric of validation rows is told of them, with 95 % intervals.
    Of a study with --few-shot they are means over the models of its draws, which are trained again.
    """
    from sweep.analysis import grounds
    from sweep.search import TEST_OPENINGS

    study = open_in_folder(study_name, **where)
    trial, result = study.best, study.test(refit=refit, progress=True)
    openings = len(study.record.attribute(TEST_OPENINGS, []))
    if as_json:
        facts = {"study": study.name, "trial": trial.number, "refit": refit, "openings": openings}
        click.echo(json.dumps(facts | ({"rows": 0} if result is None else result.record())))
        return
    again = ", trained again on training and validation rows" if refit else ""
    name = f"{study.name} trial {trial.number} ({grounds(study.record)}{again})"
    if result is None:
        click.echo(f"{name}: not tested, since the data have no test rows.")
    else:
        click.echo(
            f"{name}: test accuracy {held_out_accuracy(result)} "
            f"(95 % interval, {result.rows:,} rows)"
        )
        for line in held_out_lines(result):
            click.echo(line)
        times = "once" if openings == 1 else f"{openings} times"
        click.echo(f"The test rows have been opened {times} for this study.")
    if refit:
        click.echo("That model is the champion now; `sweep predict` uses it.")


@click.command()
@study_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="A .csv, or an .npz with labels, probabilities and class_names.",
)
@label_option
@map_option
@tracking_option
def predict(
    study_name: str,
    file: Path,
    *,
    out: Path,
    label: str | None,
    names: dict[str, str],
    tracking_uri: str | None,
) -> None:
    """Write the label and the probabilities of each row of FILE, from the champion of STUDY.

    FILE is of any kind that `sweep run` takes, with rows as they were given to the study. Columns
    of a table are taken by name while the study's own table is there, else in order. Labels in it
    are ignored: the column --label, by default the study's own, is no feature. The champion is the
    model of the selected trial, or what `sweep test --refit` made of it.
    """
    files = DataFiles(str(file), label=label, names=names)
    rows = open_in_folder(study_name, tracking_uri=tracking_uri).predict(files, out)
    click.echo(f"{out}: labels and probabilities of {rows:,} rows")


@click.command()
@study_argument
@click.option("--trial", type=click.IntRange(min=0), help="Trial number. [default: the selected]")
@click.option(
    "--tolerance",
    type=FiniteFloat(min=0),
    default=1e-3,
    show_default=True,
    help="Relative difference of losses and weights, and of accuracies beyond two rows, that still "
    "counts as a match where the machine, BLAS or versions are others.",
)
@ray_option
@rows_options
@json_option
def reproduce(
    study_name: str,
    *,
    trial: int | None,
    tolerance: float,
    ray: str | None,
    as_json: bool,
    **where: Any,
) -> None:
    """Train a trial of STUDY again from its record, and check that it comes out the same.

    Every curve point and the weights are compared. Exit code 0: MATCH, bit for bit or within the
    tolerance. 3: it comes out otherwise; the output says from where on, and what differs.
    """
    from sweep.data import DataChangedError

    study = open_in_folder(study_name, **where)
    try:
        verdict = study.reproduce(trial, tolerance=tolerance, ray=ray, progress=True)
    except DataChangedError as error:
        raise CheckFailedError(f"NO MATCH: {error}") from error
    if as_json:
        click.echo(json.dumps({"study": study.name, **verdict.record()}))
    else:
        click.echo("\n".join(describe(study.name, verdict)))
    if not verdict.holds:
        raise CheckFailedError(
            f"trial {verdict.trial} of {study.name!r} does not come out the same"
        )


def describe(study: str, verdict: Verdict) -> list[str]:
    """Return the verdict in lines."""
    head = f"{study} trial {verdict.trial}"
    if verdict.matches == "bit for bit":
        return [f"{head}: MATCH (bit for bit): {verdict.points} curve points and the weights"]
    apart = verdict.weights_difference
    weights = "unknown, the first weights are gone" if apart is None else f"{apart:.2g}"
    curves = f"{verdict.largest_curve_difference:.2g}"
    lines = [
        f"{head}: "
        + (
            f"MATCH within a tolerance of {verdict.tolerance:g}"
            if verdict.holds
            else f"NO MATCH at a tolerance of {verdict.tolerance:g}"
        ),
        f"  parts at {verdict.parts_at}",
        f"  largest difference: curves {curves}, weights {weights}",
    ]
    differing = verdict.environment_differences or ["nothing that was recorded"]
    return lines + [f"  differs: {phrase}" for phrase in differing]
