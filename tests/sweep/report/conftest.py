"""Facts made by hand: a study that was confirmed and tested, and ways to know less of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sweep.analysis.boundary import Edge
from sweep.analysis.confirmation import BASELINE, Confirmation, Confirmed
from sweep.analysis.importance import Importance, Importances
from sweep.comparison import Answers, Comparison, Difference, Search
from sweep.report.facts import Command, Picture, Report, StudyFacts, TrialRow, Unknown
from sweep.search.trials import Tally
from sweep.space import BASELINES
from sweep.statistics.best_of import best_of
from sweep.statistics.intervals import Share
from sweep.statistics.outputs import Outputs
from sweep.statistics.paired import PairedDifference
from sweep.statistics.place import place_of

DOT = b"\x89PNG\r\n\x1a\n"


OUTPUTS = Outputs(
    name="softmax",
    right=[0, 70],
    wrong=[30, 0],
    counts=[0, 100],
    confidence=[None, 0.9],
    accuracy=[None, 0.7],
    calibration_error=0.2,
)


def trial_row(
    number, accuracy, *, status="complete", epochs=6, selected=False, level=False, reason=""
):
    facts = {
        "trial": number,
        "status": status,
        "reason": reason,
        "epochs": epochs,
        "val/accuracy": accuracy,
        "val/loss": None if accuracy is None else 1.0 - accuracy,
        "train/accuracy": accuracy,
        **BASELINES["softmax"],
    }
    return TrialRow(facts=facts, selected=selected, level=level)


@pytest.fixture
def confirmation():
    """Trial 2 wins by 3 points; the report's own setting spreads by 1 point; on five seeds."""
    seeds = [0.0, 0.01, 0.02, 0.01, 0.0]
    return Confirmation(
        metric="val/accuracy",
        direction="maximize",
        epochs=6,
        seeds=[1, 2, 3, 4, 5],
        finished=4,
        trials=[
            Confirmed(trial=2, search=0.9, values=[0.88 + seed for seed in seeds]),
            Confirmed(trial=0, search=0.8, values=[0.85 + seed for seed in seeds]),
        ],
        baseline=Confirmed(trial=BASELINE, search=math.nan, values=[0.70 + seed for seed in seeds]),
    )


@pytest.fixture
def edge():
    return Edge(
        name="learning_rate",
        side="high",
        bound=0.1,
        best_at_bound=True,
        top_there=2,
        top=3,
        all_there=4,
        compared=20,
        wider="learning_rate=0.0001:1:log",
    )


@pytest.fixture
def picture():
    return Picture(
        name="tiny-softmax-history",
        caption="How to read it.",
        alt="What it shows.",
        kind="png",
        content=DOT,
        width=900,
        height=430,
    )


@pytest.fixture
def study(make_config, confirmation, picture):
    """Return all that can be known of a study."""
    return StudyFacts(
        config=make_config(),
        tally=Tally(complete=2, pruned=1, failed=1, running=0),
        selected=2,
        setting=BASELINES["softmax"] | {"l2": 0.001},
        search=0.9,
        validation=Share.of(14, 15),
        trials=[
            trial_row(2, 0.9, selected=True, level=True),
            trial_row(0, 0.89, level=True),
            trial_row(1, None, status="failed", epochs=0, reason="the cost is nan"),
            trial_row(3, 0.1, status="pruned", epochs=2, reason="rung 2"),
        ],
        hidden=0,
        pruned={3: 2},
        confirmation=confirmation,
        rung=2,
        boundary=[],
        wider="",
        importances=Importances(
            ranked=[
                Importance(name="l2", share=0.6, low=0.4, high=0.8),
                Importance(name="learning_rate", share=0.4, low=0.2, high=0.6),
            ],
            alike=[],
        ),
        test=Share.of(82, 100),
        openings=1,
        environment={"python": "3.11.7", "numpy": "2.4.6", "machine": "Linux x86_64"},
        git={"commit": "c0ffee", "dirty": "False"},
        pictures=[picture],
    )


@pytest.fixture
def fresh(study):
    """Return the same study after its search, with nothing else done."""
    return replace(study, confirmation=None, test=None, openings=0)


