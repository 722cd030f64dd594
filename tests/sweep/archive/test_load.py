"""Files that are no archive, and studies that are imported."""

import io
import json
import os
import pickle
import signal
import struct
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from sweep.analysis import fetch_classifier, find_selected
from sweep.archive import Archive, export_study, import_study, load, read_archive
from sweep.archive.export import _pack
from sweep.archive.load import MODEL, README, STUDY, TRIALS, unpack
from sweep.archive.models import RefusedError
from sweep.data import choose_data, open_source
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search import record
from sweep.search.lock import InterruptedStudyError, study_lock
from sweep.search.record import (
    Budget,
    begin_study,
    load_study,
    recorded_studies,
    study_names,
)
from sweep.search.storage import create_storage, open_storage
from sweep.search.trials import Status
from sweep.workspace import Workspace
from sweep_model.losses import LOSSES

from .conftest import CONFIG, SETTING, NoTracker, make_model


def refusal(content):
    """Return why an archive is refused: one line of bounded length."""
    with pytest.raises((RefusedError, SweepError)) as refused:
        unpack(content)
    said = str(refused.value)
    assert len(said) < 500
    return said


class Bomb:
    """Would make a folder as soon as it was unpickled."""

    def __reduce__(self):
        return os.mkdir, ("opened",)


