from dataclasses import replace

from sweep.report.steps import overview, steps


def test_every_step_says_what_it_rests_on(study):
    assert [(step.label, step.value, step.detail) for step in steps(study)] == [
        (
            "In the search",
            "90.0 %",
            (
                "trial 2, one of 3 trials, on one seed; 70.2 to 98.8 % is the 95 % interval for "
                "15 validation rows"
            ),
        ),
        (
            "On fresh seeds",
            "88.80 ± 0.37 %",
            "mean and standard error of 5 seeds; the search flattered it by 1.20 points",
        ),
        (
            "On the test rows",
            "82.0 %",
            "73.3 to 88.3 % is the 95 % interval for 100 rows, which this study has opened once",
        ),
    ]
    assert all(step.known for step in steps(study))


def test_a_step_that_was_not_taken_names_its_command(fresh):
    _, seeds, test = steps(fresh)
    assert (seeds.known, seeds.value, seeds.detail) == (
        False,
        "not known yet",
        "sweep confirm tiny-softmax",
    )
    assert (test.known, test.detail) == (False, "sweep test tiny-softmax")


def test_a_search_can_also_have_shown_it_too_badly(study):
    winner = replace(study.confirmation.winner, search=0.8)
    found = replace(study.confirmation, trials=[winner])
    step = steps(replace(study, confirmation=found))[1]
    assert step.detail.endswith("the search showed it too badly, by 8.80 points")


def test_a_loss_has_no_interval_of_rows(study):
    settings = replace(study.settings, objective="val-loss")
    step = steps(replace(study, settings=settings, search=0.25))[0]
    assert (step.value, step.detail) == ("0.2500 nats", "trial 2, one of 3 trials, on one seed")


def test_each_look_at_the_test_rows_is_counted(study):
    assert steps(replace(study, openings=3))[2].detail.endswith("opened 3 times")


def test_the_overview_has_the_steps_of_each_study_side_by_side(study, fresh, empty):
    table = overview([study, fresh, empty])
    assert [heading.words for heading in table.headings] == [
        *("study", "trial", "in the search", "on fresh seeds", "on the test rows")
    ]
    assert [row.cells for row in table.rows] == [
        ["2", "90.0 %", "88.80 ± 0.37 %", "82.0 %"],
        ["2", "90.0 %", "not known yet", "not known yet"],
        ["\N{EN DASH}"] * 4,
    ]
