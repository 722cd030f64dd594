"""Where the running trials of a study stand between two passes: a cache, in one file.

Without it, or with other bits, they train again from their first pass, to the same numbers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sweep.environment import environment
from sweep.errors import StoreUnreachableError
from sweep.io import with_room
from sweep_model.npz import ABOUT, pack, read_arrays, unpack, write_arrays
from sweep_model.panels import LaneState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from sweep.curves import Curves
    from sweep.environment import Environment

Arrays: TypeAlias = "dict[str, npt.NDArray[Any]]"
SECONDS = 2.0
"""Between two checkpoints, at least; longer where writing takes more than `MOST_SHARE`."""
MOST_SHARE = 0.05


@dataclass(frozen=True, eq=False, kw_only=True)
class Progress:
    """A running trial between two passes.

    Attributes
    ----------
    state
        What it carries from pass to pass.
    curves, times
        What it measured after each epoch, and when, in milliseconds since 1970.
    images
        See `WeightImages.state`; empty where rows are no images.

    """

    state: LaneState
    curves: Curves
    times: list[int]
    images: Arrays = field(default_factory=dict)


def bits(there: Environment) -> dict[str, str]:
    """Return what bits depend on besides the study: a checkpoint of others is not used."""
    return {name: there[name] for name in ("numpy", "kernels", "blas", "machine")}


class Checkpoints:
    """The checkpoint of one study, whose lock the caller holds.

    Parameters
    ----------
    path
        The file.
    study_id
        Of the study.
    warned
        Told in a line why an earlier checkpoint is of no use.
    clock
        Seconds.
    environment
        Where trials train.

    """

    def __init__(
        self,
        path: Path,
        study_id: str,
        warned: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        environment: Callable[[], Environment] = environment,
    ) -> None:
        self.path, self._study_id, self._warned, self._clock = path, study_id, warned, clock
        self._environment = environment
        self._next = clock() + SECONDS

    def is_due(self) -> bool:
        """Whether the last checkpoint is old enough for another one."""
        return self._clock() >= self._next

    def load(self) -> dict[int, Progress]:
        """Return where trials stand, by number; empty where the file is missing or of no use."""
        try:
            arrays = read_arrays(self.path)
            about = unpack(arrays)
            trials = {
                int(number): _progress(number, plain, arrays)
                for number, plain in about["trials"].items()
            }
            study_id, recorded = about["study_id"], about["bits"]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._warned(f"{self.path}: {error}; the running trials begin anew")
            return {}
        if study_id != self._study_id:
            return {}
        if recorded != bits(self._environment()):
            self._warned(
                "the running trials begin anew: with another NumPy or BLAS they would not come "
                "out the same"
            )
            return {}
        return trials

    def save(self, trials: Mapping[int, Progress]) -> None:
        """Write the file, in the place of the one before.

        Raises
        ------
        StoreUnreachableError
            It cannot be written; the one before is still there.

        """
        began = self._clock()
        about = {
            "study_id": self._study_id,
            "bits": bits(self._environment()),
            "trials": {
                number: {"curves": one.curves, "times": one.times, "images": sorted(one.images)}
                for number, one in trials.items()
            },
        }
        arrays: Arrays = {ABOUT: pack(about)}
        for number, one in trials.items():
            arrays[f"{number}/weights"] = one.state.weights
            arrays[f"{number}/bias"] = one.state.bias
            arrays |= {f"{number}/images/{name}": array for name, array in one.images.items()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_arrays(self.path, arrays)
        except OSError as error:
            raise StoreUnreachableError(
                f"{self.path}: the checkpoint cannot be written: "
                f"{with_room(str(error.strerror), self.path)}; "
                "make room or mend the permissions, then run the same command again"
            ) from error
        now = self._clock()
        self._next = now + max(SECONDS, (now - began) / MOST_SHARE)

    def forget(self) -> None:
        """Remove the checkpoint of a study of which nothing trains any more."""
        self.path.unlink(missing_ok=True)


def _progress(number: str, plain: Mapping[str, Any], arrays: Arrays) -> Progress:
    return Progress(
        state=LaneState(arrays[f"{number}/weights"], arrays[f"{number}/bias"]),
        curves=plain["curves"],
        times=plain["times"],
        images={name: arrays[f"{number}/images/{name}"] for name in plain["images"]},
    )
