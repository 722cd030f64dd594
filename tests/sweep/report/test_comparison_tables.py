from dataclasses import replace

from sweep.report.comparison_tables import comparison_tables


def cells(table):
    return {row.name: row.cells for row in table.rows}


def test_the_accuracies_stand_side_by_side_and_one_shown_to_be_better_is_marked(comparison):
    accuracies, _, _ = comparison_tables(comparison)
    assert cells(accuracies) == {
        "tiny-softmax": ["2", "82.0 [73.3, 88.3]", "93.3", "90.0", "8.0", ""],
        "tiny-bce": ["2", "70.0 [60.4, 78.1]", "93.3", "90.0", "20.0", ""],
    }
    assert [row.kind for row in accuracies.rows] == ["chosen", "plain"]


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
