"""A study of every kind of trial, in memory, and the archives that one makes of it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sweep.archive import container
from sweep.archive.contents import Contents
from sweep.archive.trial_record import read_trial
from sweep.curves import METRICS
from sweep.study import attributes
from sweep_model.linear import LinearClassifier
from sweep_model.losses import LOSSES
from sweep_model.standardise import Standardiser

SETTING = {
    "l2": 0.1,
    "learning_rate": 0.01,
    "decay_period": 10,
    "batch_size": 50,
    "flip_probability": 0.2,
}
DAY = "2026-03-29T00:{:02}:00.123456+00:00"


def make_record(number, how, epochs, digest, **changes):
    """Return a trial's plain values: its accuracies rise with its number."""
    points = [(number + 1 + 0.1 * epoch) / 10 for epoch in range(epochs)]
    curves = dict.fromkeys(METRICS, points)
    record = {
        "trial": number,
        "ending": how,
        "reason": "" if how == "complete" else f"it was {how}",
        "setting": SETTING,
        "position": number,
        "attempt": 1,
        "slot": number % 2,
        "seat": {
            "seed": 2**32 - 1,
            "first_pass": number,
            "slot": number % 2,
            "width": 2,
            "micro_batch": 25,
            "block": 100,
        },
        "curves": curves,
        "weights_digest": digest if epochs else None,
        "environment": {"python": "3.11.7", "blas": "openblas 0.3.33 Zen"},
        "started": DAY.format(number),
        "ended": DAY.format(number + 1),
    }
    return record | changes


@pytest.fixture(scope="session")
def model():
    """Return a classifier of 12 features and 3 classes."""
    draws = np.random.default_rng(5)
    return LinearClassifier(
        weights=draws.normal(size=(3, 12)).astype(np.float32),
        bias=draws.normal(size=3).astype(np.float32),
        standardiser=Standardiser(np.zeros(12, np.float32), np.ones(12, np.float32)),
        loss=LOSSES["softmax"],
        image_shape=(1, 3, 4),
        class_names=("ant", "bee", "cat"),
    )


DIED = {"curves": None, "weights_digest": None, "environment": None}
UNSEATED = {"setting": None, "position": None, "attempt": None, "slot": None, "seat": None}
CONFIRMATION = {
    "metric": "val/accuracy",
    "direction": "maximize",
    "epochs": 6,
    "seeds": [11, 12],
    "finished": 3,
    "trials": [
        {"trial": 0, "search": 0.15, "values": [0.125, 0.1]},
        {"trial": 2, "search": 0.35, "values": [0.3, None]},
    ],
    "baseline": {"trial": -1, "search": None, "values": [0.1, 0.1]},
}
OPENINGS = [
    {"trial": 2, "time": "2026-03-30T12:00:00.000001+00:00"},
    {
        "trial": 0,
        "time": "2026-03-30T12:00:00+00:00",
        "result": {
            "accuracy": 0.4,
            "low": 0.3,
            "high": 0.5,
            "rows": 10,
            "per_class": {"<b>ant</b>": 0.4, "bee": 1.0},
        },
    },
]


@pytest.fixture(scope="session")
def contents(make_settings, model):
    """Return a study of 7 trials that trial 0 has won, against its score in the search."""
    settings = make_settings()
    settings = replace(settings, data=replace(settings.data, source="tiny.npz"))
    records = [
        make_record(0, "complete", 6, model.digest),
        make_record(1, "pruned", 3, "1" * 64),
        make_record(2, "complete", 6, "2" * 64),
        make_record(3, "diverged", 0, None),
        make_record(4, "interrupted", 2, "4" * 64),
        make_record(5, "interrupted", 0, None, **DIED, position=4, attempt=2),
        make_record(6, "interrupted", 0, None, **DIED, **UNSEATED),
    ]
    return Contents(
        settings=settings,
        trials=[read_trial(record, place, settings) for place, record in enumerate(records)],
        known={attributes.TEST_OPENINGS: OPENINGS, attributes.CONFIRMATION: CONFIRMATION},
        model=model,
    )


@pytest.fixture
def members(contents):
    """Return the members of the study's archive, to be changed."""
    return contents.members()


@pytest.fixture
def rewritten(members):
    """Return a function that packs the archive with one JSON member changed in place."""

    def rewrite(name, change):
        value = json.loads(members[name])
        change(value)
        return container.pack(members | {name: json.dumps(value).encode()})

    return rewrite


@pytest.fixture
def archive_file(tmp_path, members):
    """Return the study's archive as a file."""
    file = tmp_path / "tiny.zip"
    file.write_bytes(container.pack(members))
    return file