def zipped(members, **options):
    """Return a .zip of (name, content) pairs, as somebody else's program would write it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", **options) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile, of names that are there twice
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def with_sizes(content, size):
    """Let the list of members say that the last one has another size than it has."""
    changed = bytearray(content)
    struct.pack_into("<II", changed, changed.rindex(b"PK\1\2") + 20, size, size)
    return bytes(changed)


def test_a_file_that_is_no_archive_of_this_version_is_refused(members, content):
    items = [*members.items()]
    bomb = [*(members | {TRIALS: bytes(50_000_000)}).items()]
    overlapping = bytearray(content)
    (first,) = struct.unpack_from("<I", content, len(content) - 6)  # where the list of members is
    last = overlapping.rindex(b"PK\1\2")
    overlapping[last + 42 : last + 46] = overlapping[first + 42 : first + 46]
    encrypted = bytearray(content)
    encrypted[6] |= 1
    encrypted[first + 8] |= 1
    for made, *said in (
        (b"", "no whole .zip"),
        (pickle.dumps(Bomb()), "no whole .zip"),
        (content[:-100], "it is no"),
        (bytes(overlapping), "no whole .zip"),
        (with_sizes(content, 2**32 - 2), "larger than it is"),
        (zipped(bomb, compression=zipfile.ZIP_DEFLATED), "neither compressed nor encrypted"),
        (bytes(encrypted), "neither compressed nor encrypted"),
        (zipped([("a.txt", b"")]), "no archive of a study", STUDY),
        (zipped([*items, (README, b"")]), "may hold", "twice"),
        (zipped([*items, ("../../opened", b"")]), "may hold", "'../../opened' too"),
        (zipped([*items, ("a\nb", b"")]), "may hold", r"'a\nb' too"),
        (zipped([("manifest.json", b"{}"), *items]), "exported by sweep 0.1"),
    ):
        refused = refusal(made)
        assert all(part in refused for part in said), (said, refused)


def test_a_name_that_goes_on_after_a_null_character_is_no_known_one(members):
    renamed = [(name.replace(".csv", ".csv_.exe"), content) for name, content in members.items()]
    content = zipped(renamed).replace(b".csv_.exe", b".csv\0.exe")
    assert r"trials.csv\x00.exe' too" in refusal(content)


def test_every_truncation_is_refused(content):
    for length in range(0, len(content), 97):
        refusal(content[:length])


def test_a_large_file_is_not_read_to_its_end(tmp_path):
    with (tmp_path / "large.zip").open("wb") as written:
        written.truncate(1 << 40)  # a hole: no disk is filled
    with pytest.raises(SweepError, match=r"large.zip: it may have .* bytes: it has more"):
        read_archive(tmp_path / "large.zip")


def test_another_model_than_the_recorded_one_is_refused(members, with_model, model, changed):
    arrays = io.BytesIO()
    np.savez(arrays, weights=np.array([Bomb()]))
    unselected = json.loads(members[STUDY]) | {"trials": [], "confirmation": None}
    unselected["test_openings"] = []
    without = {name: part for name, part in members.items() if name != MODEL}
    for made, said in (
        (with_model(make_model(6)), "not the model that trial 0 ended with"),
        (with_model(replace(model, loss=LOSSES["bce"])), "not the model that trial 0"),
        (with_model(replace(model, class_names=("ant", "bee", "a\nb"))), "a class name"),
        (with_model(replace(model, class_names=("ant", "bee", "a" * 81))), "a class name"),
        (changed((["confirmation"], None)), "not the model that trial 4 ended with"),
        (_pack(members | {MODEL: pickle.dumps(Bomb())}), "model.npz cannot be read"),
        (_pack(members | {MODEL: arrays.getvalue()}), "model.npz"),
        (_pack(without), "lacks model.npz"),
        (_pack(members | {STUDY: json.dumps(unselected).encode()}), "no trial is complete"),
    ):
        assert said in refusal(made)
    assert not os.path.exists("opened")  # noqa: PTH110 - the bomb would make it


def test_what_cannot_be_read_is_named_with_the_next_step(tmp_path, content):
    (tmp_path / "bad.zip").write_bytes(content[:-1])
    for name, said in (
        ("absent.zip", "there is no such file; check the name"),
        (".", "is a folder; name the .zip"),
        ("a" * 300, "cannot be read: File name too long"),
        ("bad.zip", "nothing was imported: ask for a new export"),
    ):
        with pytest.raises(SweepError, match=said) as refused:
            read_archive(tmp_path / name)
        assert str(refused.value).startswith(str(tmp_path))


# Imports


@pytest.fixture
def archive(archived):
    return Archive(*archived, "a" * 64)


def test_an_imported_study_is_the_same_but_for_its_identity(archive, elsewhere, origin, model):
    study = import_study(archive, elsewhere)
    assert study.trials() == archive.study.records
    assert study.identity != origin.identity
    assert study.config.differences(origin.config) == []
    assert study.config.data.source == str(elsewhere.root.resolve() / "tiny.npz")
    assert study.budgets() == [Budget(0, 8)]
    for key in (record.TEST_OPENINGS, record.CONFIRMATION):
        assert study.attribute(key) == origin.attribute(key)
    assert study.attribute(record.CONFIRMING) is None
    selected = find_selected(study)
    assert selected.number == 0
    assert fetch_classifier(study, selected, NoTracker()).digest == model.digest


def test_optuna_sees_the_same_trials_by_the_same_numbers(archive, elsewhere, origin):
    study = import_study(archive, elsewhere)
    assert study.foreign() == [3]  # another program's keeps its number
    assert study.trial(4).params == SETTING | {"l2": 5.0}  # queued outside of the space
    mine, theirs = (
        {trial.number: trial for trial in each.optuna.get_trials()} for each in (study, origin)
    )
    assert mine.keys() == theirs.keys()
    for number in set(mine) - {3}:
        for name in ("state", "values", "params", "intermediate_values"):
            assert getattr(mine[number], name) == getattr(theirs[number], name)
    assert 1000 * mine[0].datetime_complete.timestamp() == pytest.approx(1_780_000_000_223)


def test_exported_again_it_is_the_same_file(archive, elsewhere, content, tmp_path):
    export_study(import_study(archive, elsewhere), NoTracker(), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == content


def test_a_name_that_is_taken_or_none_is_refused_and_nothing_changes(archive, elsewhere):
    old = elsewhere.pending("tiny-softmax") / "trial-004"  # of an earlier study of the name
    old.mkdir(parents=True)
    study = import_study(archive, elsewhere)
    assert not old.exists()
    weights = elsewhere.pending(study.name) / "trial-000" / "classifier" / "classifier.npz"
    for name, said in (
        (None, "is here already.*--as NAME"),
        *((bad, "1 to 80 .*--as NAME") for bad in ("../x", "a/b", "<b>", "a\nb", "", "a" * 81)),
    ):
        with pytest.raises(SweepError, match=said):
            import_study(archive, elsewhere, name=name)
    second = import_study(archive, elsewhere, name="b")
    assert (second.name, second.identity != study.identity) == ("b", True)
    assert study_names(open_storage(elsewhere), elsewhere) == ["b", "tiny-softmax"]
    assert load_study(study.name, study.storage, elsewhere).identity == study.identity
    assert weights.exists()


def test_an_import_that_fails_leaves_no_study(archive, elsewhere, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(load.LinearClassifier, "save", full)
    with pytest.raises(StoreUnreachableError, match=r"No space left .*nothing was imported"):
        import_study(archive, elsewhere)
    assert study_names(open_storage(elsewhere), elsewhere) == []


def test_what_an_import_that_was_killed_has_left_is_no_study_and_is_replaced(archive, elsewhere):
    storage = create_storage(elsewhere)
    importing = record.importing_study(
        replace(CONFIG), archive.study.records[:2], {}, storage, elsewhere, archive="b" * 64
    )
    importing.__enter__()  # and never again: the process died
    assert recorded_studies(storage, elsewhere) == ([], [])
    assert import_study(archive, elsewhere).trials() == archive.study.records


def test_an_import_waits_for_nobody(archive, elsewhere):
    with study_lock(elsewhere, "tiny-softmax"), pytest.raises(SweepError, match="being run by"):
        import_study(archive, elsewhere)


def test_data_that_are_not_the_studys_are_refused_before_anything_is_written(
    archive, tmp_path, tiny_npz
):
    for file, said in (
        (tiny_npz, "not the study's data: .*digest.*--data"),
        (tmp_path / "absent.npz", "not the study's data: .*no such file"),
    ):
        with pytest.raises(SweepError, match=said):
            import_study(archive, Workspace(tmp_path), data=file)
    assert list(tmp_path.iterdir()) == []


def test_the_data_file_may_lie_elsewhere_under_another_name(changed, elsewhere, tiny_npz):
    source = open_source(str(tiny_npz), None)
    found, _ = choose_data(source, val_size=18, split_seed=0, mirrored=True)
    names = ("val_size", "data_digest", "split_digest")
    content = changed(*((["config", "data", name], getattr(found, name)) for name in names))
    mine = elsewhere.root / "mine.npz"
    mine.write_bytes(tiny_npz.read_bytes())
    study = import_study(Archive(*unpack(content), "a" * 64), elsewhere, data=mine)
    assert (study.config.data.source, study.config.data.name) == (str(mine), "tiny")


def test_a_data_file_for_a_built_in_data_set_is_refused(changed, tmp_path, tiny_npz):
    content = changed(*((["config", "data", name], "digits") for name in ("name", "source")))
    with pytest.raises(SweepError, match="the study is on digits, not on a file"):
        import_study(Archive(*unpack(content), "a" * 64), Workspace(tmp_path), data=tiny_npz)
    assert list(tmp_path.iterdir()) == []


class Stop:
    """Lets a study run for so many passes."""

    def __init__(self, passes):
        self._left = passes

    @property
    def received(self):
        self._left -= 1
        return signal.SIGTERM if self._left < 0 else None


def test_an_imported_study_goes_on_to_the_same_bits(elsewhere, tiny_npz, tmp_path, search):
    choice, data = choose_data(
        open_source(str(tiny_npz), None),
        val_size=18,
        split_seed=0,
        mirrored=True,
    )
    config = replace(CONFIG, data=choice, space=CONFIG.space.without_flips(), slots=4)
    home = Workspace(tmp_path)
    first = begin_study(config, create_storage(home), home)
    with pytest.raises(InterruptedStudyError):
        search(first, data, 7, interrupts=Stop(2))
    begun, *others = first.trials()
    assert begun.status == Status.RUNNING
    assert Status.PRUNED in {trial.status for trial in others}
    export_study(first, NoTracker(), tmp_path / "a.zip")
    second = import_study(read_archive(tmp_path / "a.zip"), elsewhere, data=tiny_npz)
    for study in (first, second):
        search(study, data, 7)
    told = [
        [(t.number, t.index, t.params, t.first_pass, t.status, t.curves, t.weights_digest)
         for t in study.trials()]
        for study in (first, second)
    ]  # fmt: skip
    assert len(told[0]) >= 7
    assert told[0] == told[1]
