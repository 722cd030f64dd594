"""Where the trials in training stand between two passes, in one file that is whole or not there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sweep.disks import with_room
from sweep.errors import StoreUnreachableError
from sweep_model.npz import read_arrays, write_arrays
from sweep_model.results import SlotState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from sweep.curves import Curves
    from sweep.environment import Environment

Arrays: TypeAlias = "dict[str, npt.NDArray[Any]]"
ABOUT = "about"
"""The array that holds everything else, as JSON."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrialState:
    """One trial in training.

    Attributes
    ----------
    slot
        What it carries from pass to pass.
    curves
        What it measured so far.
    images
        Its weight images so far, see `WeightImages.state`; empty where rows are no images.

    """

    slot: SlotState
    curves: Curves
    images: Arrays


@dataclass(frozen=True, eq=False, kw_only=True)
class Checkpoint:
    """A study between two passes.

    Attributes
    ----------
    study_id
        Whose it is.
    environment
        In which its trials trained: in another one they would come out otherwise.
    released
        The number of the last letter to MLflow that tells of what is here.
    trials
        By their number in the store.

    """

    study_id: str
    environment: Environment
    released: int
    trials: dict[int, TrialState] = field(default_factory=dict)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write the file, in the place of the one before.

    Raises
    ------
    StoreUnreachableError
        It cannot be written; the one before is still there.

    """
    trials = checkpoint.trials
    about = {
        "study_id": checkpoint.study_id,
        "environment": checkpoint.environment,
        "released": checkpoint.released,
        "trials": {
            number: {
                "first_pass": state.slot.first_pass,
                "curves": state.curves,
                "images": sorted(state.images),
            }
            for number, state in trials.items()
        },
    }
    arrays: Arrays = {ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for number, state in trials.items():
        arrays[f"{number}/weights"], arrays[f"{number}/bias"] = state.slot.weights, state.slot.bias
        arrays |= {f"{number}/images/{name}": array for name, array in state.images.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A power cut may lose what was not yet on the disk, a death of the process loses nothing.
        write_arrays(path, arrays, durable=False)
    except OSError as error:
        raise StoreUnreachableError(
            f"{path}: where the trials stand cannot be kept: {with_room(str(error.strerror), path)}"
            "; make room or mend the permissions, then run the same command again"
        ) from error


def load(path: Path) -> Checkpoint | None:
    """Read the file; None where there is none.

    Raises
    ------
    OSError, ValueError
        It cannot be read, or is damaged.

    """
    if not path.exists():
        return None
    arrays = read_arrays(path)
    try:
        return _checkpoint(arrays)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} lacks {error}") from error


def _checkpoint(arrays: Arrays) -> Checkpoint:
    about = json.loads(arrays[ABOUT].tobytes())
    trials = {
        int(number): _trial_state(number, plain, arrays)
        for number, plain in about["trials"].items()
    }
    return Checkpoint(
        study_id=about["study_id"],
        environment=about["environment"],
        released=about["released"],
        trials=trials,
    )


def _trial_state(number: str, plain: Mapping[str, Any], arrays: Arrays) -> TrialState:
    return TrialState(
        slot=SlotState(
            first_pass=plain["first_pass"],
            weights=arrays[f"{number}/weights"],
            bias=arrays[f"{number}/bias"],
        ),
        curves=plain["curves"],
        images={name: arrays[f"{number}/images/{name}"] for name in plain["images"]},
    )
