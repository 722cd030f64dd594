from dataclasses import replace

import pytest

from sweep.report import collect
from sweep.report.collect import collect as collected
from sweep.report.html import render_html
from sweep.report.markdown import render_markdown
from sweep.study import attributes
from sweep.study.passes import Budget


@pytest.fixture
def loop(tiny_study, no_figures, monkeypatch):
    """Return the loop of a study with three complete trials, of which nothing is drawn."""
    del no_figures
    monkeypatch.setattr(collect, "study_pictures", lambda *_: [])
    loop = tiny_study()
    loop.run(Budget(3))
    return loop


@pytest.fixture
def report(loop):
    """Return a function that collects what is known now."""
    return lambda: collected([loop.study], {"tiny-softmax": loop.tracker})


def record(loop, key, value):
    loop.study.optuna.set_user_attr(key, value)


def test_a_searched_study_answers_with_its_best_and_says_what_is_open(loop, report):
    best = max(loop.study.trials(), key=lambda trial: trial.value)
    facts = report()
    (study,) = facts.studies
    assert (study.chosen, study.search, study.setting) == (best.number, best.value, best.params)
    assert study.validation.rows == 18
    assert study.validation.value == pytest.approx(best.value)
    assert [row.facts["trial"] for row in study.trials if row.chosen] == [best.number]
    assert len(study.trials) == 3
    assert [unknown.command for unknown in facts.unknowns] == [
        "sweep confirm tiny-softmax",
        "sweep test tiny-softmax",
    ]
    assert facts.title == "tiny-softmax"
    assert facts.comparison is None


def test_versions_come_from_the_trial_and_the_commit_from_the_studys_run(loop, report):
    (run,) = loop.tracker.runs(role="study")
    (study,) = report().studies
    assert study.environment["python"]
    assert study.git.get("commit") == run.data.tags.get("sweep.git.commit")


def test_a_store_without_the_studys_run_knows_no_commit(loop, report):
    (run,) = loop.tracker.runs(role="study")
    loop.tracker.client.delete_run(run.info.run_id)
    assert report().studies[0].git == {}


def test_the_last_look_at_the_test_rows_counts_if_it_was_the_chosen_trials(loop, report):
    chosen = report().studies[0].chosen
    result = {"accuracy": 6 / 9, "low": 0.1, "high": 0.9, "rows": 9, "per_class": {}}
    openings = [
        {"trial": chosen, "time": "", "result": {**result, "accuracy": 3 / 9}},
        {"trial": chosen, "time": "", "result": result},
        {"trial": chosen + 1, "time": "", "result": {**result, "accuracy": 1.0}},
        {"trial": chosen, "time": ""},  # seen by a process that died before it could record it
    ]
    record(loop, attributes.TEST_OPENINGS, openings)
    (study,) = report().studies
    assert (study.test.right, study.test.rows, study.openings) == (6, 9, 4)


def test_trials_within_the_noise_floor_of_the_best_score_are_level(loop, report, confirmation):
    scores = sorted((trial.value, trial.number) for trial in loop.study.trials())
    chosen = scores[0][1]
    winner = replace(confirmation.winner, trial=chosen)
    record(loop, attributes.CONFIRMATION, replace(confirmation, trials=[winner]).record())
    (study,) = report().studies
    assert study.chosen == chosen
    floor, best = confirmation.noise_floor, scores[-1][0]
    assert {row.facts["trial"] for row in study.trials if row.level} == {
        number for score, number in scores if best - score <= floor
    }


def test_too_many_trials_are_cut_and_counted(report, monkeypatch):
    monkeypatch.setattr(collect, "MOST_TRIALS", 1)
    (study,) = report().studies
    assert (len(study.trials), study.hidden) == (1, 2)
    assert study.trials[0].chosen


def test_what_was_collected_can_be_shown_in_both_formats(report):
    facts = report()
    assert facts.answer in render_html(facts).text.replace("\u00a0", " ")
    assert facts.unknowns[0].command in render_markdown(facts, folder="figures").text


def test_a_study_without_trials_has_nothing_to_say_but_that(tiny_study):
    loop = tiny_study()
    facts = collected([loop.study], {"tiny-softmax": loop.tracker})
    assert facts.answer == "Not known yet: no trial is complete."
    assert facts.studies[0].trials == facts.studies[0].pictures == []
    assert render_html(facts).text
