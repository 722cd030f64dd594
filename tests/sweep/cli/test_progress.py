import re
from functools import partial
from io import StringIO

import pytest
from rich.console import Console

from sweep.cli import count, progress
from sweep.cli.progress import watching, watching_epochs


@pytest.fixture
def config(make_config):
    return make_config(epochs=10)


@pytest.fixture
def pruned(make_trial):
    return partial(make_trial, status="pruned", reason="rung 1: behind")


@pytest.fixture
def seen(monkeypatch):
    """Return a function that makes stderr a terminal or a pipe, and what was written to it."""

    def on(*, terminal, width=80):
        written = StringIO()
        console = partial(
            Console, file=written, force_terminal=terminal, width=width, color_system=None
        )
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(progress, "console_of", lambda **_: console())
        return written

    return on


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose last number is the time."""
    times = [0.0]
    monkeypatch.setattr(count.time, "monotonic", lambda: times[-1])
    return times


def plain(written):
    """Return the text without what moves the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue())


def test_a_pipe_gets_one_plain_line_a_trial(seen, clock, config, make_trial, pruned):
    written = seen(terminal=False)
    with watching(config, total=4) as listener:
        listener.trial_known(make_trial(0, [0.75] * 10))
        listener.trial_began(1)
        clock.append(6.0)
        listener.trial_ended(make_trial(1, [0.7] * 10))
        listener.trial_began(2)
        reason = "diverged in epoch 1: the [bold] cost"
        listener.trial_ended(make_trial(2, [], status="failed", reason=reason))
        listener.trial_began(3)
        listener.trial_ended(pruned(3, [0.4, 0.5]))
        listener.warned("no [champion]")
        listener.trial_began(4)
        listener.trial_ended(make_trial(4, [0.8] * 10))
    assert written.getvalue() == (
        "trial 1 complete: val/accuracy 0.7000 after 10 of 10 epochs; 2 of 4 done; "
        "best 0.7500 (trial 0)\n"
        "trial 2 failed: after 0 of 10 epochs; diverged in epoch 1: the [bold] cost; "
        "2 of 4 done; best 0.7500 (trial 0)\n"
        "trial 3 pruned: val/accuracy 0.5000 after 2 of 10 epochs; 3 of 4 done; "
        "best 0.7500 (trial 0)\n"
        "warning: no [champion]\n"
        "trial 4 complete: val/accuracy 0.8000 after 10 of 10 epochs; 4 of 4 done; "
        "best 0.8000 (trial 4)\n"
    )


def test_a_pipe_gets_a_sign_of_life_while_all_trials_train(seen, clock, config):
    written = seen(terminal=False)
    with watching(config, total=2) as listener:
        for number in (0, 1):
            listener.trial_began(number)
        for epoch in (1, 2, 3):
            clock.append(6.0 * epoch)
            for number in (0, 1):
                listener.epoch_ended(number, epoch, 0.5)
            listener.pass_ended(2)
    assert written.getvalue() == (
        "2 trials in training; 0 of 2 done; leading 0.5000 (trial 0); about 48 s left\n"
    )


def test_a_long_line_is_not_broken_for_a_pipe(seen, config):
    written = seen(terminal=False)
    with watching(config, total=4) as listener:
        listener.warned("word " * 100)
    assert written.getvalue().count("\n") == 1


def test_a_terminal_gets_a_bar_with_count_best_and_time_left(seen, config, make_trial):
    written = seen(terminal=True)
    with watching(config, total=4) as listener:
        listener.trial_known(make_trial(0, [0.75] * 10))
        now = [listener.progress.get_time()]
        listener.progress.get_time = lambda: now[-1]
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
    assert "trials" in last
    assert "2/4" in last
    assert "1 in training  best 0.7500 (trial 0)" in last
    assert last.rstrip().endswith("left 0:17:00")  # 17 of 40 epochs, 60 s each


def test_what_an_earlier_run_trained_does_not_count_as_pace(seen, config, make_trial, clock):
    seen(terminal=False)
    with watching(config, total=4) as listener:
        for number in (0, 1):
            listener.trial_known(make_trial(number, [0.75] * 10))
        listener.trial_began(2)
        clock.append(6.0)
        listener.epoch_ended(2, 1, 0.6)
        assert listener.seconds_left == 19 * 6.0


