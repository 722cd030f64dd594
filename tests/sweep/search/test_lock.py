import os
import signal
import socket
import threading
from contextlib import suppress

import pytest
from filelock import FileLock

from sweep.errors import SweepError
from sweep.search.lock import (
    SIGNALS,
    WAIT_SECONDS,
    InterruptedStudyError,
    Interrupts,
    is_held,
    record_lock,
    refuse_running,
    runner_of,
    study_lock,
)
from sweep.workspace import Workspace

ME = f"process {os.getpid()} on {socket.gethostname()}"


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "mlruns").mkdir()
    return Workspace(tmp_path)


@pytest.fixture
def owner(workspace):
    return workspace.folder / "one.owner"


def test_a_second_holder_is_told_which_process_on_which_host_is_the_first(workspace):
    with (
        study_lock(workspace, "one"),
        pytest.raises(SweepError, match=f"'one' is being run by {ME}; .*another name"),
        study_lock(workspace, "one"),
    ):
        pass


def test_another_study_may_run_at_the_same_time(workspace):
    with study_lock(workspace, "one"), study_lock(workspace, "two"):
        assert runner_of(workspace, "one") == runner_of(workspace, "two") == ME
    assert runner_of(workspace, "one") is None


def test_the_lock_falls_with_an_error(workspace, owner):
    with pytest.raises(ValueError, match="inside"), study_lock(workspace, "one"):
        raise ValueError("inside")
    assert not owner.exists()
    with study_lock(workspace, "one"):
        assert owner.exists()


def test_what_a_dead_process_left_is_taken_over(workspace, owner):
    workspace.lock("one").touch()
    owner.write_text("process 1 on nowhere")
    assert runner_of(workspace, "one") is None
    with study_lock(workspace, "one"):
        assert owner.read_text() == ME


@pytest.mark.parametrize("written", [None, ""])
def test_a_holder_that_has_not_written_its_name_yet_is_another_process(workspace, owner, written):
    if written is not None:
        owner.write_text(written)
    with (
        FileLock(workspace.lock("one")),
        pytest.raises(SweepError, match="is being run by another process; wait"),
        study_lock(workspace, "one"),
    ):
        pass


def test_a_study_that_is_run_is_refused_before_its_rows_are_loaded(workspace):
    refuse_running(workspace, "one")
    assert not workspace.lock("one").exists()
    with study_lock(workspace, "one"), pytest.raises(SweepError, match=f"run by {ME}"):
        refuse_running(workspace, "one")
    refuse_running(workspace, "one")


def test_who_looks_whether_a_study_is_run_keeps_nobody_from_running_it(workspace):
    fcntl = pytest.importorskip("fcntl")
    with study_lock(workspace, "one"):
        pass
    path = workspace.lock("one")
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        release = threading.Timer(WAIT_SECONDS / 4, fcntl.flock, (file, fcntl.LOCK_UN))
        release.start()
        with study_lock(workspace, "one"):
            assert is_held(path)
        release.join()


def test_an_owner_that_cannot_be_cleared_away_hides_no_other_trouble(workspace, owner):
    def fail():
        owner.unlink()
        owner.mkdir()
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"), study_lock(workspace, "one"):
        fail()


def test_the_record_is_changed_by_one_at_a_time_also_while_the_study_runs(workspace):
    with study_lock(workspace, "one"), record_lock(workspace, "one"):
        other = threading.Thread(target=lambda: record_lock(workspace, "one").__enter__())
        other.daemon = True
        other.start()
        other.join(0.1)
        assert other.is_alive()
    other.join(10)
    assert not other.is_alive()


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_remembered_and_nothing_is_raised(number):
    with Interrupts().listening() as interrupts:
        assert interrupts.received is None
        os.kill(os.getpid(), number)
        assert interrupts.received == number


def test_the_handlers_of_before_are_back_afterwards():
    before = [signal.getsignal(number) for number in SIGNALS]
    with suppress(ValueError), Interrupts().listening():
        assert [signal.getsignal(number) for number in SIGNALS] != before
        raise ValueError
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.slow
def test_a_signal_that_the_shell_had_ignored_is_heard():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts().listening() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.received == signal.SIGINT
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_is_the_one_of_shells(number, code):
    interrupts = Interrupts()
    interrupts.received = number
    with pytest.raises(InterruptedStudyError, match="stopped here") as raised:
        interrupts.raise_received("stopped here")
    assert raised.value.exit_code == code


def test_without_a_signal_nothing_is_raised():
    Interrupts().raise_received("stopped here")


@pytest.mark.slow
def test_a_hangup_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts().listening() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
        assert interrupts.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
@pytest.mark.parametrize(("second", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_a_process_of_ours_at_once(monkeypatch, capfd, second, code):
    ends = []
    monkeypatch.setattr("sweep.search.lock.os._exit", ends.append)
    monkeypatch.setattr(Interrupts, "own_process", True)
    with Interrupts().listening():
        os.kill(os.getpid(), signal.SIGINT)
        assert ends == []
        assert capfd.readouterr().err.startswith("\nsweep: stopping")
        os.kill(os.getpid(), second)
        assert ends == [code]


@pytest.mark.slow
def test_in_a_process_of_somebody_else_a_second_signal_raises(monkeypatch, capfd):
    monkeypatch.setattr(Interrupts, "own_process", False)
    with Interrupts().listening():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert capfd.readouterr().err == ""
