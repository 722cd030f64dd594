import fcntl
import os
import socket
import threading

import pytest
from filelock import FileLock

from sweep.errors import SweepError
from sweep.study.lock import GLANCE_SECONDS, is_held, refuse_running, study_lock


def test_a_second_holder_is_told_which_process_on_which_host_is_the_first(workspace):
    del workspace
    with (
        study_lock("digits-bce"),
        pytest.raises(SweepError) as refused,
        study_lock("digits-bce"),
    ):
        pass
    assert str(refused.value) == (
        f"study 'digits-bce' is being run by process {os.getpid()} on {socket.gethostname()}; "
        "wait for it, stop it, or choose another name with --study"
    )


def test_another_study_may_run_at_the_same_time(workspace):
    with study_lock("one"), study_lock("two"):
        assert (workspace / "mlruns" / "two.owner").exists()


def test_the_lock_falls_with_an_error(workspace):
    with pytest.raises(ValueError, match="inside"), study_lock("one"):
        raise ValueError("inside")
    assert not (workspace / "mlruns" / "one.owner").exists()
    with study_lock("one"):
        assert (workspace / "mlruns" / "one.owner").exists()


def test_what_a_dead_process_left_is_taken_over(workspace):
    (workspace / "mlruns" / "one.lock").touch()
    (workspace / "mlruns" / "one.owner").write_text("process 1 on nowhere")
    with study_lock("one"):
        assert (workspace / "mlruns" / "one.owner").read_text() == (
            f"process {os.getpid()} on {socket.gethostname()}"
        )


@pytest.mark.parametrize("written", [None, ""])
def test_a_holder_that_has_not_written_its_name_yet_is_another_process(workspace, written):
    if written is not None:
        (workspace / "mlruns" / "one.owner").write_text(written)
    with (
        FileLock(workspace / "mlruns" / "one.lock"),
        pytest.raises(SweepError, match="is being run by another process; wait"),
        study_lock("one"),
    ):
        pass


def test_a_study_that_is_run_is_refused_before_its_rows_are_loaded(workspace):
    refuse_running("one")
    assert not (workspace / "mlruns" / "one.lock").exists()
    with study_lock("one"), pytest.raises(SweepError, match=f"run by process {os.getpid()} on "):
        refuse_running("one")
    refuse_running("one")


def test_who_looks_whether_a_study_is_run_keeps_nobody_from_running_it(workspace):
    with study_lock("one"):
        pass
    path = workspace / "mlruns" / "one.lock"
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        glance = threading.Timer(GLANCE_SECONDS / 4, fcntl.flock, (file, fcntl.LOCK_UN))
        glance.start()
        with study_lock("one"):
            assert is_held(path)
        glance.join()


def test_an_owner_that_cannot_be_cleared_away_hides_no_other_trouble(workspace):
    owner = workspace / "mlruns" / "one.owner"

    def fail():
        owner.unlink()
        owner.mkdir()
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"), study_lock("one"):
        fail()
