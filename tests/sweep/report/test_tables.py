import math
from dataclasses import replace

from sweep.analysis import Confirmed, Importances
from sweep.report.tables import (
    Meter,
    comparison_tables,
    config_table,
    confirmation_table,
    failures_of,
    overview,
    remarks_of,
    remarks_on_seeds,
    rungs_table,
    setting_table,
    steps,
    trials_table,
    versions_table,
)
from sweep.search import course_of


def cells(table):
    return {row.name: row.cells for row in table.rows}


def words(table):
    return [heading.words for heading in table.headings]


# How good the selected setting is


def test_every_step_says_what_it_rests_on_or_names_its_command(study, fresh):
    search, seeds, test = steps(study)
    assert [search.value, seeds.value, test.value] == ["90.0 %", "88.80 ± 0.37 %", "82.0 %"]
    assert "trial 2, one of 3 trials" in search.detail
    assert "70.2 to 98.8 % is the 95 % interval for 15 validation rows" in search.detail
    assert "5 seeds; the search was optimistic by 1.20 points" in seeds.detail
    assert "73.3 to 88.3 % is the 95 % interval for 100 rows" in test.detail
    assert test.detail.endswith("opened once")
    assert steps(replace(study, openings=3))[2].detail.endswith("opened 3 times")
    _, seeds, test = steps(fresh)
    assert not seeds.known
    assert (seeds.detail, test.detail) == ("sweep confirm tiny-softmax", "sweep test tiny-softmax")


def test_a_search_can_also_be_pessimistic(study):
    winner = replace(study.confirmation.winner, search=0.8)
    confirmation = replace(study.confirmation, trials=[winner])
    step = steps(replace(study, confirmation=confirmation))[1]
    assert step.detail.endswith("the search was pessimistic by 8.80 points")


def test_a_loss_has_no_interval_of_rows(study):
    config = replace(study.config, objective="val-loss")
    step = steps(replace(study, config=config))[0]
    assert step.value == "0.1000 nats"
    assert "interval" not in step.detail


def test_the_overview_has_the_steps_of_each_study_side_by_side(study, fresh, empty):
    table = overview([study, fresh, empty])
    assert words(table)[:2] == ["study", "trial"]
    assert [row.cells for row in table.rows] == [
        ["2", "90.0 %", "88.80 ± 0.37 %", "82.0 %"],
        ["2", "90.0 %", "not known yet", "not known yet"],
        ["-"] * 4,
    ]


def test_a_pruned_trial_says_at_which_epoch_it_ended_in_place_of_a_score(study):
    confirmation = study.confirmation
    pruned = Confirmed(trial=3, search=math.nan, values=confirmation.winner.values)
    facts = replace(
        study,
        selected=replace(study.selected, number=3),
        confirmation=replace(confirmation, trials=[pruned, *confirmation.trials]),
    )
    assert confirmation_table(facts).rows[0].cells[0] == "pruned at epoch 2"
    assert confirmation_table(facts).rows[0].cells[3] == "-"
    search, seeds, _ = steps(facts)
    assert search.value == "pruned at epoch 2"
    assert "the search was" not in seeds.detail


# The setting


def test_each_selected_value_is_beside_what_was_searched(study):
    rows = cells(setting_table(study))
    assert list(rows) == ["l2", "learning rate", "decay period", "batch size", "flip probability"]
    assert rows["l2"] == ["0.001", "1e-5 to 1, logarithmic", Meter(0.4, "40 %"), "60 [40, 80]"]
    assert rows["batch size"][1:] == ["50, 100, 200, 400", Meter(0.0, "choice 1 of 4"), "-"]
    fixed = replace(
        study,
        config=replace(study.config, space=study.config.space.without_flips()),
        selected=replace(study.selected, params={"flip_probability": 0.0}),
    )
    assert setting_table(fixed).rows[0].cells == ["0", "0", "not searched", "-"]


def test_importances_that_are_alike_or_not_known_are_named(study):
    pairs = [("l2", "learning_rate"), ("l2", "batch_size")]
    alike = Importances(ranked=study.importances.ranked, alike=pairs)
    (remark,) = remarks_of(replace(study, importances=alike))
    assert remark.endswith("l2 and learning rate; l2 and batch size.")
    none = Importances(ranked=[], alike=[], reason="3 trials reached epoch 2, 10 needed")
    (remark,) = remarks_of(replace(study, importances=none))
    assert "3 trials reached epoch 2, 10 needed" in remark


def test_a_boundary_says_how_many_trials_are_at_it(study, edge):
    (remark,) = remarks_of(replace(study, boundary=[edge]))
    assert "the high end of the learning rate, 0.1" in remark
    assert "the best trial of the search, 2 of the top 3 and 4 of all 20 trials" in remark
    (remark,) = remarks_of(replace(study, boundary=[replace(edge, best_at_bound=False)]))
    assert "the best trial" not in remark


# Fresh seeds


def test_the_confirmation_says_how_far_each_setting_is_behind_the_winner(study, fresh):
    table = confirmation_table(study)
    assert [(row.name, row.kind, row.cells) for row in table.rows] == [
        ("2 ★", "selected", ["90.0", "88.80", "0.37", "1.20", ""]),
        ("0", "plain", ["80.0", "85.80", "0.37", "-5.80", "3.00 [-, -]"]),
        ("baseline", "aside", ["-", "70.80", "0.37", "-", "18.00 [-, -]"]),
    ]
    assert "on 5 fresh seeds for 6 epochs: validation accuracy in %" in table.caption
    assert confirmation_table(fresh) is None


