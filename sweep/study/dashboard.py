"""The dashboards of studies: made when a study begins, renewed when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.figures.style import PALE, result_colours
from sweep.study.ending import Ending
from sweep.study.results import ending, ranked
from sweep.tracking.saved_view import save_view, untested_mlflow
from sweep.tracking.views import pair_view, study_view

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker


RUN_COLOUR = "mlflow.runColor"


def ensure_view(
    tracker: Tracker, study: OpenStudy, important: Iterable[str] | None = None
) -> str | None:
    """See to it that MLflow has the study's dashboard; return its key for the link.

    Parameters
    ----------
    tracker
        The experiment of the study.
    study
        Begun or finished.
    important
        The searched hyperparameters, the most important first, none where that cannot be told.
        Not given, as at the start: a dashboard that is there stays as it is.

    Returns
    -------
    None
        With a version of MLflow whose format of views was not tested: nothing is written.

    """
    if untested_mlflow():
        return None
    view = study_view(
        study.settings,
        study.tags,
        important=list(important or ()),
        image_step=1 if important is None else study.settings.epochs,
    )
    save_view(tracker, view, renew=important is not None)
    return view.key


def ensure_pair_view(tracker: Tracker, studies: tuple[OpenStudy, OpenStudy]) -> str | None:
    """See to it that MLflow has a page with two studies side by side; return its key.

    Raises
    ------
    SweepError
        Not two studies of the same data.

    """
    first, second = studies
    if first.identity == second.identity:
        raise SweepError(f"{first.name!r} and {second.name!r} are one study: name another")
    if first.settings.data.name != second.settings.data.name:
        raise SweepError(
            f"{first.name!r} is a study on {first.settings.data.name}, {second.name!r} one on "
            f"{second.settings.data.name}: MLflow lays only runs of one experiment side by side; "
            "open each with `sweep ui STUDY`"
        )
    if untested_mlflow():
        return None
    found = {run.data.tags.get("sweep.study_id", "") for run in tracker.runs(role="study")}
    others = sorted(found - {first.identity, second.identity, ""})
    view = pair_view([(each.settings, each.tags) for each in studies], others=others)
    save_view(tracker, view)
    return view.key


def colour_runs(tracker: Tracker, study: OpenStudy) -> None:
    """Give the trials' points and curves on the page their colours: the better, the darker.

    A run has one colour on all pages, so each study has a hue of its own, told by its turn in the
    experiment. Ranks decide, not values, so that the best are told apart; what ended otherwise is
    grey.
    """
    complete = [trial.number for trial in ranked(study) if ending(trial) == Ending.COMPLETE]
    turns = [run.data.tags.get("sweep.study_id") for run in tracker.runs(role="study")]
    turn = turns.index(study.identity) if study.identity in turns else len(turns)
    shades = dict(zip(complete, result_colours(len(complete), family=turn), strict=True))
    colours = {trial.number: PALE for trial in study.trials() if ending(trial)} | shades
    for run in tracker.runs(role="trial", **study.tags):
        colour = colours.get(int(run.data.tags["sweep.trial"]))
        if colour is not None and run.data.tags.get(RUN_COLOUR) != colour:
            with tracker.reaching():
                tracker.client.set_tag(run.info.run_id, RUN_COLOUR, colour)
