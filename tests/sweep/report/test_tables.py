import math
from dataclasses import replace

from sweep.analysis.confirmation import Confirmed
from sweep.analysis.importance import Importances
from sweep.report.tables import (
    Meter,
    comparison_tables,
    confirmation_table,
    failures_of,
    overview,
    remarks_of,
    remarks_on_seeds,
    searched,
    setting_table,
    settings_table,
    steps,
    trials_table,
    versions_table,
)
from sweep.space import Choices, Range


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
            "mean and standard error of 5 seeds; the search was optimistic by 1.20 points",
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


def test_a_search_can_also_be_pessimistic(study):
    winner = replace(study.confirmation.winner, search=0.8)
    found = replace(study.confirmation, trials=[winner])
    step = steps(replace(study, confirmation=found))[1]
    assert step.detail.endswith("the search was pessimistic by 8.80 points")


def test_a_loss_has_no_interval_of_rows(study):
    config = replace(study.config, objective="val-loss")
    step = steps(replace(study, config=config, search=0.25))[0]
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


def test_each_selected_value_stands_beside_what_was_searched(study):
    rows = {row.name: row.cells for row in setting_table(study).rows}
    assert list(rows) == ["l2", "learning rate", "decay period", "batch size", "flip probability"]
    assert rows["l2"] == ["0.001", "1e-5 to 1, log scale", Meter(0.4, "40 %"), "60 [40, 80]"]
    assert rows["batch size"][1:] == [
        "50, 100, 200, 400",
        Meter(0.0, "choice 1 of 4"),
        "\N{EN DASH}",
    ]


def test_a_value_that_was_not_searched_lies_nowhere(study):
    space = study.config.space.without_flips()
    table = setting_table(
        replace(
            study,
            config=replace(study.config, space=space),
            setting={"flip_probability": 0.0},
        )
    )
    assert table.rows[0].cells == ["0", "0", "not searched", "\N{EN DASH}"]


def test_a_range_is_told_in_words():
    assert searched(Range(name="flip_probability", low=0, high=0.5)) == "0 to 0.5"
    assert searched(Range(name="l2", low=1e-6, high=0.1, log=True)) == "1e-6 to 0.1, log scale"
    assert searched(Choices(name="batch_size", values=(50,))) == "50"


def test_importances_that_are_alike_are_named(study):
    alike = Importances(
        ranked=study.importances.ranked, alike=[("l2", "learning_rate"), ("l2", "batch_size")]
    )
    assert remarks_of(replace(study, importances=alike)) == [
        "Not distinguishable by their importance: l2 and learning rate; l2 and batch size."
    ]


def test_importances_that_cannot_be_told_say_why(study):
    none = Importances(ranked=[], alike=[], reason="3 trials reached epoch 2, 10 needed")
    assert remarks_of(replace(study, importances=none)) == [
        "Importance is not told: 3 trials reached epoch 2, 10 needed."
    ]


def test_a_boundary_says_who_lies_there(study, edge):
    assert remarks_of(replace(study, boundary=[edge])) == [
        (
            "At a boundary: the high end of the learning rate, 0.1. There lie the best trial of "
            "the search, 2 of the top 3 and 4 of all 20 trials, compared after epoch 2; better may "
            "lie beyond."
        )
    ]
    crowd = replace(edge, best_at_bound=False)
    assert "There lie 2 of the top 3" in remarks_of(replace(study, boundary=[crowd]))[0]


def test_the_confirmation_says_how_far_each_setting_is_behind_the_winner(study):
    table, unknown = confirmation_table(study), "[\N{EN DASH}, \N{EN DASH}]"
    assert [(row.name, row.kind, row.cells) for row in table.rows] == [
        ("2 ★", "selected", ["90.0", "88.80", "0.37", "1.20", ""]),
        ("0", "plain", ["80.0", "85.80", "0.37", "\N{MINUS SIGN}5.80", f"3.00 {unknown}"]),
        (
            "baseline",
            "aside",
            ["\N{EN DASH}", "70.80", "0.37", "\N{EN DASH}", f"18.00 {unknown}"],
        ),
    ]
    assert "on 5 fresh seeds for 6 epochs: validation accuracy in %" in table.caption