@pytest.fixture
def empty(study):
    """Return a study without a complete trial."""
    return replace(
        study,
        tally=Tally(complete=0, pruned=0, failed=1, running=0),
        selected=None,
        setting={},
        search=None,
        validation=None,
        trials=[trial_row(0, None, status="failed", epochs=0, reason="the cost is nan")],
        confirmation=None,
        importances=Importances(ranked=[], alike=[], reason="0 trials reached epoch 2, 10 needed"),
        test=None,
        openings=0,
        environment={},
        git={},
        pictures=[],
    )


@pytest.fixture
def other(study, make_config):
    """Return a study of the other loss on the same rows."""
    return replace(study, config=make_config(loss="bce"))


def answers_of(study, right):
    search = Search(
        sampler="tpe",
        pruner="halving",
        epochs=6,
        complete=2,
        pruned=1,
        failed=1,
        best_of=best_of([0.5, 0.7], without=1),
        drawn_independently=False,
        rung=2,
        importances=study.importances,
        places=[
            place_of(study.config.space.axes[name], value) for name, value in study.setting.items()
        ],
    )
    return Answers(
        study=study.name,
        study_id="",
        loss=study.config.loss,
        trial=study.selected,
        grounds="",
        weights_digest="w",
        setting=dict(study.setting),
        seeds=5,
        confirmed_mean=None,
        confirmed_error=None,
        openings=1,
        train_accuracy=0.9,
        val=Share.of(14, 15),
        test=Share.of(right, 100),
        per_class=[Share.of(30, 40), None],
        confusion=[[30, 10], [0, 0]],
        outputs=[OUTPUTS],
        search=search,
    )


@pytest.fixture
def comparison(study, other):
    """Return a comparison of the two studies on 100 test rows, which shows a difference."""
    paired = PairedDifference(
        both=70,
        first_only=12,
        second_only=0,
        neither=18,
        difference=0.12,
        low=0.06,
        high=0.19,
        level=0.95,
        p_value=0.0005,
    )
    return Comparison(
        made="2026-01-01T00:00:00+00:00",
        data="tiny",
        data_digest="d" * 64,
        split_digest="5" * 64,
        test_digest="t" * 64,
        test_rows=100,
        class_names=["ant", "bee"],
        metric="val/accuracy",
        direction="maximize",
        answers=[answers_of(study, 82), answers_of(other, 70)],
        differences=[
            Difference(first=study.name, second=other.name, paired=paired, p_value=0.0005)
        ],
        caveats=["the searches were not of the same length"],
    )


@pytest.fixture
def make_report():
    """Return a function that makes a report of some studies, with texts of its own."""

    def make(*studies, **changes):
        facts = {
            "title": ", ".join(study.name for study in studies),
            "question": "Which is best?",
            "answer": "This one.",
            "unknowns": [Unknown("Whether it is luck.", "sweep confirm tiny-softmax")],
            "studies": list(studies),
            "comparison": None,
            "comparison_pictures": [],
            "commands": [Command("Search again.", "sweep run --study tiny-softmax")],
            "written": "Written on a day.",
        }
        return Report(**(facts | changes))

    return make


@pytest.fixture
def hostile():
    """Return a text that is markup in HTML, in Markdown, in a template and in a terminal."""
    return (
        "<script>alert('x')</script>\"'&amp;<img src=x onerror=alert(1)>{{ 7 * 7 }}{% raw %}"
        "|`x`|[a](http://a.example)![b](c)**d** _e_ ~~f~~ <!-- @who #1 $g$ \u202e\\"
    )


@pytest.fixture
def hostile_report(study, make_report, hostile):
    """Return a report in which every text that may come from outside is hostile."""
    rows = [
        replace(row, facts={**row.facts, "reason": hostile, "status": status})
        for row, status in zip(study.trials, (hostile, hostile, "failed", hostile), strict=True)
    ]
    data = replace(study.config.data, name=hostile, data_digest=hostile)
    facts = replace(
        study,
        config=replace(study.config, data=data),
        trials=rows,
        environment={f"{hostile}{number}": hostile for number in range(3)},
        git={"commit": hostile},
        pictures=[replace(each, alt=hostile, caption=hostile) for each in study.pictures],
    )
    return make_report(
        facts,
        title=hostile,
        question=hostile,
        answer=hostile,
        unknowns=[Unknown(hostile, hostile)],
        written=hostile,
    )
