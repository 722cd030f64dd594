"""From what the user asked for to the settings of a study and the rows it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.settings import Settings, check_study_name
from sweep.space import read_space
from sweep.study.material import choose_data

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.data import Prepared, Source
    from sweep.space import Space


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The options of `sweep run` that make a study what it is, as they were given."""

    loss: str
    epochs: int
    seed: int
    data: str
    data_dir: Path | None
    val_size: int | None
    split_seed: int
    space_file: Path | None
    overrides: tuple[str, ...]
    sampler: str
    pruner: str
    objective: str
    study_name: str | None

    def open_source(self) -> Source:
        """Open the data set; cheap, and refuses a bad name or space before anything is read."""
        from sweep.data import open_source

        read_space(self.loss, self.space_file, self.overrides)
        if self.study_name is not None:
            check_study_name(self.study_name)
        return open_source(self.data, self.data_dir)

    def settle(self, source: Source) -> tuple[Settings, Prepared]:
        """Load the rows and return them with the study's settings."""
        choice, data = choose_data(
            source,
            val_size=self.val_size,
            split_seed=self.split_seed,
            given=self.data,
        )
        settings = Settings(
            study=self.study_name or f"{choice.name}-{self.loss}",
            loss=self.loss,
            epochs=self.epochs,
            seed=self.seed,
            sampler=self.sampler,
            pruner=self.pruner,
            objective=self.objective,
            data=choice,
            space=self._space(data),
        )
        return settings, data

    def _space(self, data: Prepared) -> Space:
        space = read_space(self.loss, self.space_file, self.overrides)
        if data.image_shape is not None:
            return space
        flips, default = space.axes["flip_probability"], read_space(self.loss)
        unflipped = default.without_flips()
        if flips not in (default.axes["flip_probability"], unflipped.axes["flip_probability"]):
            raise SweepError(
                f"{data.name} has no image shape, so there is nothing to flip: got "
                f"flip_probability={flips}; leave it out, or give X the "
                "shape (n, height, width) or (n, height, width, channels)"
            )
        return space.without_flips()

    def notices(self, data: Prepared) -> list[str]:
        """Return what the user should know about the data before the trials begin."""
        if data.image_shape is not None:
            return []
        return [
            f"{data.name} has no image shape: flip_probability is 0 and no weight images are drawn."
        ]
