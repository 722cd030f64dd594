from dataclasses import replace

import pytest

from sweep.report.answer import answer_of, finding_of, question_of, setting_of, unknowns_of
from sweep.report.words import UNKNOWN
from sweep.study.results import Tally

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


def test_without_both_the_answer_says_that_the_search_flatters(fresh):
    assert finding_of(fresh) == (
        f"{SETTING}: validation accuracy 90.0 % in the search, which flatters the best of 3 trials."
    )


def test_without_a_chosen_trial_there_is_no_setting(empty):
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
    data = replace(other.settings.data, split_digest="6" * 64)
    elsewhere = replace(other, settings=replace(other.settings, data=data))
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


def test_a_best_at_an_edge_leaves_open_what_lies_beyond(study, edge):
    (unknown,) = unknowns_of([replace(study, edges=[edge], wider="sweep run --wider")], None)
    assert unknown.what.endswith("would do better with a wider range of learning rate.")
    assert unknown.command == "sweep run --wider"


@pytest.mark.parametrize("metric", ["val-accuracy", "val-loss"])
def test_the_answer_speaks_in_the_units_of_the_objective(fresh, metric):
    facts = replace(fresh, settings=replace(fresh.settings, objective=metric), search=0.5)
    unit = {"val-accuracy": "accuracy 50.0 %", "val-loss": "loss 0.5000 nats"}[metric]
    assert f"validation {unit} in the search" in finding_of(facts)
