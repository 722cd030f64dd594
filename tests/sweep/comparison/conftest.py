"""Studies on record whose selected trials have weights of their own, but which nobody trained."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from sweep.data import open_source
from sweep.search.study_run import pending_files
from sweep.search.training_log import CLASSIFIER_FILE, CLASSIFIER_FOLDER
from sweep_model.classifier import LinearClassifier
from sweep_model.losses import LOSSES

UNFLIPPED = {"flip_probability": 0.0}
"""Rows without an image shape have nothing to flip."""


class NoStore:
    """A tracker of a store that has no runs."""

    def runs(self, **_):
        return []


@pytest.fixture
def no_store():
    return NoStore()


@pytest.fixture(scope="session")
def source(tiny_npz):
    return open_source(str(tiny_npz))


@pytest.fixture
def make_answered(plan_tiny, source, make_study, make_trial):
    """Return a function that makes a study of three complete trials, the second the best.

    `weights` (3, 4) are what that one ended with.
    """
    numbers = count()

    def make(weights, *trials, **changes):
        plan = plan_tiny(**{"study_name": f"tiny-{next(numbers)}", **changes})
        config, data = plan.settle(source, trials=3)
        classifier = LinearClassifier(
            weights=np.asarray(weights, dtype=np.float32),
            bias=np.zeros(3, dtype=np.float32),
            standardiser=data.standardiser,
            loss=LOSSES[config.loss],
            image_shape=None,
            class_names=data.class_names,
        )
        best = make_trial(
            1,
            [0.5, 0.9],
            params={"l2": 0.01, **UNFLIPPED},
            weights_digest=classifier.digest,
            metrics={"final/train_accuracy": 0.95},
        )
        first = make_trial(0, [0.5, 0.7], params=UNFLIPPED)
        last = make_trial(2, [0.5, 0.8], params={"l2": 0.02, **UNFLIPPED})
        study = make_study(config, trials or [first, best, last])
        path = pending_files(study, 1) / CLASSIFIER_FOLDER / CLASSIFIER_FILE
        path.parent.mkdir(parents=True)
        classifier.save(path)
        return study

    return make