def test_the_bar_counts_what_is_finished_and_steps_back_from_what_failed(
    seen, config, make_trial, pruned
):
    seen(terminal=True)
    with watching(config, total=4) as listener:

        def stands():
            (task,) = listener.progress.tasks
            return task.completed, task.fields["count"]

        listener.trial_began(0)
        listener.epoch_ended(0, 3, 0.5)
        listener.pass_ended(1)
        assert stands() == (3, "0/4")
        listener.trial_ended(make_trial(0, [0.5] * 3, status="failed", reason="broke"))
        assert stands() == (0, "0/4")
        listener.trial_began(1)
        listener.epoch_ended(1, 3, 0.5)
        listener.trial_ended(pruned(1, [0.5] * 3))
        assert stands() == (10, "1/4")
        assert listener.progress.tasks[0].total == 40


def test_before_there_is_a_result_the_leader_of_those_in_training_is_shown(seen, config):
    written = seen(terminal=True)
    with watching(config, total=3) as listener:
        for number, value in enumerate([0.5, 0.7, 0.6]):
            listener.trial_began(number)
            listener.epoch_ended(number, 1, value)
        listener.trial_began(3)  # of which nothing is known yet
        listener.pass_ended(4)
        listener.progress.refresh()
    assert "4 in training  leading 0.7000 (trial 1)" in plain(written)


def test_less_is_better_where_the_objective_is_a_loss(seen, make_config, make_trial):
    seen(terminal=True)
    with watching(make_config(objective="val-loss"), total=3) as listener:
        for number, value in enumerate([0.5, 0.7]):
            listener.trial_began(number)
            listener.epoch_ended(number, 1, value)
        assert str(listener.leader) == "leading 0.5000 (trial 0)"
        for number, loss in enumerate([0.5, 0.3]):
            listener.trial_ended(make_trial(number, [0.4], losses=[loss]))
        assert str(listener.leader) == "best 0.3000 (trial 1)"


def test_a_wide_terminal_has_the_curve_of_the_leader(seen, config):
    for width, drawn in ((80, False), (119, False), (120, True), (160, True)):
        written = seen(terminal=True, width=width)
        with watching(config, total=3) as listener:
            listener.trial_began(0)
            for epoch, value in enumerate([0.1, 0.5, 0.9], start=1):
                listener.epoch_ended(0, epoch, value)
                listener.pass_ended(1)
            listener.progress.refresh()
        assert ("▁▅█" in plain(written)) == drawn
        assert max(map(len, re.split(r"[\r\n]", plain(written)))) <= width


def test_the_bar_fits_into_80_columns_when_much_is_to_be_said(seen, config, make_trial, pruned):
    written = seen(terminal=True)
    with watching(config, total=1000) as listener:
        listener.trial_known(make_trial(999, [0.7512]))
        for number in range(998):
            listener.trial_known(pruned(number, [0.1]))
        for number in range(1000, 1050):
            listener.trial_began(number)
        listener.trial_ended(pruned(1000, [0.1]))
        listener.progress.refresh()
    last = plain(written).split("\r")[-3]
    assert "1000/1000 49 in training  best 0.7512 (trial 999) left" in last
    assert len(last) <= 80


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(seen, monkeypatch, config, pruned):
    written = seen(terminal=True)
    monkeypatch.setenv("TERM", "dumb")
    with watching(config, total=1) as listener:
        listener.trial_began(0)
        listener.trial_ended(pruned(0, []))
    assert written.getvalue() == "trial 0 pruned: after 0 of 10 epochs; 1 of 1 done\n"


def test_failures_and_warnings_stay_above_the_bar_as_they_are(seen, config, make_trial):
    written = seen(terminal=True)
    with watching(config, total=4) as listener:
        listener.trial_began(0)
        listener.trial_ended(make_trial(0, [], status="failed", reason="the [bold] cost is nan"))
        listener.trial_began(1)
        listener.trial_ended(make_trial(1, [0.5]))
        listener.warned("no [champion] is registered")
    assert "trial 0 failed: the [bold] cost is nan\n" in plain(written)
    assert "warning: no [champion] is registered\n" in plain(written)
    assert "trial 1 complete" not in plain(written)


def test_one_training_tells_a_pipe_a_tenth_of_its_epochs_and_the_last(seen):
    written = seen(terminal=False)
    with watching_epochs(25) as on_epoch:
        for epoch in range(1, 26):
            on_epoch(epoch, {"val/accuracy": epoch / 100})
    told = [int(line.split()[1]) for line in written.getvalue().splitlines()]
    assert told == [*range(2, 25, 2), 25]
    assert written.getvalue().endswith("epoch 25 of 25: val/accuracy 0.2500\n")


def test_one_training_moves_a_bar_on_a_terminal(seen):
    written = seen(terminal=True)
    with watching_epochs(20) as on_epoch:
        on_epoch(7, {"val/accuracy": 0.5})
    assert "7/20 epochs val/accuracy 0.5000" in plain(written)
    assert "epoch 7 of 20" not in plain(written)
