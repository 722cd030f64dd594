"""Comparisons and confirmations made by hand, of studies that nobody trained."""

import math
from dataclasses import replace

from sweep.analysis import Answers, Comparison, Confirmation, Confirmed, Difference, Search
from sweep.statistics import Outputs, PairedDifference, Share, best_of

OUTPUTS = Outputs(name="softmax", right=[0, 70], wrong=[30, 0], calibration_error=0.2)


def answers(study, right, rows=100, **changes):
    """Return what the selected trial of a study answers on so many test rows."""
    plain = Answers(
        study=study,
        study_id=f"id of {study}",
        loss="softmax",
        trial=3,
        weights_digest="w" * 64,
        setting={"l2": 0.1},
        seeds=0,
        confirmed_mean=None,
        confirmed_error=None,
        openings=1,
        train_accuracy=0.8,
        val=Share.of(7, 10),
        test=Share.of(right, rows),
        per_class=[Share.of(right, rows), None],
        confusion=[[right, rows - right], [0, 0]],
        outputs=[OUTPUTS],
        search=Search(
            complete=3,
            pruned=1,
            failed=0,
            best_of=best_of([0.5, 0.7], without=1),
            drawn_independently=False,
        ),
    )
    return replace(plain, **changes)


def difference(first, second, points, p_value, *, half=0.05, **changes):
    """Return how two studies differ, with an interval of so much to both sides."""
    paired = PairedDifference(
        both=50,
        first_only=20,
        second_only=10,
        neither=20,
        difference=points,
        low=points - half,
        high=points + half,
        level=0.95,
        p_value=p_value,
    )
    paired = replace(paired, **changes)
    return Difference(first=first, second=second, paired=paired, p_value=p_value)


def comparison(studies, differences, **changes):
    """Return a comparison of studies on 1,000 test rows."""
    plain = Comparison(
        made="2024-01-02T03:04:05+00:00",
        data="digits",
        data_digest="d" * 64,
        split_digest="5" * 64,
        test_digest="7" * 64,
        test_rows=1000,
        class_names=["cat", "dog"],
        metric="val/accuracy",
        direction="maximize",
        answers=studies,
        differences=differences,
        caveats=["a caveat"],
    )
    return replace(plain, **changes)


def confirmation(*trials, baseline=(0.5, 0.5), **changes):
    """Return a confirmation of trials: number, value in the search, values on fresh seeds."""
    plain = Confirmation(
        metric="val/accuracy",
        direction="maximize",
        epochs=2,
        seeds=list(range(1, 1 + len(baseline))),
        finished=4,
        trials=[Confirmed(trial=n, search=value, values=list(seen)) for n, value, seen in trials],
        baseline=Confirmed(trial=None, search=math.nan, values=list(baseline)),
    )
    return replace(plain, **changes)
