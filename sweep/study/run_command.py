"""The command that begins a study with given settings."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from sweep.settings import OBJECTIVES, PRUNERS, SAMPLERS
from sweep.space import DEFAULT_SPACES

if TYPE_CHECKING:
    from sweep.settings import DataChoice, Settings

DEFAULTS = {"sampler": SAMPLERS[0], "pruner": PRUNERS[0], "objective": OBJECTIVES[0], "seed": 0}


def run_command(settings: Settings, trials: int) -> str:
    """Return a line for the shell. What is usual and changes nothing is left out.

    Slots and width are said, since a trial's bits depend on them; threads change nothing.
    """
    options: list[tuple[str, object]] = [
        ("study", settings.study),
        ("loss", settings.loss),
        *_data_options(settings.data),
        ("epochs", settings.epochs),
        ("trials", trials),
        ("slots", settings.layout.slots),
        ("width", settings.layout.width),
        *(
            (name, getattr(settings, name))
            for name, usual in DEFAULTS.items()
            if getattr(settings, name) != usual
        ),
    ]
    default = DEFAULT_SPACES[settings.loss].axes
    options += [
        ("set", f"{name}={axis}")
        for name, axis in settings.space.axes.items()
        if axis != default[name]
    ]
    words = [word for name, value in options for word in (f"--{name}", str(value))]
    return shlex.join(["sweep", "run", *words])


def _data_options(data: DataChoice) -> list[tuple[str, object]]:
    options: list[tuple[str, object]] = [("data", data.source)]
    if data.directory is not None and data.source == data.name:  # a file is found by its path
        options.append(("data-dir", data.directory))
    options.append(("val-size", data.val_size))
    if data.split_seed:
        options.append(("split-seed", data.split_seed))
    return options
