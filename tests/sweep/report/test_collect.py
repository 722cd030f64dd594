import math
from dataclasses import replace

import pytest

from sweep.analysis.confirmation import BASELINE, Confirmation, Confirmed
from sweep.report import collect, render_html, render_markdown
from sweep.report.collect import (
    answer_of,
    commands_of,
    finding_of,
    question_of,
    setting_of,
    study_facts,
    unknowns_of,
)
from sweep.report.facts import UNKNOWN, Report
from sweep.search.record import CONFIRMATION, TEST_OPENINGS
from sweep.search.trials import Tally

SETTING = (
    "Best is l2 0.001, learning rate 0.01, decay period 10, batch size 50 and flip probability 0.2"
)


def commands(unknowns):
    return [unknown.command for unknown in unknowns]


def test_the_question_of_one_study_names_its_loss_and_data(study):
    assert question_of([study]) == (
        "Which setting of a linear classifier with softmax cross-entropy is best on tiny?"
    )


def test_two_losses_make_the_question_ask_for_the_loss(study, other):
    assert question_of([study, other]) == (
        "Which setting of a linear classifier is best on tiny, and which loss?"
    )


def test_the_answer_rests_on_the_test_rows_where_they_were_opened(study):
    assert answer_of([study], None) == (
        f"{SETTING}: 82.0 % of the 100 test rows right (95 % interval 73.3 to 88.3 %)."
    )


def test_without_test_rows_it_rests_on_fresh_seeds(study):
    assert answer_of([replace(study, test=None)], None) == (
        f"{SETTING}: validation accuracy 88.80 ± 0.37 % over 5 fresh seeds."
    )


def test_without_both_the_answer_says_that_the_search_is_optimistic(fresh):
    assert finding_of(fresh) == (
        f"{SETTING}: validation accuracy 90.0 % in the search, optimistic: the best of 3 trials."
    )


def test_without_a_selected_trial_there_is_no_setting(empty):
    assert setting_of(empty) == UNKNOWN


def test_a_study_without_a_complete_trial_has_no_answer_and_says_so(empty):
    assert finding_of(empty) == "Not known yet: no trial is complete."
    (unknown,) = unknowns_of([empty], None)
    assert "no trial is complete" in unknown.what
    assert unknown.command == ""


def test_a_comparison_answers_with_its_own_sentence(study, other, comparison):
    assert answer_of([study, other], comparison) == comparison.sentence
    assert unknowns_of([study, other], comparison) == []


def test_without_a_comparison_nothing_is_said_of_which_is_better(study, other):
    assert answer_of([study, other], None).startswith("Not known yet which is better:")
    assert commands(unknowns_of([study, other], None)) == ["sweep compare tiny-softmax tiny-bce"]


def test_studies_of_other_rows_cannot_be_compared_and_no_command_says_so(study, other):
    data = replace(other.config.data, split_digest="6" * 64)
    elsewhere = replace(other, config=replace(other.config, data=data))
    (unknown,) = unknowns_of([study, elsewhere], None)
    assert "different rows" in unknown.what
    assert unknown.command == ""


def test_a_study_without_a_trial_keeps_others_from_being_compared(study, empty):
    first, _ = unknowns_of([study, empty], None)
    assert "not all have a complete trial" in first.what
    assert first.command == ""


def test_after_the_search_alone_luck_and_the_test_rows_are_open(fresh):
    assert commands(unknowns_of([fresh], None)) == [
        "sweep confirm tiny-softmax",
        "sweep test tiny-softmax",
    ]


def test_when_all_was_done_nothing_is_open(study):
    assert unknowns_of([study], None) == []


def test_trials_after_the_confirmation_make_it_old(study):
    more = replace(study, tally=Tally(complete=9, pruned=0, failed=0, running=0))
    (unknown,) = unknowns_of([more], None)
    assert "confirmed after 4 trials, and there are 9 now" in unknown.what
    assert unknown.command == "sweep confirm tiny-softmax"


def test_few_seeds_leave_the_noise_floor_open(study):
    found = study.confirmation
    baseline = replace(found.baseline, values=found.baseline.values[:2])
    few = replace(found, seeds=[1, 2], baseline=baseline)
    (unknown,) = unknowns_of([replace(study, confirmation=few)], None)
    assert "2 seeds are too few" in unknown.what
    assert unknown.command == "sweep confirm tiny-softmax --seeds 10"


def test_a_best_at_a_boundary_leaves_open_what_lies_beyond(study, edge):
    (unknown,) = unknowns_of([replace(study, boundary=[edge], wider="sweep run --wider")], None)
    assert unknown.what.endswith("would do better with a wider range of learning rate.")
    assert unknown.command == "sweep run --wider"


@pytest.mark.parametrize("metric", ["val-accuracy", "val-loss"])
def test_the_answer_speaks_in_the_units_of_the_objective(fresh, metric):
    facts = replace(fresh, config=replace(fresh.config, objective=metric), search=0.5)
    unit = {"val-accuracy": "accuracy 50.0 %", "val-loss": "loss 0.5000 nats"}[metric]
    assert f"validation {unit} in the search" in finding_of(facts)


def lines(commands):
    return [command.line for command in commands]


