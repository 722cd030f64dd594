"""The dashboards of studies: made when a study begins, renewed when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.figures.style import PALE, result_colours
from sweep.search.trials import Status, complete, ranked
from sweep.tracking.saved_view import save_view, untested_mlflow
from sweep.tracking.views import pair_view, study_view

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sweep.search.record import StudyRecord
    from sweep.tracking.tracker import Tracker


RUN_COLOUR = "mlflow.runColor"


def ensure_view(
    tracker: Tracker, study: StudyRecord, important: Iterable[str] | None = None
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
        study.config,
        study.tags,
        important=list(important or ()),
        image_step=1 if important is None else study.config.epochs,
    )
    save_view(tracker, view, renew=important is not None)
    return view.key


def ensure_pair_view(tracker: Tracker, studies: tuple[StudyRecord, StudyRecord]) -> str | None:
    """See to it that MLflow has a page with two studies side by side; return its key.

    Raises
    ------
    SweepError
        Not two studies of the same data.

    """
    first, second = studies
    if first.identity == second.identity:
        raise SweepError(f"{first.name!r} and {second.name!r} are one study: name another")
    if first.config.data.name != second.config.data.name:
        raise SweepError(
            f"{first.name!r} is a study on {first.config.data.name}, {second.name!r} one on "
            f"{second.config.data.name}: MLflow lays only runs of one experiment side by side; "
            "open each with `sweep ui STUDY`"
        )
    if untested_mlflow():
        return None
    found = {run.data.tags.get("sweep.study_id", "") for run in tracker.runs(role="study")}
    others = sorted(found - {first.identity, second.identity, ""})
    view = pair_view([(each.config, each.tags) for each in studies], others=others)
    save_view(tracker, view)
    return view.key


def colour_runs(tracker: Tracker, study: StudyRecord) -> None:
    """Give the trials' points and curves on the page their colours: the better, the darker.

    A run has one colour on all pages, so each study has a hue of its own, told by its turn in the
    experiment. Ranks decide, not values, so that the best are told apart; what ended otherwise is
    grey.
    """
    trials = study.trials()
    best_first = [trial.number for trial in complete(ranked(study.config, trials))]
    turns = [run.data.tags.get("sweep.study_id") for run in tracker.runs(role="study")]
    turn = turns.index(study.identity) if study.identity in turns else len(turns)
    shades = dict(zip(best_first, result_colours(len(best_first), family=turn), strict=True))
    ended = [trial.number for trial in trials if trial.status != Status.RUNNING]
    colours = dict.fromkeys(ended, PALE) | shades
    for run in tracker.runs(role="trial", **study.tags):
        colour = colours.get(int(run.data.tags["sweep.trial"]))
        if colour is not None and run.data.tags.get(RUN_COLOUR) != colour:
            with tracker.reaching():
                tracker.client.set_tag(run.info.run_id, RUN_COLOUR, colour)
