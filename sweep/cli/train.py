"""`sweep train`: one trial with a setting of your own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.inspect import held_out_accuracy, held_out_lines
from sweep.cli.options import (
    class_weight_option,
    data_options,
    epochs_option,
    json_option,
    loss_option,
    seed_option,
    tracking_option,
    train_curve_option,
    with_parts,
)

if TYPE_CHECKING:
    from sweep.analysis import SingleResult
    from sweep.config import DataFiles


@click.command()
@loss_option
@click.option("--l2", type=float, help="Weight of sum(W^2). [default: 0.1; 0.01 for bce]")
@click.option(
    "--learning-rate", type=float, help="Of the first epochs. [default: 0.01; 0.1 for bce]"
)
@click.option("--decay-period", type=int, help="Epochs between two halvings. [default: 10]")
@click.option("--batch-size", type=int, help="Rows per step. [default: 50]")
@click.option(
    "--flip-probability",
    type=float,
    help="How likely an image is mirrored in an epoch. [default: 0.2; 0 without images]",
)
@epochs_option
@seed_option
@data_options
@train_curve_option
@class_weight_option
@tracking_option
@click.option(
    "--test",
    "on_test",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Evaluate on the test rows at the end, or on those of a file.",
)
@json_option
def train(
    *, data: str | DataFiles | None, on_test: str | None, as_json: bool, **options: Any
) -> None:
    """Train one trial with a setting of your own, and log it as a run.

    What is left out is the report's own setting.
    """
    from sweep import study as api
    from sweep.workspace import Workspace

    if on_test:
        data = with_parts(data, test=on_test)
    given = {name: value for name, value in {"data": data, **options}.items() if value is not None}
    result = api.train(**given, test=on_test is not None, folder=Workspace(), progress=True)
    if as_json:
        click.echo(json.dumps(_facts(result)))
        return
    _print(result)


def _facts(result: SingleResult) -> dict[str, Any]:
    return {
        **{metric: curve[-1] for metric, curve in result.curves.items()},
        "test": None if result.held_out is None else result.held_out.record(),
        "weights_digest": result.weights_digest,
        "mlflow_run_id": result.run_id,
    }


def _print(result: SingleResult) -> None:
    from sweep.statistics import percent_with_interval

    last = {metric: curve[-1] for metric, curve in result.curves.items()}
    rows = result.validation_rows
    accuracy = percent_with_interval(last["val/accuracy"], rows)
    folds = f" in {result.folds} folds" if result.folds else ""
    click.echo(
        f"train      loss {last['train/loss']:.4f}, accuracy {100 * last['train/accuracy']:.1f} %"
    )
    click.echo(
        f"validation loss {last['val/loss']:.4f}, accuracy {accuracy} "
        f"(95 % interval, {rows:,} rows{folds})"
    )
    if result.held_out is not None:
        click.echo(f"test       accuracy {held_out_accuracy(result.held_out)} (95 % interval)")
        for line in held_out_lines(result.held_out):
            click.echo(line)
    run = result.run_id or "not logged yet"
    click.echo(f"run {run}, weights {result.weights_digest[:12]}")
