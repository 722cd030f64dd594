"""From what the user asks for, what is recorded and what is usual to a study's config and rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from sweep.config import (
    LOSSES,
    NORMALISATIONS,
    TRIALS,
    USUAL,
    StudyConfig,
    check_study_name,
    default_lanes,
    default_slots,
    normalisations_of,
)
from sweep.data import (
    auto_notice,
    check_split,
    choose_data,
    open_source,
    reopen_source,
    repeats_notice,
)
from sweep.errors import SweepError
from sweep.search import (
    GRID_LEVELS,
    find_study,
    open_storage,
    open_study,
    refuse_other_config,
    refuse_running,
    row_weights,
    study_names,
)
from sweep.search_space import DEFAULT_SPACES, NORMALISE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sweep.config import DataConfig
    from sweep.data import Data, Prepared, Source
    from sweep.search import StudyRecord
    from sweep.search_space import Axis, Space
    from sweep.workspace import Workspace


TOP_CLASSES = 5
"""Of `--objective val-top5-accuracy`."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study that is to run, before its rows are read.

    Attributes
    ----------
    study
        Its name.
    trials
        How many are to be finished.
    source
        Of its rows.
    base
        The study itself, if it has begun, or the one that it is to be like.
    same_rows
        Whether the rows are those of `base`.
    notices
        What the user should know, in a line each.
    split
        What parts the rows, see `sweep.data.split_rows`; None: as before, or as usual.

    """

    study: str
    trials: int
    source: Source
    base: StudyRecord | None
    same_rows: bool
    notices: list[str]
    split: Mapping[str, int | None]
    normalise: tuple[str, ...] | None
    axes: Mapping[str, Axis]
    settings: Mapping[str, Any]

    @property
    def begun(self) -> StudyConfig | None:
        """The config that the study was begun with; None in a new study."""
        return self.base.config if self.base and self.base.name == self.study else None

    @property
    def experiment(self) -> str:
        """What MLflow calls the data; a file that was renamed keeps its name."""
        return self.source.name if self.begun is None else self.begun.data.name

    def settle(self) -> tuple[StudyConfig, Prepared]:
        """Read the rows, and return them with the config.

        Raises
        ------
        SweepError
            The rows or a value are refused, or the study was begun with another config.

        """
        base, (choice, rows) = self.base, self._choose_data()
        loss = self.settings.get("loss", LOSSES[0])
        known = self.begun or (base.config if base else None)
        if known is None:
            space, slots = DEFAULT_SPACES[loss], default_slots(self.trials)
            known = StudyConfig(
                study=self.study, loss=loss, data=choice, space=space, slots=slots, lanes=1, **USUAL
            )
        if self.begun is not None and choice.is_same(self.begun.data):
            choice = replace(choice, name=self.begun.data.name)
        settings = {"slots": known.slots, **self.settings}
        lanes = default_lanes(len(rows.class_names), settings["slots"] * max(1, choice.folds))
        config = replace(
            known,
            **settings,
            study=self.study,
            data=choice,
            space=self._space(known, rows),
            lanes=lanes if self.begun is None else known.lanes,
        )
        if "top5_accuracy" in config.further and len(rows.class_names) <= TOP_CLASSES:
            raise SweepError(
                f"--objective {config.objective}: {rows.name} has {len(rows.class_names)} classes, "
                "so every row's own is among the top 5; choose another objective"
            )
        row_weights(config.class_weight, rows)  # refuses other than one for each class
        if config.sampler == "grid":
            config.space.grid(GRID_LEVELS)  # refuses one that is too large
        if self.begun is not None:
            refuse_other_config(self.begun, config)
        if rows.image_shape is None:
            self.notices.append(
                f"{rows.name} has no image shape: flip_probability is 0 and no weight images are "
                "drawn."
            )
        self.notices.extend(rows.notices)
        return config, rows

    def _choose_data(self) -> tuple[DataConfig, Prepared]:
        """Read the rows, split as is asked for, or as those of `base` were."""
        split: dict[str, Any] = dict(self.split)
        if self.base is not None and self.same_rows:
            before, seed = self.base.config.data.split, split.pop("split_seed")
            if all(value is None for value in split.values()):
                split |= before
            split["split_seed"] = before["split_seed"] if seed is None else seed
        split["split_seed"] = split["split_seed"] or 0
        choice, rows = choose_data(
            self.source,
            **split,
            normalise=self.normalise
            or (self.base.config.data.normalise if self.base else NORMALISATIONS[0]),
            mirrored=True,
        )
        if notice := repeats_notice(choice, usual=split["folds"] is None):
            refit = " `sweep test --refit` trains one on all rows." if choice.folds else ""
            self.notices.append(notice + refit)
        return choice, rows

    def _space(self, known: StudyConfig, rows: Prepared) -> Space:
        """Return the space with the axes asked for, and without flips where rows are no images."""
        loss = self.settings.get("loss", known.loss)
        default = DEFAULT_SPACES[loss]
        space = (known.space if loss == known.loss else default).replace(self.axes)
        if rows.image_shape is not None:
            return space
        unflipped, flips = space.without_flips(), self.axes.get("flip_probability")
        harmless = [each.axes["flip_probability"] for each in (default, unflipped)]
        if flips is not None and flips not in harmless:
            raise SweepError(
                f"{rows.name} has no image shape, so there is nothing to flip: got "
                f"flip_probability={flips}; leave it out, or give X the "
                "shape (n, height, width) or (n, height, width, channels)"
            )
        return unflipped


def plan_study(
    workspace: Workspace,
    study: str | None = None,
    *,
    like: str | None = None,
    trials: int | None = None,
    data: Data | None = None,
    data_dir: Path | None = None,
    val_size: int | None = None,
    folds: int | None = None,
    few_shot: int | None = None,
    draws: int | None = None,
    split_seed: int | None = None,
    normalise: str | Sequence[str] | None = None,
    axes: Mapping[str, Axis] | None = None,
    **settings: Any,
) -> Plan:
    """Return what `sweep run` is to do; nothing is written.

    What is None is as the study records it; in a new study as in the one that it is `like`, else as
    usual. `settings` are the other parts of a `StudyConfig`.

    Raises
    ------
    SweepError
        A name is refused, another process runs the study, or the data are not there.

    """
    given = {name: value for name, value in settings.items() if value is not None}
    split = {"val_size": val_size, "folds": folds, "few_shot": few_shot, "draws": draws}
    check_split(**split)
    if normalise is None and axes is not None and NORMALISE in axes:  # of another study's space
        normalise = str(axes[NORMALISE])
    ways = None if normalise is None else normalisations_of(normalise)
    loss = given.get("loss", LOSSES[0])
    if loss not in LOSSES:
        raise SweepError(f"loss must be one of {', '.join(LOSSES)}: got {loss!r}")
    base: StudyRecord | None = None
    if study is not None:
        check_study_name(study)
        base = find_study(study, workspace)
        if base is None and like is not None:
            base = open_study(like, workspace)
    elif like is not None:
        raise SweepError(f"a study like {like!r} needs a name: sweep run NAME --like {like}")
    same_rows = base is not None and data is None
    if base is not None and (same_rows or base.name == study):
        source = reopen_source(base.config.data, data_dir, data)
    else:
        data = "auto" if data is None else data
        source = open_source(data, data_dir)
    named = study is not None
    if study is None:
        study = f"{source.name}-{loss}"
        base = find_study(study, workspace)
    refuse_running(workspace, study)  # before its rows are read, which takes seconds
    return Plan(
        study=study,
        trials=trials or _goal(base),
        source=source,
        base=base,
        same_rows=same_rows or (base is not None and base.name == study),
        notices=[
            *([auto_notice(source, data_dir)] if data == "auto" else []),
            *([_new_study(study, workspace)] if named and base is None else []),
        ],
        split={**split, "split_seed": split_seed},
        normalise=ways,
        axes=axes or {},
        settings=given,
    )


def _new_study(name: str, workspace: Workspace) -> str:
    """Return a line for a study that begins: its name may be a slip."""
    existing = []
    if workspace.optuna_database.exists():
        existing = study_names(open_storage(workspace), workspace)
    close = get_close_matches(name, existing, n=1)
    return f"A new study begins: {name!r}{f'; did you mean {close[0]!r}?' if close else ''}"


def _goal(study: StudyRecord | None) -> int:
    """Return how many trials a study was to have; the last budget may be 0, after a time-out."""
    goals = [] if study is None else [each.trials for each in study.budgets() if each.trials]
    return goals[-1] if goals else TRIALS
