"""Make MLflow's copy of each study agree with its record again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.doctor.agreement import Remedy
from sweep.doctor.studies import compare, read_copy
from sweep.study.keeper import Keeper
from sweep.study.lock import study_lock
from sweep.study.material import reopen_data, reopen_source
from sweep.study.reconcile import reconcile
from sweep.study.results import tally
from sweep.study.storage import making_stores
from sweep.study.study_run import open_study_run
from sweep.study.training_run import WHOLE
from sweep.tracking.tracker import Tracker

if TYPE_CHECKING:
    from sweep.study.opening import OpenStudy


@dataclass(frozen=True)
class Repaired:
    """What was done to the runs of a study.

    Attributes
    ----------
    changes
        How many runs were begun, completed or ended.
    anew
        The trials whose wrong runs were deleted; the new ones have no images and no weights.

    """

    changes: int
    anew: tuple[int, ...] = ()


def repair(study: OpenStudy, uri: str) -> Repaired:
    """Repair one study under its lock.

    What waits in the study's outbox is sent first. Trials that were left in training go on with the
    next `sweep run`; their runs are KILLED until then. A run that says something wrong
    is deleted, which `mlflow runs restore` undoes, and made anew from the record.

    Raises
    ------
    SweepError
        Another process runs the study, or its data are not to be found.

    """
    settings = study.settings
    with study_lock(study.name):
        with making_stores():
            tracker = Tracker(settings.data.name, uri=uri)
        Keeper(study, tracker).courier.send_left()
        copy = read_copy(study, uri)
        found = compare(study, copy)
        left = [run for run in copy.of_role("study") if run.info.status == "RUNNING"]
        if not found and not left:
            return Repaired(0)
        data = reopen_data(settings.data, reopen_source(settings.data))
        replaced = {one.run for one in found if one.remedy == Remedy.REPLACE and one.run}
        completed = {one.run for one in found if one.remedy == Remedy.COMPLETE and one.run}
        with tracker.reaching():
            for run in replaced:
                tracker.client.delete_run(run)
            for run in completed - replaced:
                tracker.client.delete_tag(run, f"sweep.{WHOLE}")
        parent = open_study_run(study, tracker, data)
        changes = reconcile(study, parent, data)
        parent.end("KILLED" if tally(study.trials()).running else "FINISHED")
        anew = {one.trial for one in found if one.run in replaced}
        return Repaired(changes + len(left), tuple(sorted(anew)))
