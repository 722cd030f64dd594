import math
import re
import sys
import warnings
from functools import partial
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import sweep.terminal
from sweep.terminal import (
    BLOCKS,
    PLAIN_WIDTH,
    BlockScale,
    draws_blocks,
    make_console,
    print_table,
    say,
    shared_scale,
    sparkline,
    table_width,
    tied_mark,
    watching,
    watching_epochs,
    watching_passes,
)


class Terminal(TextIOWrapper):
    """A stdout that says it is a terminal, and keeps what it got."""

    def isatty(self):
        return True

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode()


@pytest.fixture
def terminal(monkeypatch):
    """Return a function that makes stdout a colour terminal of 40 columns."""

    def make(encoding="utf-8"):
        stdout = Terminal(BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setenv("COLUMNS", "40")
        monkeypatch.setenv("TERM", "xterm-256color")
        return stdout

    return make


def test_a_table_shows_cells_as_they_are_words_left_and_numbers_right(capsys):
    title = "a title that is wider than the table"
    print_table(["study", "best"], [["[red]", "1"], ["longer-name", "22222"]], title=title)
    first, header, rule, *rows = capsys.readouterr().out.splitlines()
    assert first.rstrip() == title
    assert header.split() == ["study", "best"]
    assert set(rule) == {"─"}
    assert [row.rstrip() for row in rows] == ["[red]           1", "longer-name 22222"]
    assert table_width({"val\nacc": ["90.0%", "-"], "trial": ["0"], "x": ["22"]}) == 14


def test_a_pipe_has_one_width_and_a_terminal_its_own(terminal, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    assert make_console().width == PLAIN_WIDTH == 200
    say("word " * 100)
    assert capsys.readouterr().out.count("\n") == 1
    stdout = terminal()
    assert make_console().width == 40
    say("[red]word " * 10)
    assert [len(line.split()) for line in stdout.text().splitlines()] == [4, 4, 2]


def test_styles_reach_a_terminal_but_for_no_color(terminal, monkeypatch):
    stdout = terminal()
    print_table(["trial"], [["1"]], title="All", styles=["dim"])
    assert "\x1b[1mAll" in stdout.text()
    assert "\x1b[2m" in stdout.text()
    monkeypatch.setenv("NO_COLOR", "1")
    plain_stdout = terminal()
    print_table(["trial"], [["1"]], title="All", styles=["red"])
    assert "\x1b" not in plain_stdout.text()


def test_without_utf_8_nothing_is_said_that_cannot_be_written(terminal):
    stdout = terminal("ascii")
    print_table(["study", "mark"], [["a" * 60, tied_mark()]])
    assert not draws_blocks()
    assert stdout.text().isascii()
    assert "~" in stdout.text()


def test_a_stderr_that_is_gone_loses_what_is_written_and_stops_nothing(monkeypatch):
    class Gone(StringIO):
        def write(self, _):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    make_console(stderr=True).print("a line")


# Curves

UNIT = BlockScale(0.0, 1.0)


def test_a_value_is_drawn_by_its_place_on_the_scale():
    for value, block in (
        *((0.0, "▁"), (0.49, "▄"), (0.5, "▅"), (1.0, "█")),
        *((-5.0, "▁"), (1e100, "█")),  # beyond it, at its ends
        *((value, " ") for value in (None, math.nan, math.inf, -math.inf, 1e300)),
    ):
        assert UNIT.block(value) == block, value
    assert sparkline([0.0, None, 1.0], UNIT, epochs=3, width=3) == "▁ █"


def test_all_curves_share_one_scale_that_an_outlier_does_not_flatten():
    for curves, scale in (
        ([[0.1, 0.2], [0.5]], BlockScale(0.1, 0.5)),
        ([[0.4]], BlockScale(0.4, 0.4)),
        ([[], [math.nan]], BlockScale(0.0, 0.0)),
        (
            [[0.40 + 0.01 * step for step in range(10)], [1e6]],
            BlockScale(0.40, pytest.approx(0.49)),
        ),
        ([[0.1] * 10, [0.9] * 10], BlockScale(0.1, 0.9)),  # no outliers of each other
    ):
        assert shared_scale(curves) == scale
    assert sparkline([0.3] * 3, shared_scale([[0.3] * 3]), epochs=3, width=9) == "▅▅▅"


def test_the_last_block_is_the_last_epoch_and_a_pruned_curve_is_shorter():
    assert sparkline([0.0] * 49 + [1.0], UNIT, epochs=50, width=7) == "▁▁▁▁▁▁█"
    assert sparkline([0.0, 1.0], UNIT, epochs=50, width=7) == "█"
    assert len(sparkline([0.0] * 25, UNIT, epochs=50, width=10)) == 5


@given(
    curve=st.lists(st.floats() | st.none(), max_size=60),
    more=st.integers(0, 60),
    width=st.integers(1, 50),
)
def test_no_curve_is_wider_than_it_may_be_and_none_vanishes(curve, more, width):
    epochs = max(1, len(curve) + more)
    drawn = sparkline(curve, shared_scale([curve]), epochs=epochs, width=width)
    assert len(drawn) <= min(width, epochs)
    assert bool(drawn) == bool(curve)
    assert set(drawn) <= {*BLOCKS, " "}


# Progress


@pytest.fixture
def config(make_config):
    return make_config(epochs=10)


@pytest.fixture
def seen(monkeypatch):
    """Return a function that makes stderr a terminal or a pipe, and what was written to it."""

    def on(*, is_terminal, width=80):
        written = StringIO()
        console = partial(
            Console, file=written, force_terminal=is_terminal, width=width, color_system=None
        )
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sweep.terminal, "make_console", lambda **_: console())
        return written

    return on


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose last number is the time."""
    times = [0.0]
    monkeypatch.setattr(sweep.terminal.time, "monotonic", lambda: times[-1])
    return times


def plain(written):
    """Return the text without what moves the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue())


