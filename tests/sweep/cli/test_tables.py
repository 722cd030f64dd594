from sweep.cli.tables import number, percent, print_table


def test_numbers_are_short_and_what_is_not_there_is_a_dash():
    assert [number(value) for value in (0.123456, 1234567.0, 50, 0.0, None)] == [
        "0.123",
        "1.23e+06",
        "50",
        "0",
        "-",
    ]
    assert [percent(share) for share in (0.4134, 1.0, 0.0, None)] == [
        "41.3%",
        "100.0%",
        "0.0%",
        "-",
    ]


def test_a_cell_is_shown_as_it_is(capsys):
    print_table(["study", "best"], [["[red]name", "1"]], styles=["dim"])
    assert "[red]name" in capsys.readouterr().out


def test_names_stand_left_and_numbers_right(capsys):
    print_table(["study", "best"], [["a", "1"], ["longer-name", "22222"]], title="All of them")
    title, header, rule, *rows = capsys.readouterr().out.splitlines()
    assert title.strip() == "All of them"
    assert header.split() == ["study", "best"]
    assert set(rule) == {"─"}
    assert [row.rstrip() for row in rows] == ["a               1", "longer-name 22222"]
