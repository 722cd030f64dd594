import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from sweep.archive import importing
from sweep.archive.exporting import export_study
from sweep.archive.importing import import_study, read_archive
from sweep.errors import StoreUnreachableError, SweepError
from sweep.study import attributes
from sweep.study.champion import fetch_classifier
from sweep.study.opening import load_study, study_names
from sweep.study.passes import Budget
from sweep.study.results import find_chosen
from sweep.study.storage import create_storage, open_storage
from sweep.tracking.tracker import Tracker


@pytest.fixture
def loop(tiny_study, no_figures):
    """Return the loop of a study with three complete trials."""
    del no_figures
    loop = tiny_study()
    loop.run(Budget(3))
    return loop


@pytest.fixture
def archive(loop, tmp_path):
    """Return the archive of that study."""
    export_study(loop.study, loop.tracker, tmp_path / "tiny.zip")
    return read_archive(tmp_path / "tiny.zip")


def test_an_imported_study_is_listed_and_its_model_is_found(workspace, archive_file, model):
    del workspace
    study = import_study(read_archive(archive_file))
    assert study_names(open_storage()) == ["tiny-softmax"]
    chosen = find_chosen(study)
    assert chosen.number == 0
    assert fetch_classifier(study, chosen, Tracker("tiny")).digest == model.digest
    assert len(study.optuna.user_attrs[attributes.TEST_OPENINGS]) == 2


def test_every_import_is_a_study_of_its_own(workspace, archive_file):
    del workspace
    archive = read_archive(archive_file)
    first, second = import_study(archive), import_study(archive, name="second")
    assert first.identity != second.identity
    assert (first.name, second.name) == ("tiny-softmax", "second")
    assert study_names(open_storage()) == ["second", "tiny-softmax"]


def test_exported_again_it_is_the_same_file(workspace, archive_file):
    study = import_study(read_archive(archive_file))
    export_study(study, Tracker("tiny"), workspace / "again.zip")
    assert (workspace / "again.zip").read_bytes() == archive_file.read_bytes()


def test_a_name_that_is_taken_is_refused_with_the_next_step(workspace, archive_file):
    del workspace
    archive = read_archive(archive_file)
    import_study(archive)
    with pytest.raises(SweepError) as refused:
        import_study(archive)
    assert str(refused.value) == (
        "a study named 'tiny-softmax' is here already; import it under another name with --as NAME"
    )
    assert len(Tracker("tiny").runs(role="import")) == 1


@pytest.mark.parametrize("name", ["../x", "a/b", "<b>", "a\nb", "\x1b[2J", "", "a" * 81, ".x", "é"])
def test_a_name_that_is_no_study_name_is_refused_and_nothing_is_written(
    archive_file, tmp_path, monkeypatch, name
):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    with pytest.raises(SweepError, match=r"^a study name has 1 to 80 .*--as NAME$") as refused:
        import_study(read_archive(archive_file), name=name)
    assert str(refused.value).isprintable()
    assert list(empty.iterdir()) == []


def test_a_store_that_fails_at_the_end_leaves_no_study_and_no_model(
    workspace, archive_file, monkeypatch
):
    del workspace

    def full(*_):
        raise SweepError("the disk is full")

    monkeypatch.setattr(importing, "store_study", full)
    with pytest.raises(SweepError, match="the disk is full"):
        import_study(read_archive(archive_file))
    assert study_names(open_storage()) == []
    assert Tracker("tiny").runs(role="import") == []


def test_a_run_that_cannot_be_ended_does_not_cost_the_study(workspace, archive_file, monkeypatch):
    del workspace

    def away(*_):
        raise StoreUnreachableError("MLflow is away")

    monkeypatch.setattr("sweep.tracking.run.Run.end", away)
    study = import_study(read_archive(archive_file))
    assert study_names(open_storage()) == [study.name]


def test_a_killed_import_has_imported_nothing_and_the_next_one_goes_on_from_there(
    workspace, archive_file, monkeypatch, model
):
    del workspace
    archive = read_archive(archive_file)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(importing, "store_study", killed)
        dying.setattr(importing, "_withdrawn_if_broken", lambda _: nullcontext())
        with pytest.raises(KeyboardInterrupt):
            import_study(archive)
    assert study_names(open_storage()) == []
    (left,) = Tracker("tiny").runs(role="import")
    assert left.info.status == "RUNNING"

    study = import_study(archive)
    (run,) = Tracker("tiny").runs(role="import")
    assert (run.info.run_id, run.info.status) == (left.info.run_id, "FINISHED")
    assert run.data.tags["sweep.study_id"] == study.identity
    assert fetch_classifier(study, find_chosen(study), Tracker("tiny")).digest == model.digest


def test_a_study_without_a_model_needs_no_mlflow(tiny_study, tmp_path):
    loop = tiny_study()
    export_study(loop.study, loop.tracker, tmp_path / "tiny.zip")
    study = import_study(
        read_archive(tmp_path / "tiny.zip"), name="copy", tracking_uri="gopher://nowhere"
    )
    assert study.trials() == []


def test_an_imported_study_goes_on_as_the_first_one_does(  # noqa: PLR0917 - fixtures
    loop, archive, tiny_study, tiny_npz, outcome, in_both_stores
):
    import_study(archive, name="copy", data=tiny_npz)
    copy = tiny_study(study_name="copy")
    loop.run(Budget(6))
    copy.run(Budget(6))
    assert len(copy.study.trials()) == 6
    assert outcome(copy.study) == outcome(loop.study)
    in_both_stores(copy.study, copy.tracker)


def test_the_data_file_is_looked_for_under_its_name_in_the_folder(loop, archive, workspace):
    del loop
    study = import_study(archive, name="copy")
    assert study.settings.data.source == str(workspace / "tiny.npz")


def test_the_data_file_may_lie_elsewhere_under_another_name(archive, tmp_path, tiny_npz):
    mine = tmp_path / "mine.npz"
    shutil.copy(tiny_npz, mine)
    study = import_study(archive, name="copy", data=mine)
    assert study.settings.data.source == str(mine)
    assert study.settings.data.name == "tiny"


@pytest.mark.parametrize("rows", [9, 90])
def test_a_file_with_other_data_is_refused_before_anything_is_written(archive, tmp_path, rows):
    features = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    np.savez(tmp_path / "other.npz", X=features, y=np.arange(rows) % 3)
    with pytest.raises(SweepError, match=r"other.npz: these are not the study's data: .*--data"):
        import_study(archive, name="copy", data=tmp_path / "other.npz")
    assert study_names(open_storage()) == ["tiny-softmax"]


def test_a_data_file_for_a_built_in_data_set_is_refused(finished_study, tmp_path, monkeypatch):
    monkeypatch.chdir(finished_study)
    uri = f"sqlite:///{finished_study}/mlruns/mlflow.db"
    study = load_study("digits-softmax", create_storage())
    export_study(study, Tracker("digits", uri=uri), tmp_path / "digits.zip")
    archive = read_archive(tmp_path / "digits.zip")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SweepError) as refused:
        import_study(archive, data=Path("x.npz"))
    assert str(refused.value) == "x.npz: the study is on digits, not on a file; leave --data out"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.zip"]


@pytest.mark.parametrize("what", ["absent", "folder"])
def test_what_is_no_file_is_said(tmp_path, what):
    (tmp_path / "folder").mkdir()
    with pytest.raises(SweepError) as refused:
        read_archive(tmp_path / what)
    assert str(refused.value) == f"{tmp_path / what}: there is no such file"
