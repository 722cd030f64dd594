"""From what the user asked for to the config of a study and the rows it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.config import StudyConfig, check_study_name, default_lanes, default_slots
from sweep.data.reopening import choose_data
from sweep.errors import SweepError
from sweep.search.sampler import GRID_LEVELS
from sweep.space import read_space

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
    train_curve: str
    study_name: str | None
    slots: int | None

    def open_source(self) -> Source:
        """Open the data set; cheap, and refuses a bad name or space before anything is read."""
        from sweep.data import open_source

        read_space(self.loss, self.space_file, self.overrides)
        if self.study_name is not None:
            check_study_name(self.study_name)
        return open_source(self.data, self.data_dir)

    def name(self, source: Source) -> str:
        """Return what the study is called, which is known before its rows are loaded."""
        return self.study_name or f"{source.name}-{self.loss}"

    def settle(self, source: Source, *, trials: int) -> tuple[StudyConfig, Prepared]:
        """Load the rows and return them with the study's config; slots suit the trials."""
        data_config, data = choose_data(
            source,
            val_size=self.val_size,
            split_seed=self.split_seed,
            given=self.data,
            mirrored=True,
        )
        slots = self.slots or default_slots(trials)
        config = StudyConfig(
            study=self.name(source),
            loss=self.loss,
            epochs=self.epochs,
            seed=self.seed,
            sampler=self.sampler,
            pruner=self.pruner,
            objective=self.objective,
            train_curve=self.train_curve,
            data=data_config,
            space=self._space(data),
            slots=slots,
            lanes=default_lanes(len(data.class_names), slots),
        )
        return config, data

    @property
    def kept(self) -> set[str]:
        """The parts of the config that a study which exists keeps: nobody asked for others."""
        return {"lanes", "eta", "sampler_arguments"} | (set() if self.slots else {"slots"})

    def _space(self, data: Prepared) -> Space:
        space = read_space(self.loss, self.space_file, self.overrides)
        if self.sampler == "grid":
            space.grid(GRID_LEVELS)  # refuses one that is too large
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


def notices(data: Prepared) -> list[str]:
    """Return what the user should know before the trials begin."""
    shapeless = (
        f"{data.name} has no image shape: flip_probability is 0 and no weight images are drawn."
    )
    unvalidated = data.unvalidated()
    lines = [shapeless if data.image_shape is None else None, unvalidated]
    return [line for line in lines if line is not None]
