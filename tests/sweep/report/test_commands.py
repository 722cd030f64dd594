from sweep.report.commands import commands_of


def lines(commands):
    return [command.line for command in commands]


def test_what_was_done_can_be_done_again_in_its_order(study):
    assert lines(commands_of([study], None)) == [
        (
            "sweep run --study tiny-softmax --loss softmax --data /data/tiny.npz --val-size 15 "
            "--epochs 6 --trials 3 --slots 2 --width 2"
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
