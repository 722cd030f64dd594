from sweep.cli.show import EPOCHS, INTERVAL, TRAIN, trial_table
from sweep.cli.tables import table_width

INTERVAL_LINE = (
    "95 % interval: of each accuracy by itself, on 300 validation rows; "
    "the best of many is optimistic"
)
SETTING = {
    "l2": 0.000123,
    "learning_rate": 0.000456,
    "decay_period": 50,
    "batch_size": 400,
    "flip_probability": 0.0123,
}


def trial(number, status="complete", accuracy=0.9):
    return {
        "trial": number,
        "status": status,
        "val/accuracy": accuracy,
        "val/loss": None if accuracy is None else 1 - accuracy,
        "train/accuracy": accuracy,
        "epochs": 50 if accuracy is not None else 0,
        **SETTING,
    }


def laid_out(*trials, width=200, blocks=True, curves=None, epochs=50):
    curve = [0.5] * 25 + [0.9] * 25
    return trial_table(
        trials or [trial(0)],
        {0: "*"},
        curves if curves is not None else {0: curve},
        validation_rows=300,
        epochs=epochs,
        width=width,
        blocks=blocks,
    )


def test_where_there_is_room_all_is_shown():
    table = laid_out(trial(0), trial(1, "failed", None))
    assert table.rows[0][:6] == ("*0", "complete", "50", "90.0%", "[86.1, 92.9]", "0.1")
    assert table.rows[1][:7] == ("1", "failed", "0", "-", "-", "-", "-")
    assert [row[-1] for row in table.rows] == ["▁" * 20 + "█" * 20, ""]


def test_what_gives_way_in_a_narrow_terminal():
    everything = laid_out().columns
    for width, missing, blocks in (
        (200, set(), 40),
        (160, set(), 40),
        (100, set(), 10),
        (95, {INTERVAL}, 18),
        (80, {INTERVAL, TRAIN}, 9),
        (76, {INTERVAL, TRAIN, EPOCHS}, 12),
        (70, {INTERVAL, TRAIN}, 0),
        (40, {INTERVAL, TRAIN, EPOCHS}, 0),
    ):
        table = laid_out(width=width)
        gone = missing | (set() if blocks else {"curve"})
        assert set(everything) - set(table.columns) == gone, width
        assert len(table.columns.get("curve", [""])[0]) == blocks, width


def test_no_table_is_wider_than_the_terminal():
    trials = trial(0), trial(999, "complete")
    for width in range(67, 200):
        assert table_width(laid_out(*trials, width=width).columns) <= width, width


def test_where_no_block_can_be_shown_the_rest_stays():
    assert {"curve"} == set(laid_out().columns) - set(laid_out(blocks=False).columns)
    assert laid_out(curves={0: [], 1: []}).scale is None


def test_trials_that_are_not_shown_count_for_the_scale():
    table = laid_out(trial(0), curves={0: [0.5], 7: [0.0, 1.0]}, epochs=2)
    assert table.columns["curve"] == ["▅"]


def test_the_legend_says_how_to_read_what_is_there():
    assert laid_out().legend("val/accuracy", 300) == [
        "curve: val/accuracy by epoch, from ▁ 0.5 to █ 0.9, or beyond",
        INTERVAL_LINE,
    ]
    assert laid_out(width=70, blocks=False).legend("val/accuracy", 1000) == [
        "One standard error of an accuracy near 50 % on 1,000 rows is 1.6 points."
    ]