def test_a_setting_that_is_as_good_or_that_diverged_is_marked(study):
    confirmation = study.confirmation
    values = confirmation.trials[1].values
    for changed, end in (
        ([0.89, 0.88, 0.9, 0.88, 0.88], "] ≈"),
        ([math.nan, *values[1:]], "diverged on 1"),
    ):
        trials = [confirmation.winner, Confirmed(trial=0, search=0.8, values=changed)]
        table = confirmation_table(
            replace(study, confirmation=replace(confirmation, trials=trials))
        )
        assert table.rows[1].cells[-1].endswith(end)
    assert table.rows[1].cells[:-1] == ["80.0", "-", "-", "-"]


def test_the_noise_floor_is_named_where_enough_seeds_tell_it(study, fresh):
    confirmation = study.confirmation
    floor, rows = remarks_on_seeds(study)
    assert f"{100 * confirmation.noise_floor:.2f} points" in floor
    assert "only the test rows" in rows
    baseline = replace(confirmation.baseline, values=confirmation.baseline.values[:2])
    few = replace(study, confirmation=replace(confirmation, baseline=baseline))
    assert remarks_on_seeds(few) == [rows]
    assert remarks_on_seeds(fresh) == []


# The trials


def test_the_selected_trial_and_those_within_the_noise_floor_are_marked(study, fresh):
    table = trials_table(study)
    assert [(row.name, row.kind) for row in table.rows] == [
        ("2 ★", "selected"),
        ("0 ≈", "plain"),
        ("1", "aside"),
        ("3", "aside"),
    ]
    floor = 100 * study.confirmation.noise_floor
    assert f"within the noise floor of the best, {floor:.2f} points" in table.caption
    rows = [replace(row, level=False) for row in fresh.trials]
    assert "noise" not in trials_table(replace(fresh, trials=rows)).caption


def test_a_trial_has_its_result_and_its_setting_and_a_failure_its_reason(study):
    table = trials_table(study)
    assert words(table) == [
        *("trial", "status", "epochs", "val. accuracy, %", "val. loss, nats", "train. accuracy, %"),
        *("needed", "l2", "learning rate", "decay period", "batch size", "flip probability"),
    ]
    assert table.rows[0].cells == [
        *("complete", "6", "90.00", "0.1000", "90.00", "-"),
        *("0.1", "0.01", "10", "50", "0.2"),
    ]
    assert table.rows[2].cells[:5] == ["failed", "0", "-", "-", "-"]
    assert table.rows[3].cells[:6] == ["pruned", "2", "10.00", "0.9000", "10.00", "50.00"]
    assert failures_of(study) == ["Trial 1: the cost is nan"]
    caption = trials_table(replace(study, hidden=1300)).caption
    assert caption.endswith("1,300: sweep show tiny-softmax.")


# The search


def test_each_rung_has_who_reached_it_and_what_was_needed_there(study, make_config):
    table = rungs_table(study)
    assert words(table) == ["after epoch", "reached", "went on", "best there", "needed"]
    assert cells(table) == {
        "1": ["3", "3", "60.0", "-"],
        "2": ["3", "2", "60.0", "50.0"],
        "3": ["2", "2", "60.0", "-"],
    }
    unpruned = course_of(make_config(pruner="none"), [])
    assert rungs_table(replace(study, course=unpruned)) is None


# How it was made


def test_the_configs_of_the_studies_are_side_by_side(study, other):
    rows = cells(config_table([study, other]))
    assert rows["loss"] == ["softmax", "bce"]
    assert rows["trials"] == ["2 complete, 1 pruned, 1 failed"] * 2
    assert rows["trials side by side"] == ["8, in panels of 4"] * 2
    assert rows["l2"] == ["1e-5 to 1, logarithmic", "1e-6 to 0.1, logarithmic"]
    assert rows["data digest"] == ["d" * 64] * 2


def test_versions_machine_and_commit_are_named(study, empty):
    dirty = replace(study, git={"commit": "c0ffee", "dirty": "True"})
    assert cells(versions_table([study, dirty, empty])) == {
        "python": ["3.11.7", "3.11.7", "-"],
        "numpy": ["2.4.6", "2.4.6", "-"],
        "machine": ["Linux x86_64", "Linux x86_64", "-"],
        "git commit": ["c0ffee", "c0ffee, with changes", "-"],
    }


# A comparison


def test_the_accuracies_are_side_by_side_and_one_shown_to_be_better_is_marked(comparison):
    accuracies, _ = comparison_tables(comparison)
    assert cells(accuracies) == {
        "tiny-softmax": ["2", "82.0 [73.3, 88.3]", "93.3", "90.0", "8.0", "softmax 20.0"],
        "tiny-bce": ["2", "70.0 [60.4, 78.1]", "93.3", "90.0", "20.0", "softmax 20.0"],
    }
    assert [row.kind for row in accuracies.rows] == ["selected", "plain"]
    (difference,) = comparison.differences
    accuracies, _ = comparison_tables(
        replace(comparison, differences=[replace(difference, p_value=0.3)])
    )
    assert [row.kind for row in accuracies.rows] == ["plain", "plain"]


def test_each_pair_has_its_difference_and_its_verdict(comparison):
    _, differences = comparison_tables(comparison)
    assert cells(differences) == {
        "tiny-softmax less tiny-bce": [
            *("12.00 [6.00, 19.00]", "12", "0", "0.0005", "tiny-softmax is better")
        ]
    }
    assert "Holm" not in differences.caption
    (difference,) = comparison.differences
    pairs = [replace(difference, p_value=value) for value in (0.3, 1e-9)]
    _, table = comparison_tables(replace(comparison, differences=pairs))
    assert [row.cells[3:] for row in table.rows] == [
        ["0.3", "no difference shown"],
        ["< 0.0001", "tiny-softmax is better"],
    ]
    assert "p by Holm, for all pairs together" in table.caption
