"""Facts made by hand: a study that was confirmed and tested, and ways to know less of it."""

from __future__ import annotations

from dataclasses import replace

import comparisons
import pytest
from doubles import NoStore

from sweep.analysis import Edge, Importance, Importances
from sweep.report.facts import Command, Picture, Report, StudyFacts, TrialRow, Unknown
from sweep.search import course_of
from sweep.search.trials import Tally
from sweep.search_space import BASELINES
from sweep.statistics import Share

NEEDED = "rung 2: val/accuracy 0.1000, needed 0.5000 to be among the best 1 of 3 so far"
DOT = b"\x89PNG\r\n\x1a\n"


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
def no_store():
    return NoStore()


@pytest.fixture
def confirmation():
    """Trial 2 wins by 3 points; the report's own setting spreads by 1 point; on five seeds."""
    seeds = [0.0, 0.01, 0.02, 0.01, 0.0]
    return comparisons.confirmation(
        (2, 0.9, [0.88 + seed for seed in seeds]),
        (0, 0.8, [0.85 + seed for seed in seeds]),
        baseline=[0.70 + seed for seed in seeds],
        epochs=6,
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
def dot():
    return Picture(
        name="tiny-softmax-history",
        caption="How to read it.",
        alt="What it shows.",
        content=DOT,
        width=900,
        height=430,
    )


@pytest.fixture
def study(make_config, make_trial, confirmation, dot):
    """Return all that can be known of a study."""
    return StudyFacts(
        config=make_config(),
        tally=Tally(complete=2, pruned=1, failed=1, running=0),
        course=course_of(
            make_config(eta=2),
            [
                make_trial(0, [0.5] * 5 + [0.89]),
                make_trial(2, [0.6] * 5 + [0.9], index=1),
                make_trial(3, [0.1, 0.1], status="pruned", reason=NEEDED),
            ],
        ),
        selected=make_trial(
            2,
            [0.9],
            params={"l2": 0.001},
            environment={"python": "3.11.7", "numpy": "2.4.6", "machine": "Linux x86_64"},
        ),
        trials=[
            trial_row(2, 0.9, selected=True, level=True),
            trial_row(0, 0.89, level=True),
            trial_row(1, None, status="failed", epochs=0, reason="the cost is nan"),
            trial_row(3, 0.1, status="pruned", epochs=2, reason=NEEDED),
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
        git={"commit": "c0ffee", "dirty": "False"},
        pictures=[dot],
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
        course=course_of(study.config, []),
        selected=None,
        trials=[trial_row(0, None, status="failed", epochs=0, reason="the cost is nan")],
        confirmation=None,
        importances=Importances(ranked=[], alike=[], reason="0 trials reached epoch 2, 10 needed"),
        test=None,
        openings=0,
        git={},
        pictures=[],
    )


@pytest.fixture
def other(study, make_config):
    """Return a study of the other loss on the same rows."""
    return replace(study, config=make_config(loss="bce"))


@pytest.fixture
def comparison(study, other):
    """Return a comparison of the two studies on 100 test rows, which shows a difference."""
    first, second = study.name, other.name
    same = {"trial": 2, "train_accuracy": 0.9, "val": Share.of(14, 15)}
    ends = {"first_only": 12, "second_only": 0, "low": 0.06, "high": 0.19}
    return comparisons.comparison(
        [comparisons.answers(first, 82, **same), comparisons.answers(second, 70, **same)],
        [comparisons.difference(first, second, 0.12, 0.0005, **ends)],
        test_rows=100,
    )


@pytest.fixture
def searched(make_study, make_config, make_trial):
    """Return a study of three complete trials and one that was pruned, on record."""
    accuracies = {0: [0.5, 0.6], 1: [0.5, 0.8], 2: [0.5, 0.7]}
    trials = [
        make_trial(number, values, params={"l2": 0.01 * (1 + number)})
        for number, values in accuracies.items()
    ]
    trials.append(make_trial(3, [0.9], status="pruned", reason="rung 1"))
    return make_study(make_config(epochs=2), trials)


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
            "commands": [Command("Search again.", "sweep run tiny-softmax")],
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
        selected=replace(
            study.selected, environment={f"{hostile}{number}": hostile for number in range(3)}
        ),
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