def test_a_difference_whose_interval_covers_zero_is_marked(study):
    found = study.confirmation
    close = replace(found.trials[1], values=[0.89, 0.88, 0.9, 0.88, 0.88])
    table = confirmation_table(
        replace(study, confirmation=replace(found, trials=[found.winner, close]))
    )
    assert table.rows[1].cells[-1].endswith("] ≈")


def test_a_setting_that_diverged_on_a_seed_says_so(study):
    found = study.confirmation
    values = [math.nan, *found.trials[1].values[1:]]
    broken = Confirmed(trial=0, search=0.8, values=values)
    table = confirmation_table(
        replace(study, confirmation=replace(found, trials=[found.winner, broken]))
    )
    assert table.rows[1].cells == [
        "80.0",
        "\N{EN DASH}",
        "\N{EN DASH}",
        "\N{EN DASH}",
        "diverged on 1",
    ]


def test_the_noise_floor_is_said_and_what_fresh_seeds_cannot_tell(study):
    floor, rows = remarks_on_seeds(study)
    points = f"{100 * study.confirmation.noise_floor:.2f} points"
    assert floor.startswith("Noise floor: two trainings of the baseline")
    assert points in floor
    assert rows.endswith("these are optimistic, only the test rows tell.")


def test_too_few_seeds_have_no_noise_floor_to_speak_of(study):
    found = study.confirmation
    baseline = replace(found.baseline, values=found.baseline.values[:2])
    (rows,) = remarks_on_seeds(replace(study, confirmation=replace(found, baseline=baseline)))
    assert rows.startswith("The seeds are fresh")


def test_without_a_confirmation_there_is_no_such_table(fresh):
    assert confirmation_table(fresh) is None
    assert remarks_on_seeds(fresh) == []


def test_the_selected_trial_and_those_within_the_noise_floor_are_marked(study):
    table = trials_table(study)
    assert [(row.name, row.kind) for row in table.rows] == [
        ("2 ★", "selected"),
        ("0 ≈", "plain"),
        ("1", "aside"),
        ("3", "aside"),
    ]
    floor = 100 * study.confirmation.noise_floor
    assert f"within the noise floor of the best, {floor:.2f} points" in table.caption


def test_a_trial_has_its_result_and_its_setting(study):
    table = trials_table(study)
    assert [heading.words for heading in table.headings] == [
        *("trial", "status", "epochs", "val. accuracy, %", "val. loss, nats", "train. accuracy, %"),
        *("l2", "learning rate", "decay period", "batch size", "flip probability"),
    ]
    assert table.rows[0].cells == [
        *("complete", "6", "90.00", "0.1000", "90.00"),
        *("0.1", "0.01", "10", "50", "0.2"),
    ]
    assert table.rows[2].cells[:5] == ["failed", "0", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}"]


def test_an_unknown_noise_floor_is_not_spoken_of(fresh):
    rows = [replace(row, level=False) for row in fresh.trials]
    assert trials_table(replace(fresh, trials=rows)).caption == (
        "Each trial after its last epoch; ★ is the selected one."
    )


def test_trials_that_are_left_out_are_counted(study):
    caption = trials_table(replace(study, hidden=1300)).caption
    assert caption.endswith(" The other 1,300: sweep show tiny-softmax.")


def test_every_failure_has_its_reason(study):
    assert failures_of(study) == ["Trial 1: the cost is nan"]


def cells(table):
    return {row.name: row.cells for row in table.rows}


