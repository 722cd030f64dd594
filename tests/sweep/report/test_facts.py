import math
from dataclasses import replace

import comparisons
import pytest

from sweep.formatting import UNKNOWN
from sweep.report import collect, render_html, render_markdown, with_pictures
from sweep.report.facts import (
    Measure,
    answer_of,
    commands_of,
    finding_of,
    gain_of,
    question_of,
    setting_of,
    study_facts,
    unknowns_of,
)
from sweep.search import course_of
from sweep.search.record import CONFIRMATION, TEST_OPENINGS
from sweep.search.trials import Tally

SETTING = (
    "Best is l2 0.001, learning rate 0.01, decay period 10, batch size 50 and flip probability 0.2"
)


def commands(unknowns):
    return [unknown.command for unknown in unknowns]


def test_the_question_names_the_data_and_the_loss_or_asks_for_it(study, other):
    assert question_of([study]) == (
        "Which setting of a linear classifier with softmax cross-entropy is best on tiny?"
    )
    assert question_of([study, other]) == (
        "Which setting of a linear classifier is best on tiny, and which loss?"
    )


def test_the_answer_rests_on_test_rows_else_on_fresh_seeds_else_on_the_search(study, fresh):
    assert answer_of([study], None) == (
        f"{SETTING}: 82.0 % of the 100 test rows right (95 % interval 73.3 to 88.3 %)."
    )
    assert answer_of([replace(study, test=None)], None) == (
        f"{SETTING}: validation accuracy 88.80 ± 0.37 % over 5 fresh seeds."
    )
    assert answer_of([fresh], None) == (
        f"{SETTING}: validation accuracy 90.0 % in the search, optimistic: the best of 3 trials."
    )


def test_a_study_without_a_complete_trial_has_no_answer_and_says_so(empty):
    assert finding_of(empty) == "Not known yet: no trial is complete."
    assert setting_of(empty) == UNKNOWN
    (unknown,) = unknowns_of([empty], None)
    assert "no trial is complete" in unknown.what
    assert unknown.command == ""


def test_the_gain_of_a_search_is_its_lead_over_the_reports_setting(
    study, empty, make_config, make_trial
):
    spent, gain = gain_of(study)
    assert spent == (
        "The search spent 14 trial-epochs; 3 trials in full are 18, 1.3 times as many."
    )
    assert "trial 2, is 1.00 points better than trial 0, the report's own setting" in gain
    assert gain.endswith("90.0 against 89.0 %.")
    alone = replace(study, course=course_of(make_config(), [make_trial(0, [0.5] * 6)]))
    spent, gain = gain_of(alone)
    assert spent == "The search spent 6 trial-epochs."
    assert "is the best" in gain
    assert len(gain_of(empty)) == 1


def test_a_comparison_answers_with_its_own_sentence(study, other, comparison):
    assert answer_of([study, other], comparison) == comparison.sentence
    assert unknowns_of([study, other], comparison) == []


def test_without_a_comparison_nothing_is_said_of_which_is_better(study, other):
    assert answer_of([study, other], None).startswith("Not known yet which is better:")
    assert commands(unknowns_of([study, other], None)) == ["sweep compare tiny-softmax tiny-bce"]


def test_studies_that_cannot_be_compared_are_named_without_a_command(study, other, empty):
    data = replace(other.config.data, split_digest="6" * 64)
    elsewhere = replace(other, config=replace(other.config, data=data))
    (unknown,) = unknowns_of([study, elsewhere], None)
    assert "different rows" in unknown.what
    first, _ = unknowns_of([study, empty], None)
    assert "not all have a complete trial" in first.what
    assert unknown.command == first.command == ""


def test_luck_and_the_test_rows_are_open_until_they_were_looked_at(fresh, study):
    assert commands(unknowns_of([fresh], None)) == [
        "sweep confirm tiny-softmax",
        "sweep test tiny-softmax",
    ]
    assert unknowns_of([study], None) == []


def test_trials_after_the_confirmation_make_it_old(study):
    more = replace(study, tally=Tally(complete=9, pruned=0, failed=0, running=0))
    (unknown,) = unknowns_of([more], None)
    assert "confirmed after 4 trials, and there are 9 now" in unknown.what
    assert unknown.command == "sweep confirm tiny-softmax"


def test_few_seeds_leave_the_noise_floor_open(study):
    confirmation = study.confirmation
    baseline = replace(confirmation.baseline, values=confirmation.baseline.values[:2])
    few = replace(confirmation, seeds=[1, 2], baseline=baseline)
    (unknown,) = unknowns_of([replace(study, confirmation=few)], None)
    assert "2 seeds are too few" in unknown.what
    assert unknown.command == "sweep confirm tiny-softmax --seeds 10"


