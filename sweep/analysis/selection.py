"""Which trial a study answers with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.analysis.confirmation import confirmation_of
from sweep.analysis.in_full import in_full
from sweep.errors import SweepError
from sweep.search.trials import Status, best_trial, tally

if TYPE_CHECKING:
    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord


def find_selected(study: StudyRecord) -> TrialRecord | None:
    """Return the trial that the study answers with; None before any is complete.

    That is the winner of its confirmation or, until there is one, the best by its objective. A
    winner that the search had pruned stands as it came out when it was trained in full.
    """
    confirmation = confirmation_of(study)
    if confirmation is not None:
        return in_full(study, study.trial(confirmation.winner.trial))
    return best_trial(study.config, study.trials())


def selected_trial(study: StudyRecord) -> TrialRecord:
    """Return the trial that the study answers with, see `find_selected`, or refuse."""
    selected = find_selected(study)
    if selected is None:
        counts = tally(study.trials())
        if counts.failed and not (counts.finished or counts.running):
            raise SweepError(
                f"study {study.name!r} has no complete trial: all {counts.failed} failed; "
                "begin a new one with --study and a narrower space, e.g. a lower learning_rate"
            )
        raise SweepError(
            f"study {study.name!r} has no complete trial yet; go on with `sweep run` as before"
        )
    return selected


def refuse_unfinished(study: StudyRecord, trial: TrialRecord) -> None:
    """Refuse a selected trial whose weights are not those of all epochs.

    A confirmation trains its winner in full where the search had pruned it, unless it is stopped.
    """
    if trial.status == Status.PRUNED:
        raise SweepError(
            f"trial {trial.number} of {study.name!r} was selected by its confirmation, but the "
            f"search pruned it at epoch {trial.epochs} of {study.config.epochs}, and it was not "
            f"trained to its end; `sweep confirm {study.name}` again does that"
        )


def grounds(study: StudyRecord) -> str:
    """Return in a phrase why the selected trial is the selected one."""
    confirmation = confirmation_of(study)
    if confirmation is None:
        return f"best by {study.config.objective}, not confirmed"
    later = tally(study.trials()).finished - confirmation.finished
    return f"confirmed on {len(confirmation.seeds)} fresh seeds" + (
        f", before the last {later} trials finished" if later > 0 else ""
    )
