from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture
def golden():
    """Return a check that an output is that of a golden file; UPDATE_GOLDEN=1 writes these anew.

    Blanks at the ends of lines, which tables leave, do not count.
    """

    def check(name, output):
        shown = "".join(f"{line.rstrip()}\n" for line in output.splitlines())
        file = GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            file.write_text(shown, encoding="utf-8")
        assert shown == file.read_text(encoding="utf-8")

    return check


@pytest.fixture
def recorded_study(in_workspace, make_config, make_trial, put_on_record):
    """Enter a folder with a study whose four trials were written down, not trained."""
    from sweep.search.storage import open_storage

    data = replace(make_config().data, source="digits", name="digits", val_size=300)
    config = make_config(study="digits-softmax", data=data, epochs=3)
    trials = [
        make_trial(0, [0.5, 0.7, 0.8], params={"l2": 0.1}),
        make_trial(
            1,
            [],
            params={"l2": 1.0},
            status="failed",
            reason="diverged in epoch 1: the [bold] cost is nan",
        ),
        make_trial(2, [0.6, 0.8, 0.9], params={"l2": 0.001}),
        make_trial(
            3,
            [0.1],
            params={"l2": 0.01},
            status="pruned",
            reason="rung 1: val/accuracy 0.1000, needed 0.6000",
        ),
    ]
    return put_on_record(in_workspace.root, open_storage(in_workspace), config, trials)


@pytest.fixture
def tiny_study(in_workspace, plan_tiny, search):
    """Return a function that enters a folder and trains `tiny-softmax` there, without MLflow.

    Its arguments are what `sweep run` takes, and `trials` of the study.
    """
    from sweep.search.record import begin_study
    from sweep.search.storage import open_storage

    def make(trials=3, **changes):
        config, data = plan_tiny(in_workspace, trials, **changes).settle()
        study = begin_study(config, open_storage(in_workspace), in_workspace)
        return search(study, data, trials)

    return make
