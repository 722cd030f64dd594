from dataclasses import replace

from sweep.report.origins import settings_table, versions_table


def cells(table):
    return {row.name: row.cells for row in table.rows}


def test_the_settings_of_the_studies_stand_side_by_side(study, other):
    found = cells(settings_table([study, other]))
    assert found["loss"] == ["softmax", "bce"]
    assert found["trials"] == ["2 complete, 1 pruned, 1 failed"] * 2
    assert found["layout"] == ["2 slots in stacks of 2, 1 worker"] * 2
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