def test_a_best_at_a_boundary_leaves_open_what_lies_beyond(study, edge):
    (unknown,) = unknowns_of([replace(study, boundary=[edge], wider="sweep run --wider")], None)
    assert unknown.what.endswith("would do better with a wider range of learning rate.")
    assert unknown.command == "sweep run --wider"


def test_a_loss_as_the_objective_is_told_in_nats(fresh):
    facts = replace(fresh, config=replace(fresh.config, objective="val-loss"))
    assert "validation loss 0.1000 nats in the search" in finding_of(facts)


ACCURACY, LOSS = Measure("val/accuracy"), Measure("val/loss")


def test_accuracies_are_percent_and_their_differences_points():
    assert (ACCURACY.noun, ACCURACY.unit, ACCURACY.gap_unit) == (
        "validation accuracy",
        "%",
        "points",
    )
    assert ACCURACY.value(0.41289) == "41.3"
    assert ACCURACY.fine(0.00312) == "0.31"
    assert ACCURACY.mean(0.41289, 0.00051) == "41.29 ± 0.05 %"
    assert ACCURACY.mean(0.5, math.nan) == "50.00 %"


def test_losses_and_their_differences_are_nats():
    assert (LOSS.noun, LOSS.unit, LOSS.gap_unit) == ("validation loss", "nats", "nats")
    assert LOSS.value(1.23456) == "1.2346"
    assert LOSS.fine(0.0001) == "0.0001"
    assert LOSS.mean(1.5, 0.01) == "1.5000 ± 0.0100 nats"


def lines(commands):
    return [command.line for command in commands]


def test_what_was_done_can_be_done_again_in_its_order(study):
    assert lines(commands_of([study], None)) == [
        (
            "sweep run tiny-softmax --loss softmax --data /data/tiny.npz --val-size 15 "
            "--trials 3 --epochs 6"
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
def facts(searched, no_store):
    """Return a function that tells what is known of the study now."""
    return lambda **options: study_facts(searched, no_store, **options)


def test_a_searched_study_answers_with_its_best_and_says_what_is_open(searched, facts):
    study = facts()
    assert (study.selected.number, study.search) == (1, 0.8)
    assert study.setting == searched.trial(1).params
    assert [row.facts["trial"] for row in study.trials] == [1, 2, 0, 3]
    assert [row.facts["trial"] for row in study.trials if row.selected] == [1]
    assert (study.pruned, study.rung) == ({3: 1}, 1)
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
    values = [(number, search, [mean + s for s in seeds]) for number, search, mean in trials]
    confirmation = comparisons.confirmation(*values, baseline=[0.4 + s for s in seeds])
    study.set_attribute(CONFIRMATION, confirmation.record())
    return confirmation


def test_trials_within_the_noise_floor_of_the_best_score_are_level(searched, facts):
    confirmation = confirm(searched, (2, 0.7, 0.7), spread=0.04)
    study = facts()
    assert study.selected.number == 2
    assert 0.1 < confirmation.noise_floor < 0.2
    assert {row.facts["trial"] for row in study.trials if row.level} == {1, 2}


def test_a_selected_trial_that_was_pruned_has_no_value_in_the_search(searched, facts, make_report):
    confirm(searched, (3, math.nan, 0.9), (1, 0.8, 0.75))
    study = facts()
    assert (study.selected.number, study.search) == (3, None)
    text = render_html(make_report(study)).text
    assert "pruned at epoch 1" in text
    assert "nan" not in text.lower()


def test_too_many_trials_are_cut_and_counted(facts):
    study = facts(most=1)
    assert (len(study.trials), study.hidden) == (1, 3)
    assert study.trials[0].selected


def test_a_study_without_trials_has_nothing_to_say_but_that(make_study, no_store):
    study = make_study()
    report = collect([study], {study.name: no_store})
    assert report.answer == "Not known yet: no trial is complete."
    assert report.studies[0].trials == report.studies[0].pictures == []
    assert report.comparison is None
    assert report.title == "tiny-softmax"
    assert render_html(report).text


def test_what_was_collected_can_be_shown_in_both_formats(searched, no_store):
    trackers = {"tiny-softmax": no_store}
    report = with_pictures(collect([searched], trackers), [searched], trackers)
    assert report.answer in render_html(report).text.replace("\u00a0", " ")
    assert report.unknowns[0].command in render_markdown(report, folder="figures").text
    assert {picture.name for picture in report.pictures} == {
        f"tiny-softmax-{name}" for name in ("history", "parallel-coordinates", "slice", "curves")
    }
