"""The dashboards of one study and of two side by side, and the colours of their trials."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from sweep.errors import SweepError
from sweep.search_space import Range
from sweep.tracking.undocumented import (
    RUN_COLOUR,
    View,
    bars,
    curves,
    images,
    metric,
    parallel,
    parameter,
    save_view,
    scatter,
    sections,
    untested_mlflow,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweep.config import StudyConfig
    from sweep.tracking.client import Tracker
    from sweep.tracking.undocumented import Axis, Card

    Study = tuple[StudyConfig, Mapping[str, str]]
    """Config of a study, and the tags that its runs carry, see `StudyRecord.tags`."""

LOGARITHMIC: Final = {"l2": "log10_l2", "learning_rate": "log10_learning_rate"}
"""Parameters that are also logged as their logarithm: the page's axes are linear."""
SHOWN: Final = 2
"""How many hyperparameters get a chart of their own."""
WEIGHTS: Final = "weights"
"""The key under which weight images are logged."""
WEIGHTS_SECTION: Final = "Weights, the best trial last"
"""Said of the page's first ten trials; of two studies those of the better one come first."""
IMAGES_HEIGHT: Final = 1900
"""Pixels for ten images in rows of two; in less the last is hidden, which is the best."""
TRIALS_ONLY: Final = "tags.`sweep.role` = 'trial'"


def ensure_view(
    tracker: Tracker,
    config: StudyConfig,
    tags: Mapping[str, str],
    important: Iterable[str] | None = None,
) -> str | None:
    """See to it that MLflow has the study's dashboard; return its key for the link.

    With a version of MLflow whose format of views was not tested nothing is written.

    Parameters
    ----------
    tracker
        The experiment of the study.
    config, tags
        The study's.
    important
        The searched hyperparameters, the most important first, none where that cannot be told.
        Not given, as at the start: a dashboard that is there stays as it is.

    """
    if untested_mlflow():
        return None
    step = 1 if important is None else config.epochs
    view = study_view(config, tags, important=list(important or ()), image_step=step)
    save_view(tracker, view, renew=important is not None)
    return view.key


def ensure_pair_view(tracker: Tracker, studies: Sequence[Study]) -> str | None:
    """See to it that MLflow has a page with two studies side by side; return its key.

    Raises
    ------
    SweepError
        Not two studies of the same data.

    """
    (first, tags), (second, more_tags) = studies
    identities = {tags["study_id"], more_tags["study_id"]}
    if len(identities) == 1:
        raise SweepError(f"{first.study!r} and {second.study!r} are one study: name another")
    if first.data.name != second.data.name:
        raise SweepError(
            f"{first.study!r} is a study on {first.data.name}, {second.study!r} one on "
            f"{second.data.name}: MLflow lays only runs of one experiment side by side; "
            "open each with `sweep ui STUDY`"
        )
    if untested_mlflow():
        return None
    view = pair_view(studies, others=sorted({*study_ids(tracker)} - identities))
    save_view(tracker, view)
    return view.key


def study_ids(tracker: Tracker) -> list[str]:
    """Return the identity of each study of the experiment, the oldest first."""
    ids = (run.data.tags.get("sweep.study_id") for run in tracker.runs(role="study"))
    return [identity for identity in ids if identity]


def study_figures(tracker: Tracker, tags: Mapping[str, str]) -> str:
    """Return the tag by which a study's run tells of which trials it has figures; else nothing."""
    runs = tracker.runs(role="study", **tags)
    return str(runs[0].data.tags.get("sweep.figures", "")) if runs else ""


def colour_runs(tracker: Tracker, tags: Mapping[str, str], colours: Mapping[int, str]) -> None:
    """Give trials of a study their colours on all pages, by number; only changes are written."""
    for run in tracker.runs(role="trial", **tags):
        colour = colours.get(int(run.data.tags["sweep.trial"]))
        if colour is not None and run.data.tags.get(RUN_COLOUR) != colour:
            with tracker.reaching():
                tracker.client.set_tag(run.info.run_id, RUN_COLOUR, colour)


def study_view(
    config: StudyConfig,
    tags: Mapping[str, str],
    *,
    important: Sequence[str] = (),
    image_step: int = 1,
) -> View:
    """Return the dashboard of a study: its trials, the best first, with all their charts.

    `image_step` is the epoch at which the slider of the weight images stands at first.
    """
    varied, result = config.space.varied(), metric(_result(config))
    title = "The most important hyperparameters" if important else "Hyperparameters"
    axes = [_axis(config, name) for name in varied]
    layout = sections(
        ("Settings and results", 1, 400, _parallel(axes, result)),
        (title, 2, 360, _scatters(config, important or varied, result)),
        ("Learning curves", 2, 360, _learning_curves(config)),
        (WEIGHTS_SECTION, 1, IMAGES_HEIGHT, _images(config, image_step)),
    )
    conditions = [f"tags.`sweep.{name}` = '{value}'" for name, value in tags.items()]
    state = _page(config, [TRIALS_ONLY, *conditions]) | layout
    return View(f"sweep-{tags['study_id']}", f"{config.study}: dashboard", state)


