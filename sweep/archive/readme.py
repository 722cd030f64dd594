"""The README of an archive: what is what, for somebody who has never seen sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.study.results import tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.trial import FrozenTrial

    from sweep.settings import Settings

TEXT = """\
{study}: a search for the best setting of a linear classifier
with the {loss} loss on {data}, by {objective} after {epochs} epochs.

Trials: {tally}.
{chosen}

trials.csv     a row per trial: how it ended, its last metrics, setting, seat and digests
curves.csv     a row per trial and epoch (from 1): the metrics after it
study.json     what decides the trials: data and split with SHA-256 digests, search space, seed;
               how often the test rows were opened, and what a confirmation found
trials.json    all trials exactly as the study recorded them, with the versions that they ran on
{model}manifest.json  the format's version, and size and SHA-256 digest of every other file

The columns:
train/..., val/...     on the training and on the validation rows
.../loss, .../cost     the mean loss in nats; with l2 * sum(W^2) added
.../accuracy           a fraction of rows
l2, learning_rate, decay_period (epochs between two halvings of the rate), batch_size,
flip_probability       the setting
seed, first_pass, slot, width    where the trial trained; with the setting they decide every bit
ending                 complete, pruned (ended early), diverged, error or interrupted

With pandas:
    curves = pandas.read_csv("curves.csv")
    curves.pivot(index="epoch", columns="trial", values="val/accuracy").plot()
With R:
    curves <- read.csv("curves.csv", check.names = FALSE)
With sweep:
    sweep import FILE.zip
    sweep show {study}
    sweep reproduce {study}    (trains the chosen trial again, and compares)
"""
MODEL = """\
model.npz      the chosen trial's weights (classes, features), bias, and mean and factor that
               standardise a row x: the scores are W ((x - mean) * factor) + b
"""


def readme(settings: Settings, trials: Sequence[FrozenTrial], chosen: FrozenTrial | None) -> str:
    """Return the text."""
    return TEXT.format(
        study=settings.study,
        loss=settings.loss,
        data=settings.data.name,
        objective=settings.objective,
        epochs=settings.epochs,
        tally=tally(trials),
        chosen="No trial is complete yet." if chosen is None else f"Chosen: trial {chosen.number}.",
        model="" if chosen is None else MODEL,
    )
