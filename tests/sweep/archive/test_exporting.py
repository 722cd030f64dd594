import hashlib
import json
import os
from types import SimpleNamespace

import pytest

from sweep.archive.container import STUDY, TRIALS, unpack
from sweep.archive.contents import read_contents
from sweep.archive.exporting import export_study
from sweep.archive.trial_record import differences
from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.lock import study_lock
from sweep.study.passes import Budget
from sweep.study.results import best_trial


@pytest.fixture
def loop(tiny_study, no_figures):
    """Return the loop of a study with two complete trials."""
    del no_figures
    loop = tiny_study()
    loop.run(Budget(2))
    return loop


def export(loop, file):
    return export_study(loop.study, loop.tracker, file)


def test_an_archive_holds_the_study_to_the_bit(loop, tmp_path):
    file = tmp_path / "out.zip"
    exported = export(loop, file)
    content = file.read_bytes()
    assert (exported.size, exported.digest) == (len(content), hashlib.sha256(content).hexdigest())
    read = read_contents(unpack(content))
    assert read.settings.space == loop.study.settings.space
    trials = loop.study.trials()
    assert [differences(*pair) for pair in zip(trials, read.trials, strict=True)] == [[], []]
    best = best_trial(loop.study.settings, trials)
    assert read.model.digest == best.user_attrs[attributes.WEIGHTS_DIGEST]


def test_the_same_study_is_the_same_bytes(loop, tmp_path):
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    export(loop, first)
    export(loop, second)
    assert first.read_bytes() == second.read_bytes()


def test_nothing_of_this_machine_is_in_it(loop, tmp_path, tiny_npz):
    export(loop, tmp_path / "out.zip")
    members = unpack((tmp_path / "out.zip").read_bytes())
    run_ids = [run.info.run_id for run in loop.tracker.runs()]
    assert len(run_ids) > 1
    for name in (STUDY, TRIALS):
        text = members[name].decode()
        assert str(tiny_npz.parent) not in text
        assert str(tmp_path) not in text
        assert not any(run_id in text for run_id in run_ids)
        assert loop.study.identity not in text


def test_a_trial_that_a_dead_process_left_running_is_exported_as_interrupted(loop, tmp_path):
    loop.study.optuna.ask()
    exported = export(loop, tmp_path / "out.zip")
    assert exported.contents.trials[2].user_attrs[attributes.ENDING] == Ending.INTERRUPTED
    assert len(read_contents(unpack((tmp_path / "out.zip").read_bytes())).trials) == 3


def test_a_study_that_is_being_run_is_not_exported(loop, tmp_path):
    with study_lock(loop.study.name), pytest.raises(SweepError, match="is being run by"):
        export(loop, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_what_an_import_would_refuse_is_not_written(loop, tmp_path):
    loop.study.optuna.set_user_attr(attributes.TEST_OPENINGS, [{"trial": 0}])
    with pytest.raises(SweepError) as refused:
        export(loop, tmp_path / "out.zip")
    assert str(refused.value) == (
        "study 'tiny-softmax' cannot be exported: an opening of the test rows lacks 'time'"
    )
    assert not (tmp_path / "out.zip").exists()


def test_what_would_be_lost_is_named(loop, tmp_path):
    trial = loop.study.trials()[1]
    loop.study.storage._backend.engine.dispose()
    with loop.study.storage._backend.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (?, 'mine', '1')",
            (trial._trial_id,),
        )
    from sweep.study.opening import load_study
    from sweep.study.storage import open_storage

    study = load_study(loop.study.name, open_storage())
    with pytest.raises(SweepError) as refused:
        export_study(study, loop.tracker, tmp_path / "out.zip")
    assert str(refused.value) == (
        "study 'tiny-softmax' cannot be exported: trial 1 was not recorded as sweep does it, "
        "mine would be lost"
    )


def test_a_trial_that_sweep_did_not_record_is_not_exported(loop, tmp_path):
    loop.study.optuna.optimize(lambda _: 0.0, n_trials=1)
    with pytest.raises(SweepError) as refused:
        export(loop, tmp_path / "out.zip")
    assert str(refused.value) == (
        "study 'tiny-softmax' cannot be exported: trial 2 must end as complete, pruned, diverged, "
        "error, interrupted: got None"
    )


def test_a_failed_write_leaves_the_old_file_and_nothing_else(loop, tmp_path, monkeypatch):
    file = tmp_path / "out" / "out.zip"
    file.parent.mkdir()
    export(loop, file)
    before = file.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweep.outputs.os", SimpleNamespace(fsync=full, getpid=os.getpid))
    with pytest.raises(SweepError) as refused:
        export(loop, file)
    assert str(refused.value) == (
        f"{file}: cannot be written: No space left on device; choose another place with --out"
    )
    assert list(file.parent.iterdir()) == [file]
    assert file.read_bytes() == before


def test_a_file_of_somebody_elses_is_not_replaced(loop, tmp_path):
    file = tmp_path / "out.zip"
    file.write_bytes(b"my own")
    with pytest.raises(SweepError, match="is there already and is no archive of sweep's"):
        export(loop, file)
    assert file.read_bytes() == b"my own"


def test_a_folder_that_is_not_there_is_said(loop, tmp_path):
    with pytest.raises(SweepError, match="absent is no folder; name another"):
        export(loop, tmp_path / "absent" / "out.zip")


def test_a_model_that_is_gone_is_said_with_what_makes_it_anew(loop, tmp_path):
    for run in loop.tracker.runs(role="trial"):
        loop.tracker.client.delete_run(run.info.run_id)
    with pytest.raises(SweepError, match="`sweep reproduce tiny-softmax --trial"):
        export(loop, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_a_study_without_trials_is_exported_without_a_model(tiny_study, tmp_path):
    loop = tiny_study()
    export(loop, tmp_path / "out.zip")
    members = unpack((tmp_path / "out.zip").read_bytes())
    assert json.loads(members[TRIALS]) == []
    assert json.loads(members[STUDY])["chosen_trial"] is None