def pair_view(studies: Sequence[Study], *, others: Iterable[str] = ()) -> View:
    """Return two studies of one experiment side by side: a group of trials for each.

    `others` is the `study_id` of each further study of the experiment: MLflow's filters know no
    "or", so all other trials are left out one study at a time.
    """
    (first, tags), (second, more_tags) = studies
    varied = dict.fromkeys(first.space.varied() + second.space.varied())
    apart = ["loss"] if first.loss != second.loss else []
    result = metric(_result(first))
    axes = [*apart, *(_axis(first, name) for name in varied)]
    strips = [scatter(parameter(name), result) for name in apart]
    layout = sections(
        ("Settings and results", 1, 400, _parallel(axes, result)),
        ("Results", 2, 360, [*strips, bars(result["key"])]),
        ("Hyperparameters", 2, 360, _scatters(first, list(varied), result)),
        ("Learning curves", 2, 360, _learning_curves(first)),
        (WEIGHTS_SECTION, 1, IMAGES_HEIGHT, _images(first, first.epochs)),
    )
    grouped = {
        "groupBy": {
            "aggregateFunction": "max" if first.direction == "maximize" else "min",
            "groupByKeys": [{"mode": "tag", "groupByData": "sweep.study"}],
        },
        "useGroupedValuesInCharts": False,  # else a study would be a single line or point
    }
    conditions = [f"tags.`sweep.study_id` != '{identity}'" for identity in others]
    both = " ".join([tags["study_id"], more_tags["study_id"]])
    key = f"sweep-{hashlib.sha256(both.encode()).hexdigest()[:16]}"
    state = _page(first, [TRIALS_ONLY, *conditions]) | layout | grouped
    return View(key, f"{first.study} beside {second.study}", state)


def _result(config: StudyConfig) -> str:
    """Return the metric that a chart shows as a trial's result."""
    return "best/val_accuracy" if config.objective == "val-accuracy" else config.metric


def _parallel(axes: Sequence[str], result: Axis) -> list[Card]:
    return [parallel(axes, result["key"])] if axes else []


def _scatters(config: StudyConfig, names: Sequence[str], result: Axis) -> list[Card]:
    return [scatter(parameter(_axis(config, name)), result) for name in names[:SHOWN]]


def _images(config: StudyConfig, step: int) -> list[Card]:
    """Return the weight images; rows without an image shape have none, and are never mirrored."""
    never_mirrored = config.space.axes["flip_probability"].points(2) == (0.0,)
    return [] if never_mirrored else [images(WEIGHTS, step)]


def _axis(config: StudyConfig, name: str) -> str:
    """Return what to plot of a hyperparameter: its logarithm where it is searched on that scale."""
    axis = config.space.axes[name]
    return LOGARITHMIC.get(name, name) if isinstance(axis, Range) and axis.log else name


def _learning_curves(config: StudyConfig) -> list[Card]:
    return [
        *([] if config.metric in ("val/accuracy", "val/loss") else [curves(config.metric)]),
        curves("val/accuracy"),
        curves("val/loss", log=True),
        curves("train/loss", "val/loss", log=True),
        scatter(metric("train/loss"), metric("val/loss")),
    ]


def _page(config: StudyConfig, conditions: Sequence[str]) -> dict[str, Any]:
    """Return which runs stand on the page, in which order and columns."""
    final = f"final/{config.metric.replace('/', '_')}"  # complete trials alone have it: others last
    metrics = dict.fromkeys([final, "best/val_accuracy", "val/accuracy", "val/loss", config.metric])
    # of a small number the table hides the exponent, so it gets the logarithm, too
    parameters = [_axis(config, name) for name in config.space.varied()]
    columns = [f"metrics.`{name}`" for name in metrics]
    columns += [f"params.`{name}`" for name in parameters]
    return {
        "searchFilter": " and ".join(conditions),
        "orderByKey": f"metrics.`{final}`",
        "orderByAsc": config.direction == "minimize",
        "selectedColumns": ["attributes.`Duration`", "tags.`sweep.status`", *columns],
        "runsHiddenMode": "SHOW_ALL",  # the default shows the charts of ten runs
        "hideEmptyCharts": True,
    }