def test_a_pipe_gets_one_plain_line_a_trial_and_a_sign_of_life(seen, clock, config, make_trial):
    written = seen(is_terminal=False)
    with watching(config, total=4, shown=True) as listener:
        listener.trial_known(make_trial(0, [0.75] * 10))
        listener.trial_began(2)
        reason = "diverged in epoch 1: the [bold] cost"
        listener.trial_ended(make_trial(2, [], status="failed", reason=reason))
        listener.trial_began(3)
        listener.trial_ended(make_trial(3, [0.4, 0.5], status="pruned", reason="rung 1: behind"))
        listener.warned("no [champion] " * 10)
        listener.trial_began(4)
        clock.append(12.0)
        listener.epoch_ended(4, 1, 0.6)
        listener.pass_ended(1)
        listener.trial_ended(make_trial(4, [0.8] * 10))
    assert written.getvalue() == (
        "trial 2 failed: after 0 of 10 epochs; diverged in epoch 1: the [bold] cost; "
        "1 of 4 done; best 0.7500 (trial 0)\n"
        "trial 3 pruned: val/accuracy 0.5000 after 2 of 10 epochs; 2 of 4 done; "
        "best 0.7500 (trial 0)\n"
        f"warning: {'no [champion] ' * 10}\n"
        "1 trials in training; 2 of 4 done; best 0.7500 (trial 0); about 228 s left\n"
        "trial 4 complete: val/accuracy 0.8000 after 10 of 10 epochs; 3 of 4 done; "
        "best 0.8000 (trial 4)\n"
    )


def test_a_terminal_gets_a_bar_with_count_best_and_time_left(seen, config, make_trial):
    written = seen(is_terminal=True)
    with watching(config, total=4, shown=True) as listener:
        now = [listener.progress.get_time()]
        listener.progress.get_time = lambda: now[-1]
        listener.trial_known(make_trial(0, [0.75] * 10))
        listener.trial_began(1)
        now.append(now[-1] + 600)
        listener.trial_ended(make_trial(1, [0.7] * 10))
        listener.trial_began(2)
        for epoch in (1, 2, 3):
            now.append(now[-1] + 60)  # slower than rich's own window of 30 s
            listener.epoch_ended(2, epoch, 0.6)
            listener.pass_ended(1)
        listener.progress.refresh()
    last = plain(written).split("\r")[-3]
    for part in ("trials", "2/4", "1 in training  best 0.7500 (trial 0)"):
        assert part in last
    assert last.rstrip().endswith("left 0:17:00")  # 17 of 40 epochs, 60 s each


