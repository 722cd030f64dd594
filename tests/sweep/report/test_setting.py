from dataclasses import replace

from sweep.report.setting import remarks_of, searched, setting_table
from sweep.report.table import Meter
from sweep.space import Choices, Range
from sweep.study.importance import Importances


def test_each_chosen_value_stands_beside_what_was_searched(study):
    rows = {row.name: row.cells for row in setting_table(study).rows}
    assert list(rows) == ["l2", "learning rate", "decay period", "batch size", "flip probability"]
    assert rows["l2"] == ["0.001", "1e-5 to 1, log scale", Meter(0.4, "40 %"), "60 [40, 80]"]
    assert rows["batch size"][1:] == [
        "25, 50, 100, 200, 400",
        Meter(0.25, "choice 2 of 5"),
        "\N{EN DASH}",
    ]


def test_a_value_that_was_not_searched_lies_nowhere(study):
    space = study.settings.space.without_flips()
    table = setting_table(
        replace(
            study,
            settings=replace(study.settings, space=space),
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
    none = Importances(ranked=[], alike=[], reason="3 complete trials, 10 needed")
    assert remarks_of(replace(study, importances=none)) == [
        "Importance is not told: 3 complete trials, 10 needed."
    ]


def test_an_edge_says_who_lies_there(study, edge):
    assert remarks_of(replace(study, edges=[edge])) == [
        (
            "At an edge: the high end of the learning rate, 0.1. There lie the best trial of the "
            "search, 2 of the top 3 and 4 of all 20 complete trials; better may lie beyond."
        )
    ]
    crowd = replace(edge, best_at_bound=False)
    assert "There lie 2 of the top 3" in remarks_of(replace(study, edges=[crowd]))[0]
