"""`sweep train`: one trial with a setting of your own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.options import (
    data_options,
    epochs_option,
    json_option,
    loss_option,
    seed_option,
    tracking_option,
    train_curve_option,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.analysis.train import SingleResult


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
@tracking_option
@click.option("--test", "on_test", is_flag=True, help="Evaluate on the test rows at the end.")
@json_option
def train(
    *,
    loss: str,
    epochs: int,
    seed: int,
    data: str,
    train_curve: str,
    data_dir: Path | None,
    val_size: int | None,
    split_seed: int,
    tracking_uri: str | None,
    on_test: bool,
    as_json: bool,
    **given: float | None,
) -> None:
    """Train one trial with a setting of your own, and log it as a run.

    What is left out is the report's own setting.
    """
    from sweep.analysis.test_set import refuse_without_test_rows
    from sweep.analysis.train import settle_hyperparameters, train_single
    from sweep.cli.progress import watching_epochs
    from sweep.data import auto_notice, open_source
    from sweep.data.reopening import choose_data
    from sweep.search.storage import making_stores
    from sweep.space import RULES
    from sweep.tracking.tracker import Tracker
    from sweep.workspace import Workspace

    checked = {
        name: RULES[name].check(name, value) for name, value in given.items() if value is not None
    }
    source = open_source(data, data_dir)
    if data == "auto":
        click.echo(auto_notice(source, data_dir), err=True)
    if on_test:
        refuse_without_test_rows(source)
    choice, rows = choose_data(
        source, val_size=val_size, split_seed=split_seed, given=data, mirrored=True
    )
    unvalidated = rows.unvalidated()
    if unvalidated is not None:
        click.echo(unvalidated, err=True)
    hyperparameters = settle_hyperparameters(checked, loss, rows)
    with making_stores(Workspace()):
        tracker = Tracker(choice.name, Workspace(), uri=tracking_uri)
    with watching_epochs(epochs) as on_epoch:
        result = train_single(
            hyperparameters,
            rows,
            choice,
            tracker,
            loss=loss,
            epochs=epochs,
            seed=seed,
            train_curve=train_curve,
            test_source=source if on_test else None,
            on_epoch=on_epoch,
        )
    if as_json:
        click.echo(json.dumps(_facts(result)))
        return
    _print(result, len(rows.validation.labels))


def _facts(result: SingleResult) -> dict[str, Any]:
    return {
        **{metric: curve[-1] for metric, curve in result.curves.items()},
        "test": None if result.held_out is None else result.held_out.record(),
        "weights_digest": result.weights_digest,
        "mlflow_run_id": result.run_id,
    }


def _print(result: SingleResult, validation_rows: int) -> None:
    from sweep.statistics.intervals import percent_with_interval

    last = {metric: curve[-1] for metric, curve in result.curves.items()}
    accuracy = percent_with_interval(last["val/accuracy"], validation_rows)
    click.echo(
        f"train      loss {last['train/loss']:.4f}, accuracy {100 * last['train/accuracy']:.1f} %"
    )
    click.echo(f"validation loss {last['val/loss']:.4f}, accuracy {accuracy} (95 % interval)")
    if result.held_out is not None:
        held_out = percent_with_interval(result.held_out.accuracy, result.held_out.rows)
        click.echo(f"test       accuracy {held_out} (95 % interval)")
    click.echo(f"run {result.run_id}, weights {result.weights_digest[:12]}")