def test_what_was_done_can_be_done_again_in_its_order(study):
    assert lines(commands_of([study], None)) == [
        (
            "sweep run --study tiny-softmax --loss softmax --data /data/tiny.npz --val-size 15 "
            "--epochs 6 --trials 3"
        ),
        "sweep confirm tiny-softmax --top 2 --seeds 5",
        "sweep reproduce tiny-softmax --trial 2",
        "sweep test tiny-softmax",
        "sweep report tiny-softmax",
    ]


def test_what_was_not_done_is_not_asked_for(fresh, empty):
    assert [line.split()[1] for line in lines(commands_of([fresh], None))] == [
        *("run", "reproduce", "report")
    ]
    assert [line.split()[1] for line in lines(commands_of([empty], None))] == ["run", "report"]


def test_a_comparison_comes_after_both_studies(study, other, comparison):
    *_, compare, report = lines(commands_of([study, other], comparison))
    assert compare == "sweep compare tiny-softmax tiny-bce"
    assert report == "sweep report tiny-softmax tiny-bce"


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


class NoStore:
    """A tracker of a store that has no runs."""

    def runs(self, **_):
        return []


@pytest.fixture
def facts(searched):
    """Return a function that tells what is known of the study now."""
    return lambda **options: study_facts(searched, NoStore(), **options)


def test_a_searched_study_answers_with_its_best_and_says_what_is_open(searched, facts):
    study = facts()
    assert (study.selected, study.search) == (1, 0.8)
    assert study.setting == searched.trial(1).params
    assert (study.validation.right, study.validation.rows) == (12, 15)
    assert [row.facts["trial"] for row in study.trials] == [1, 2, 0, 3]
    assert [row.facts["trial"] for row in study.trials if row.selected] == [1]
    assert (study.pruned, study.rung) == ({3: 1}, 1)
    assert study.environment["python"]
    assert study.git == {}
    assert commands(unknowns_of([study], None)) == [
        "sweep confirm tiny-softmax",
        "sweep test tiny-softmax",
    ]


def test_the_last_look_at_the_test_rows_counts_if_it_was_the_selected_trials(searched, facts):
    result = {"accuracy": 6 / 9, "low": 0.1, "high": 0.9, "rows": 9, "per_class": {}}
    openings = [
        {"trial": 1, "time": "", "result": {**result, "accuracy": 3 / 9}},
        {"trial": 1, "time": "", "result": result},
        {"trial": 2, "time": "", "result": {**result, "accuracy": 1.0}},
        {"trial": 1, "time": ""},  # seen by a process that died before it could record it
    ]
    searched.set_attribute(TEST_OPENINGS, openings)
    study = facts()
    assert (study.test.right, study.test.rows, study.openings) == (6, 9, 4)


def confirm(study, *trials, spread=0.01):
    """Put a confirmation on record in which each trial came to its value, and so on."""
    seeds = [0.0, spread, 2 * spread, spread, 0.0]
    confirmation = Confirmation(
        metric="val/accuracy",
        direction="maximize",
        epochs=2,
        seeds=[1, 2, 3, 4, 5],
        finished=4,
        trials=[
            Confirmed(trial=number, search=search, values=[mean + each for each in seeds])
            for number, search, mean in trials
        ],
        baseline=Confirmed(trial=BASELINE, search=math.nan, values=[0.4 + s for s in seeds]),
    )
    study.set_attribute(CONFIRMATION, confirmation.record())
    return confirmation


def test_trials_within_the_noise_floor_of_the_best_score_are_level(searched, facts):
    confirmation = confirm(searched, (2, 0.7, 0.7), spread=0.04)
    study = facts()
    assert study.selected == 2
    assert 0.1 < confirmation.noise_floor < 0.2
    assert {row.facts["trial"] for row in study.trials if row.level} == {1, 2}


def test_a_selected_trial_that_was_pruned_has_no_value_in_the_search(searched, facts):
    confirm(searched, (3, math.nan, 0.9), (1, 0.8, 0.75))
    study = facts()
    assert (study.selected, study.search, study.validation) == (3, None, None)
    assert "pruned at epoch 1" in render_html(report_of(study)).text
    assert "nan" not in render_html(report_of(study)).text.lower().replace("finan", "")


def report_of(study):
    return Report(
        title="",
        question="",
        answer="",
        unknowns=[],
        studies=[study],
        comparison=None,
        comparison_pictures=[],
        commands=[],
        written="",
    )


def test_too_many_trials_are_cut_and_counted(facts):
    study = facts(most=1)
    assert (len(study.trials), study.hidden) == (1, 3)
    assert study.trials[0].selected


def test_a_study_without_trials_has_nothing_to_say_but_that(make_study):
    study = make_study()
    report = collect([study], {study.name: NoStore()})
    assert report.answer == "Not known yet: no trial is complete."
    assert report.studies[0].trials == report.studies[0].pictures == []
    assert report.comparison is None
    assert report.title == "tiny-softmax"
    assert render_html(report).text


def test_what_was_collected_can_be_shown_in_both_formats(searched):
    report = collect([searched], {"tiny-softmax": NoStore()})
    assert report.answer in render_html(report).text.replace("\u00a0", " ")
    assert report.unknowns[0].command in render_markdown(report, folder="figures").text
    assert {picture.name for picture in report.pictures} == {
        f"tiny-softmax-{name}" for name in ("history", "parallel-coordinates", "slice", "curves")
    }
