import math
from dataclasses import replace

from sweep.report.tables import confirmation_table, failures_of, remarks_on_seeds, trials_table
from sweep.study.confirmation import Confirmed


def test_the_confirmation_says_how_far_each_setting_is_behind_the_winner(study):
    table, unknown = confirmation_table(study), "[\N{EN DASH}, \N{EN DASH}]"
    assert [(row.name, row.kind, row.cells) for row in table.rows] == [
        ("2 ★", "chosen", ["90.0", "88.80", "0.37", "1.20", ""]),
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
    assert rows.endswith("what these flatter, only the test rows tell.")


def test_too_few_seeds_have_no_noise_floor_to_speak_of(study):
    found = study.confirmation
    baseline = replace(found.baseline, values=found.baseline.values[:2])
    (rows,) = remarks_on_seeds(replace(study, confirmation=replace(found, baseline=baseline)))
    assert rows.startswith("The seeds are fresh")


def test_without_a_confirmation_there_is_no_such_table(fresh):
    assert confirmation_table(fresh) is None
    assert remarks_on_seeds(fresh) == []


def test_the_chosen_trial_and_those_within_the_noise_floor_are_marked(study):
    table = trials_table(study)
    assert [(row.name, row.kind) for row in table.rows] == [
        ("2 ★", "chosen"),
        ("0 ≈", "plain"),
        ("1", "aside"),
        ("3", "aside"),
    ]
    floor = 100 * study.confirmation.noise_floor
    assert f"within the noise floor of the best, {floor:.2f} points" in table.caption


def test_a_trial_has_its_result_and_its_setting(study):
    table = trials_table(study)
    assert [heading.words for heading in table.headings] == [
        *("trial", "ended", "val. accuracy, %", "val. loss, nats", "train. accuracy, %", "epochs"),
        *("l2", "learning rate", "decay period", "batch size", "flip probability"),
    ]
    assert table.rows[0].cells == [
        *("complete", "90.00", "0.1000", "90.00", "6"),
        *("0.1", "0.01", "10", "50", "0.2"),
    ]
    assert table.rows[2].cells[:5] == ["diverged", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}", "6"]


def test_an_unknown_noise_floor_is_not_spoken_of(fresh):
    rows = [replace(row, level=False) for row in fresh.trials]
    assert trials_table(replace(fresh, trials=rows)).caption == "★ is the chosen trial."


def test_trials_that_are_left_out_are_counted(study):
    caption = trials_table(replace(study, hidden=1300)).caption
    assert caption.endswith(" The other 1,300: sweep show tiny-softmax.")


def test_every_failure_has_its_reason(study):
    assert failures_of(study) == ["Trial 1 diverged: the cost is nan"]
