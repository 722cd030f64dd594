import csv
import hashlib
import io
import json
import os
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest
from doubles import NoStore

from sweep.archive import export_study
from sweep.archive.load import CURVES, KNOWN, README, STUDY, TRIALS, unpack
from sweep.errors import SweepError
from sweep.search.lock import study_lock
from sweep.search.record import TEST_OPENINGS, begin_study
from sweep.search.storage import create_storage
from sweep.search.trials import Status

from .conftest import CONFIG, CONFIRMATION, PLACE, NoTracker, begin, make_trial


@pytest.fixture
def empty(elsewhere):
    """Return a study without trials."""
    return begin_study(CONFIG, create_storage(elsewhere), elsewhere)


def test_an_archive_holds_the_study_to_the_bit_and_is_always_the_same(
    origin, model, content, tmp_path
):
    exported = export_study(origin, NoTracker(), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == content
    assert (exported.size, exported.digest) == (len(content), hashlib.sha256(content).hexdigest())
    study, classifier, refit = unpack(content)
    assert refit is None
    one_line = replace(origin.trials()[1], trouble="ValueError: a b")
    assert study.records == [origin.trials()[0], one_line, *origin.trials()[2:]]
    assert study.config.differences(origin.config) == []
    assert study.confirmation.model_dump() == CONFIRMATION
    assert (study.selected.number, exported.selected.number) == (0, 0)
    assert classifier.digest == model.digest
    running = study.records[-1]  # of it the beginning alone is written
    assert (running.number, running.status) == (5, Status.RUNNING)
    assert (running.curves, running.metrics, running.ended) == ({}, {}, None)


def test_any_unzip_opens_it_and_nothing_of_this_machine_is_in_it(origin, content, members):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert tuple(archive.namelist()) == KNOWN[:-1]  # there is no refit
    for text in (PLACE, str(origin.workspace.root), origin.identity):
        assert text.encode() not in content
    study = json.loads(members[STUDY])
    assert (study["format"], study["version"]) == ("sweep study", 2)


def test_the_tables_have_every_float_and_pandas_reads_them_as_the_readme_says(members, archived):
    import pandas as pd

    rows = list(csv.DictReader(io.StringIO(members[TRIALS].decode())))
    assert [row["status"] for row in rows] == [
        *("complete", "pruned", "failed", "complete", "running"),
    ]
    last, trial = rows[3], archived[0].records[3]
    assert (float(last["objective"]), rows[1]["objective"]) == (trial.last("val/accuracy"), "")
    assert {name: float(last[name]) for name in trial.params} == trial.params
    assert last["ended"].startswith("2026-05-28T")
    assert last["ended"].endswith(".227+00:00")
    curves = pd.read_csv(io.BytesIO(members[CURVES]))
    for one in archived[0].records:
        for metric, curve in one.curves.items():
            assert curves[curves["trial"] == one.number][metric].tolist() == curve
    assert b'pivot(index="epoch", columns="trial", values="val/accuracy")' in members[README]


def test_the_readme_names_every_file_and_what_was_found(members):
    said = members[README].decode()
    assert all(name in said for name in members if name != README)
    for part in ("tiny-softmax", "2 complete, 1 pruned, 1 failed, 1 unfinished", "Selected: 0."):
        assert part in said
    assert max(map(len, said.splitlines())) <= 100


def test_a_study_without_trials_has_no_model(empty, tmp_path):
    assert export_study(empty, NoTracker(), tmp_path / "a.zip").selected is None
    study, classifier, _ = unpack((tmp_path / "a.zip").read_bytes())
    assert (study.trials, study.selected, classifier) == ([], None, None)


def test_what_is_being_run_or_an_import_would_refuse_is_not_written(empty, tmp_path):
    with study_lock(empty.workspace, empty.name), pytest.raises(SweepError, match="being run by"):
        export_study(empty, NoTracker(), tmp_path / "a.zip")
    empty.set_attribute(TEST_OPENINGS, [{"trial": 0}])
    with pytest.raises(SweepError, match=r"tiny-softmax.*cannot be exported.*test_openings\.0"):
        export_study(empty, NoTracker(), tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_model_that_is_gone_is_said_with_what_makes_it_anew(empty, tmp_path):
    trial = make_trial(0, 0, Status.COMPLETE, 3, "1" * 64)
    begin(empty, trial)
    empty.end(trial)
    with pytest.raises(SweepError, match=r"gone.*`sweep reproduce tiny-softmax --trial 0`"):
        export_study(empty, NoStore(), tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_failed_write_leaves_the_old_archive_and_nothing_else(empty, tmp_path, monkeypatch):
    file = tmp_path / "out" / "a.zip"
    file.parent.mkdir()
    export_study(empty, NoTracker(), file)
    before = file.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweep_model.npz.os", SimpleNamespace(fsync=full, getpid=os.getpid))
    with pytest.raises(SweepError, match=r"a.zip: cannot be written: No space left .*--out"):
        export_study(empty, NoTracker(), file)
    assert list(file.parent.iterdir()) == [file]
    assert file.read_bytes() == before


def test_built_in_data_keep_their_source(empty, tmp_path):
    for source, directory in (("cifar10", "/data/cifar"), ("digits", None)):
        data = replace(CONFIG.data, source=source, name=source, directory=directory)
        study = replace(empty, config=replace(CONFIG, data=data))
        export_study(study, NoTracker(), tmp_path / "a.zip")
        assert unpack((tmp_path / "a.zip").read_bytes())[0].config.data.source == source


def test_of_files_their_names_are_kept(empty, tmp_path):
    parts = {"labels": f"{PLACE}/y.npy", "test": f"{PLACE}/t.npy", "names": {"X": "a"}}
    data = replace(CONFIG.data, source=f"{PLACE}/x.npy", parts=parts, normalise="unit")
    export_study(replace(empty, config=replace(CONFIG, data=data)), NoTracker(), tmp_path / "a.zip")
    kept = unpack((tmp_path / "a.zip").read_bytes())[0].config.data
    assert (kept.source, kept.normalise) == ("tiny.npy", "unit")
    assert kept.parts == {"labels": "y.npy", "test": "t.npy", "names": {"X": "a"}}
