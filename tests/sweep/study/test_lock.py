import os
import socket

import pytest
from filelock import FileLock

from sweep.errors import SweepError
from sweep.study.lock import study_lock


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