def test_the_bar_counts_what_is_finished_and_steps_back_from_what_failed(seen, config, make_trial):
    written = seen(is_terminal=True)
    with watching(config, total=4, shown=True) as listener:

        def stands():
            (task,) = listener.progress.tasks
            return task.completed, task.fields["count"]

        listener.trial_began(0)
        listener.epoch_ended(0, 3, 0.5)
        listener.pass_ended(1)
        assert stands() == (3, "0/4")
        listener.trial_ended(make_trial(0, [0.5] * 3, status="failed", reason="the [bold] cost"))
        assert stands() == (0, "0/4")
        listener.trial_began(1)
        listener.epoch_ended(1, 3, 0.5)
        listener.trial_ended(make_trial(1, [0.5] * 3, status="pruned"))
        assert stands() == (10, "1/4")
        listener.warned("no [champion]")
    assert "trial 0 failed: the [bold] cost\n" in plain(written)
    assert "warning: no [champion]\n" in plain(written)
    assert "trial 1" not in plain(written)


def test_who_leads_is_told_until_there_is_a_best(seen, make_config, make_trial):
    for objective, leading, best in (
        ("val-accuracy", "leading 0.7000 (trial 1)", "best 0.4000 (trial 0)"),
        ("val-loss", "leading 0.5000 (trial 0)", "best 0.3000 (trial 1)"),
    ):
        seen(is_terminal=True)
        with watching(make_config(objective=objective), total=3, shown=True) as listener:
            assert listener.leader == ""
            for number, value in enumerate([0.5, 0.7]):
                listener.trial_began(number)
                listener.epoch_ended(number, 1, value)
            listener.trial_began(2)  # of which nothing is known yet
            assert listener.leader == leading
            for number, loss in enumerate([0.5, 0.3]):
                listener.trial_ended(make_trial(number, [0.4 - number], losses=[loss]))
            assert listener.leader == best


def test_the_bar_fits_into_80_columns_when_much_is_to_be_said(seen, config, make_trial):
    written = seen(is_terminal=True)
    with watching(config, total=1000, shown=True) as listener:
        listener.trial_known(make_trial(999, [0.7512]))
        for number in range(999):
            listener.trial_known(make_trial(number, [0.1], status="pruned"))
        for number in range(1000, 1049):
            listener.trial_began(number)
        listener.pass_ended(49)
        listener.progress.refresh()
    last = plain(written).split("\r")[-3]
    assert "1000/1000 49 in training  best 0.7512 (trial 999) left" in last
    assert len(last) <= 80


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(seen, monkeypatch, config, make_trial):
    written = seen(is_terminal=True)
    monkeypatch.setenv("TERM", "dumb")
    with watching(config, total=1, shown=True) as listener:
        listener.trial_began(0)
        listener.trial_ended(make_trial(0, [], status="pruned"))
    assert written.getvalue() == "trial 0 pruned: after 0 of 10 epochs; 1 of 1 done\n"


def test_one_training_tells_a_tenth_of_its_epochs_or_moves_a_bar(seen):
    written = seen(is_terminal=False)
    with watching_epochs(25, shown=True) as on_epoch:
        for epoch in range(1, 26):
            on_epoch(epoch, {"val/accuracy": epoch / 100})
    assert [int(line.split()[1]) for line in written.getvalue().splitlines()] == [
        *range(2, 25, 2),
        25,
    ]
    written = seen(is_terminal=True)
    with watching_epochs(20, shown=True) as on_epoch:
        on_epoch(7, {"val/accuracy": 0.5})
    assert "7/20 epochs val/accuracy 0.5000" in plain(written)
    with watching_passes(20, shown=True) as on_pass:
        on_pass(7)
    assert "7/20 epochs, left" in plain(written)


def test_what_is_not_to_be_shown_writes_nothing_and_warns_of_trouble(seen, config, make_trial):
    written = seen(is_terminal=True)
    with watching(config, total=1, shown=False) as listener:
        listener.trial_ended(make_trial(0, []))
        with pytest.warns(UserWarning, match="MLflow is away"):
            listener.warned("MLflow is away")
    with warnings.catch_warnings(action="error"), watching_epochs(2, shown=False) as on_epoch:
        on_epoch(1, {"val/accuracy": 0.5})
    with watching_passes(2, shown=False) as on_pass:
        on_pass(1)
    assert written.getvalue() == ""
