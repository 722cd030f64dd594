"""From what the user asked for to the settings of a study and the rows it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.engine import blocking_of
from sweep.errors import SweepError
from sweep.layout import LayoutChoice
from sweep.settings import Settings, check_study_name
from sweep.space import read_space
from sweep.study.ledger import GRID_LEVELS
from sweep.study.material import choose_data

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.data import Prepared, Source
    from sweep.space import Space

SLOW_BLOCK, FEW_ROWS = 16, 5_000
"""Fewer rows at a time than this are slow, which few rows make up for."""


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
    layout: LayoutChoice = LayoutChoice()  # noqa: RUF009 - frozen

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

    def settle(self, source: Source, *, trials: int) -> tuple[Settings, Prepared]:
        """Load the rows and return them with the study's settings; the layout suits the trials."""
        choice, data = choose_data(
            source,
            val_size=self.val_size,
            split_seed=self.split_seed,
            given=self.data,
            mirrored=True,
        )
        settings = Settings(
            study=self.name(source),
            loss=self.loss,
            epochs=self.epochs,
            seed=self.seed,
            sampler=self.sampler,
            pruner=self.pruner,
            objective=self.objective,
            data=choice,
            space=self._space(data),
            layout=self.layout.settle(trials=trials, classes=len(data.class_names)),
        )
        return settings, data

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

    def notices(self, settings: Settings, data: Prepared) -> list[str]:
        """Return what the user should know before the trials begin."""
        notices = []
        if data.image_shape is None:
            notices.append(
                f"{data.name} has no image shape: flip_probability is 0 and no weight images are "
                "drawn."
            )
        unvalidated = data.unvalidated()
        if unvalidated is not None:
            notices.append(unvalidated)
        blocking = blocking_of(settings.space)
        if blocking.block < SLOW_BLOCK and len(data.training.labels) > FEW_ROWS:
            notices.append(
                f"batch_size={settings.space.axes['batch_size']}: trials share the rows "
                f"{blocking.block} at a time, so this will be slow; sizes that divide each other, "
                "such as --set batch_size=25,50,100,200, go 100 at a time."
            )
        return notices
