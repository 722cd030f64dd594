"""The command that begins a study with a given config."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from sweep.config import OBJECTIVES, PRUNERS, SAMPLERS, TRAIN_CURVES, default_slots
from sweep.space import DEFAULT_SPACES

if TYPE_CHECKING:
    from sweep.config import DataConfig, StudyConfig

DEFAULTS = {
    "sampler": SAMPLERS[0],
    "pruner": PRUNERS[0],
    "objective": OBJECTIVES[0],
    "train_curve": TRAIN_CURVES[0],
    "seed": 0,
}


def run_command(config: StudyConfig, trials: int) -> str:
    """Return a line for the shell. What is usual and changes nothing is left out.

    Slots are said, since they decide which trials begin when; threads change nothing.
    """
    options: list[tuple[str, object]] = [
        ("study", config.study),
        ("loss", config.loss),
        *_data_options(config.data),
        ("epochs", config.epochs),
        ("trials", trials),
        *([] if config.slots == default_slots(trials) else [("slots", config.slots)]),
        *(
            (name.replace("_", "-"), getattr(config, name))
            for name, usual in DEFAULTS.items()
            if getattr(config, name) != usual
        ),
    ]
    default = DEFAULT_SPACES[config.loss].axes
    options += [
        ("set", f"{name}={axis}")
        for name, axis in config.space.axes.items()
        if axis != default[name]
    ]
    words = [word for name, value in options for word in (f"--{name}", str(value))]
    return shlex.join(["sweep", "run", *words])


def _data_options(data: DataConfig) -> list[tuple[str, object]]:
    options: list[tuple[str, object]] = [("data", data.source)]
    if data.directory is not None and data.source == data.name:  # a file is found by its path
        options.append(("data-dir", data.directory))
    options.append(("val-size", data.val_size))
    if data.split_seed:
        options.append(("split-seed", data.split_seed))
    return options
