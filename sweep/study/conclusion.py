"""What a study says of itself once its trials are done: figures, note, champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.errors import StoreUnreachableError, SweepError
from sweep.study.champion import crown_chosen
from sweep.study.study_run import log_overview

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.study.opening import OpenStudy
    from sweep.tracking.run import Run


def conclude(parent: Run, study: OpenStudy, warned: Callable[[str], None]) -> None:
    """Log the overview of all trials, and register the chosen one's classifier."""
    log_overview(parent, study)
    try:
        crown_chosen(study, parent.tracker)
    except StoreUnreachableError:
        raise
    except SweepError as error:  # the study is done all the same
        warned(f"no champion is registered: {error}")
