"""What the chosen trial of a study answers on the test rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sweep.comparison.outputs import outputs_of
from sweep.comparison.parts import Answers
from sweep.comparison.search import describe_search
from sweep.statistics.share import Share
from sweep.study import attributes
from sweep.study.confirmation import confirmation_of
from sweep.study.results import grounds, last_value
from sweep_model.metrics import confusion

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from sweep.study.opening import OpenStudy
    from sweep_model.arrays import Floats, Labels


def describe_answers(
    study: OpenStudy,
    trial: FrozenTrial,
    scores: Floats,
    labels: Labels,
    *,
    metric: str,
    openings: int,
) -> Answers:
    """Describe a trial's scores (n, k) of the test rows with labels (n,), and its search."""
    from sweep_model.losses import LOSSES

    settings = study.settings
    counts = confusion(scores.argmax(axis=1), labels, scores.shape[1])
    right, rows = counts.diagonal().tolist(), counts.sum(axis=1).tolist()
    seeds, mean, error = _confirmed(study, trial)
    val_rows = settings.data.val_size
    return Answers(
        study=study.name,
        study_id=study.identity,
        loss=settings.loss,
        trial=trial.number,
        grounds=grounds(study),
        weights_digest=trial.user_attrs[attributes.WEIGHTS_DIGEST],
        setting={name: float(value) for name, value in trial.params.items()},
        seeds=seeds,
        confirmed_mean=mean,
        confirmed_error=error,
        openings=openings,
        train_accuracy=last_value(trial, "train/accuracy"),
        val=Share.of(round(last_value(trial, "val/accuracy") * val_rows), val_rows),
        test=Share.of(sum(right), sum(rows)),
        per_class=[Share.of_some(*pair) for pair in zip(right, rows, strict=True)],
        confusion=counts.tolist(),
        outputs=outputs_of(scores, labels, LOSSES[settings.loss]),
        search=describe_search(study, trial, metric),
    )


def _confirmed(study: OpenStudy, trial: FrozenTrial) -> tuple[int, float | None, float | None]:
    """Return on how many seeds the trial was confirmed, its mean and its standard error."""
    found = confirmation_of(study)
    for one in found.trials if found is not None else ():
        if one.trial == trial.number:
            known = [None if math.isnan(x) else x for x in (one.mean, one.standard_error)]
            return len(one.values), known[0], known[1]
    return 0, None, None