def test_the_settings_of_the_studies_stand_side_by_side(study, other):
    found = cells(settings_table([study, other]))
    assert found["loss"] == ["softmax", "bce"]
    assert found["trials"] == ["2 complete, 1 pruned, 1 failed"] * 2
    assert found["trials side by side"] == ["8, in panels of 4"] * 2
    assert found["l2"] == ["1e-5 to 1, log scale", "1e-6 to 0.1, log scale"]
    assert found["data digest"] == ["d" * 64] * 2
    assert found["split digest"] == ["5" * 64] * 2


def test_versions_machine_and_commit_are_named(study):
    assert cells(versions_table([study])) == {
        "python": ["3.11.7"],
        "numpy": ["2.4.6"],
        "machine": ["Linux x86_64"],
        "git commit": ["c0ffee"],
    }


def test_a_commit_with_changes_says_so_and_an_unknown_one_is_a_dash(study, empty):
    dirty = replace(study, git={"commit": "c0ffee", "dirty": "True"})
    assert cells(versions_table([dirty, empty]))["git commit"] == [
        "c0ffee, with changes",
        "\N{EN DASH}",
    ]
    assert cells(versions_table([dirty, empty]))["python"] == ["3.11.7", "\N{EN DASH}"]


def test_the_accuracies_stand_side_by_side_and_one_shown_to_be_better_is_marked(comparison):
    accuracies, _, _ = comparison_tables(comparison)
    assert cells(accuracies) == {
        "tiny-softmax": ["2", "82.0 [73.3, 88.3]", "93.3", "90.0", "8.0", "softmax 20.0"],
        "tiny-bce": ["2", "70.0 [60.4, 78.1]", "93.3", "90.0", "20.0", "softmax 20.0"],
    }
    assert [row.kind for row in accuracies.rows] == ["selected", "plain"]


def test_where_no_difference_is_shown_the_better_number_is_not_marked(comparison):
    (difference,) = comparison.differences
    alike = replace(comparison, differences=[replace(difference, p_value=0.3)])
    accuracies, _, _ = comparison_tables(alike)
    assert [row.kind for row in accuracies.rows] == ["plain", "plain"]


def test_each_pair_has_its_difference_and_its_verdict(comparison):
    _, differences, _ = comparison_tables(comparison)
    assert cells(differences) == {
        "tiny-softmax less tiny-bce": [
            *("12.00 [6.00, 19.00]", "12", "0", "0.0005", "tiny-softmax is better")
        ]
    }
    assert "Holm" not in differences.caption


def test_no_difference_is_said_as_such_and_a_tiny_p_is_bounded(comparison):
    (difference,) = comparison.differences
    pairs = [replace(difference, p_value=value) for value in (0.3, 1e-9)]
    _, table, _ = comparison_tables(replace(comparison, differences=pairs))
    assert [row.cells[3:] for row in table.rows] == [
        ["0.3", "no difference shown"],
        ["< 0.0001", "tiny-softmax is better"],
    ]
    assert "p by Holm, for all pairs together" in table.caption


def test_a_class_without_test_rows_has_a_dash(comparison):
    _, _, classes = comparison_tables(comparison)
    assert cells(classes) == {
        "ant": ["75.0 [59.8, 85.8]", "75.0 [59.8, 85.8]"],
        "bee": ["\N{EN DASH}", "\N{EN DASH}"],
    }


def test_a_trial_that_was_pruned_says_at_which_epoch_in_place_of_a_score(study):
    found = study.confirmation
    pruned = Confirmed(trial=3, search=math.nan, values=found.winner.values)
    facts = replace(
        study,
        selected=3,
        search=None,
        validation=None,
        confirmation=replace(found, trials=[pruned, *found.trials]),
    )
    assert confirmation_table(facts).rows[0].cells[0] == "pruned at epoch 2"
    assert confirmation_table(facts).rows[0].cells[3] == "\N{EN DASH}"
    search, seeds, _ = steps(facts)
    assert search.value == "pruned at epoch 2"
    assert "the search was" not in seeds.detail
