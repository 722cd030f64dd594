"""What an archive may say, rule by rule; and studies that are imported."""

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

from sweep.analysis.champion import fetch_classifier
from sweep.analysis.selection import find_selected
from sweep.archive import Archive, export_study, import_study, load, models, read_archive
from sweep.archive.export import _pack
from sweep.archive.load import MODEL, README, STUDY, TRIALS, unpack
from sweep.archive.models import RefusedError
from sweep.data import open_source
from sweep.data.reopening import choose_data
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search import record
from sweep.search.interrupts import InterruptedStudyError
from sweep.search.lock import study_lock
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
    newer = members | {STUDY: b'{"format": "sweep study", "version": 3, "more": 1}'}
    overlapping = bytearray(content)
    (first,) = struct.unpack_from("<I", content, len(content) - 6)  # where the list of members is
    last = overlapping.rindex(b"PK\1\2")
    overlapping[last + 42 : last + 46] = overlapping[first + 42 : first + 46]
    encrypted = bytearray(content)
    encrypted[6] |= 1
    encrypted[first + 8] |= 1
    for made, *said in (
        (b"", "no whole .zip"),
        (b"no archive" * 10, "no whole .zip"),
        (pickle.dumps(Bomb()), "no whole .zip"),
        (content[:-100], "it is no"),
        (bytes(overlapping), "no whole .zip"),
        (with_sizes(content, 2**32 - 2), "larger than it is"),
        (zipped(bomb, compression=zipfile.ZIP_DEFLATED), "neither compressed nor encrypted"),
        (bytes(encrypted), "neither compressed nor encrypted"),
        (zipped([("a.txt", b"")]), "no archive of a study", STUDY),
        (zipped([*items, *((f"{n}", b"") for n in range(1000))]), "may hold", "'0' too"),
        (zipped([*items, (README, b"")]), "may hold", "twice"),
        (zipped([*items, ("../../opened", b"")]), "may hold", "'../../opened' too"),
        (zipped([*items, ("/tmp/opened", b"")]), "may hold", "/tmp/opened"),  # noqa: S108
        (zipped([*items, ("a\nb", b"")]), "may hold", r"'a\nb' too"),
        (zipped([*items, ("Study.json", b"")]), "may hold", "'Study.json' too"),
        (zipped([("manifest.json", b"{}"), *items]), "exported by sweep 0.1"),
        (_pack(newer), "format is 3", "a later version"),
        (_pack(newer | {STUDY: newer[STUDY].replace(b"3", b"1")}), "format is 1", "sweep 0.1"),
        (_pack(newer | {STUDY: newer[STUDY].replace(b"3", b"true")}), "version"),
        (_pack(newer | {STUDY: newer[STUDY].replace(b"study", b"story")}), "format"),
        (_pack({STUDY: b"{"}), "study.json", "JSON"),
        (_pack({STUDY: b"[]"}), "study.json"),
        (_pack({STUDY: b"[" * 1_000_000}), "study.json"),
        (_pack({STUDY: b"\xff"}), "study.json"),
        (_pack({STUDY: b"[" + b"[]," * models.MAX_CONTAINERS + b"[]]"}), "lists and objects"),
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


NAN, INFINITY = float("nan"), float("inf")
RANKED = [
    {"trial": 4, "search": 0.7, "values": [0.1, 0.1]},
    {"trial": 0, "search": 0.3, "values": [0.2, 0.2]},
]
STUDY_RULES = [
    (["x"], 1, "x"),
    (["config"], ..., "config"),
    (["config", "x"], 1, "config.x"),
    (["config", "loss"], ..., "config.loss"),
    (["config", "loss"], "hinge", "loss must be one of softmax, bce"),
    (["config", "loss"], "<b>", "config.loss", "'<b>'"),
    (["config", "sampler"], ["tpe"], "config.sampler"),
    (["config", "epochs"], 0, "config.epochs"),
    (["config", "epochs"], 10**12, "config.epochs"),
    (["config", "epochs"], 3.5, "config.epochs", "3.5"),
    (["config", "seed"], "0", "config.seed"),
    (["config", "seed"], -1, "config.seed"),
    (["config", "study"], "../x", "study name"),
    (["config", "study"], "<script>", "study name"),
    (["config", "study"], "a\nb", "config.study"),
    (["config", "study"], "\x1b[2Ja", "config.study"),
    (["config", "study"], "a" * 100_000, "config.study"),
    (["config", "study"], 7, "config.study"),
    (["config", "slots"], 10**9, "config.slots"),
    (["config", "lanes"], 3, "lanes must be one of"),
    (["config", "eta"], 1, "config.eta"),
    (["config", "sampler_arguments", "n_ei_candidates"], 10**9, "n_ei_candidates"),
    (["config", "sampler_arguments", "multivariate"], 1, "multivariate"),
    (["config", "data"], "digits", "config.data"),
    (["config", "data", "source"], "/etc/shadow.npz", "must be tiny.npz", "/etc/shadow.npz"),
    (["config", "data", "source"], "//host/x.npz", "must be tiny.npz"),
    (["config", "data", "source"], "digits", "must be tiny.npz"),
    (["config", "data", "name"], "../tiny", "config.data.name"),
    (["config", "data", "name"], "x' or 1=1 --", "config.data.name"),
    (["config", "data", "directory"], "/", "config.data.directory"),
    (["config", "data", "data_digest"], "", "config.data.data_digest"),
    (["config", "data", "val_size"], 0, "config.data.val_size"),
    (["config", "space", "l2"], ..., "space must have"),
    (["config", "space", "x"], 1, "space must have"),
    (["config", "space", "l2"], {"low": 1.0, "high": 0.5}, "must be below its high end"),
    (["config", "space", "l2"], {"low": 0.0, "high": INFINITY}, "config.space.l2", "inf"),
    (["config", "space", "l2"], {"low": 0.0, "high": 1e9}, "high end of l2"),
    (["config", "space", "l2"], ["a"], "config.space.l2"),
    (["config", "space", "l2"], [True], "config.space.l2"),
    (["config", "space", "batch_size"], [*range(1, 9_000)], "config.space.batch_size"),
    (["budgets"], [[0]], "budgets.0"),
    (["budgets"], [[0, -1]], "budgets.0.1"),
    (["test_openings"], "often", "test_openings"),
    (["test_openings"], [{"trial": 0}], "test_openings.0.time"),
    (["test_openings", 0, "time"], "$(touch opened)", "test_openings.0.time"),
    (["test_openings", 0, "trial"], 2, "no trial 2 is complete or pruned"),
    (["test_openings", 0, "trial"], 9, "no trial 9 is complete or pruned"),
    (["test_openings", 1, "result"], "good", "test_openings.1.result"),
    (["test_openings", 1, "result", "accuracy"], 1.5, "result.accuracy"),
    (["test_openings", 1, "result", "low"], -0.5, "result.low"),
    (["test_openings", 1, "result", "rows"], 0, "result.rows"),
    (["test_openings", 1, "result", "per_class"], {"a": 2.0}, "per_class"),
    (["test_openings", 1, "result", "per_class"], {"a\n": 0.5}, "per_class"),
    (["confirmation"], [], "confirmation"),
    (["confirmation", "winner"], 2, "confirmation.winner"),
    (["confirmation", "metric"], "val/loss", "metric must be val/accuracy"),
    (["confirmation", "direction"], "minimize", "confirmation"),
    (["confirmation", "epochs"], 7, "epochs must be 3"),
    (["confirmation", "finished"], 8, "finished must be 1 to 5"),
    (["confirmation", "seeds"], [], "confirmation", "values"),
    (["confirmation", "seeds"], [11, 11], "twice"),
    (["confirmation", "seeds"], ["1", 2], "confirmation.seeds.0"),
    (["confirmation", "trials"], [], "confirmation.trials"),
    (["confirmation", "trials"], RANKED, "ranked by their means"),
    (["confirmation", "trials", 2, "trial"], 0, "twice"),
    (["confirmation", "trials", 2, "trial"], 2, "no trial 2 is complete or pruned"),
    (["confirmation", "trials", 0, "search"], 0.9, "trial 0 came to 0.3 in the search"),
    (["confirmation", "trials", 1, "search"], 0.9, "trial 1 came to None in the search"),
    (["confirmation", "trials", 0, "values"], [0.1], "2 seeds need so many values"),
    (["confirmation", "trials", 0, "values"], [0.1, "0.1"], "trials.0.values.1"),
    (["confirmation", "baseline", "trial"], 0, "baseline is no trial"),
]
TRIAL_RULES = [
    (["trials"], {}, "trials"),
    (["trials", 0, "x"], 1, "trials.0.x"),
    (["trials", 1, "number"], 0, "order of their numbers"),
    (["trials", 4, "number"], 10_000, "must have numbers below"),
    (["trials", 1, "index"], 0, "no index may stand twice"),
    (["trials", 1, "index"], -1, "trials.1.index"),
    (["trials", 0, "status"], "won", "trials.0.status", "'won'"),
    (["trials", 0, "status"], [], "trials.0.status"),
    (["trials", 0, "status"], "pruned", "trial 0: pruned after 1 to 2 epochs: got 3"),
    (["trials", 2, "status"], "pruned", "trial 2: pruned after 1 to 2 epochs: got 0"),
    (["trials", 1, "status"], "running", "trial 1: running after 0 to 0 epochs"),
    (["trials", 2, "status"], "running", "ended must not be"),
    (["trials", 4, "status"], "failed", "ended must not be None"),
    (["trials", 1, "status"], "failed", "weights_digest must not be"),
    (["trials", 0, "weights_digest"], None, "weights_digest must not be None"),
    (["trials", 0, "weights_digest"], "' or name != '" + "a" * 50, "trials.0.weights_digest"),
    (["trials", 0, "reason"], "a\nb", "trials.0.reason"),
    (["trials", 0, "reason"], "=HYPERLINK(1)", "trials.0.reason"),
    (["trials", 0, "reason"], None, "trials.0.reason"),
    (["trials", 0, "trouble"], "\x1b[2J", "trials.0.trouble"),
    (["trials", 0, "params"], {}, "params must be l2"),
    (["trials", 0, "params", "l2"], "0.1", "trials.0.params.l2"),
    (["trials", 0, "params", "l2"], 1e7, "l2 must lie in [0, 1e+06]"),
    (["trials", 0, "params", "l2"], 0.0, "l2 must be above 0"),
    (["trials", 0, "params", "decay_period"], 9.5, "decay_period must be a whole number"),
    (["trials", 0, "params", "batch_size"], 51, "batch_size must be one of 50,100,200,400"),
    (["trials", 0, "params", "flip_probability"], False, "flip_probability"),
    (["trials", 0, "params", "l2"], {"name": "FloatDistribution"}, "trials.0.params.l2"),
    (["trials", 0, "first_pass"], 10**12, "trials.0.first_pass"),
    (["trials", 0, "curves"], {}, "curves and times must be equally long"),
    (["trials", 0, "curves", "val/loss"], ..., "curves must be of"),
    (["trials", 0, "curves", "x"], [], "curves must be of"),
    (["trials", 0, "curves", "val/loss"], [1.0], "equally long"),
    (["trials", 0, "times"], [1], "equally long"),
    (["trials", 0, "times", 0], 10**15, "trials.0.times.0"),
    (["trials", 0, "curves", "val/accuracy", 0], 1.5, "val/accuracy must be at most 1", "1.5"),
    (["trials", 0, "curves", "val/loss", 0], -0.5, "curves.val/loss.0", "-0.5"),
    (["trials", 0, "curves", "val/loss", 0], NAN, "curves.val/loss.0", "nan"),
    (["trials", 0, "curves", "val/loss", 0], INFINITY, "curves.val/loss.0", "inf"),
    (["trials", 0, "curves", "val/loss", 0], 10**400, "curves.val/loss.0"),
    (["trials", 0, "curves", "val/loss", 0], "1", "curves.val/loss.0"),
    (["trials", 0, "metrics", "a"], NAN, "metrics.a"),
    (["trials", 0, "metrics", "a\nb"], 1.0, "metrics"),
    (["trials", 0, "environment"], "x", "trials.0.environment"),
    (["trials", 0, "environment"], {f"a{n}": "1" for n in range(33)}, "trials.0.environment"),
    (["trials", 0, "environment", "a\n"], "1", "environment"),
    (["trials", 0, "environment", "python"], "\x1b[2J", "environment.python"),
    (["trials", 0, "ended"], None, "ended must not be None"),
    (["trials", 0, "began"], -1, "trials.0.began"),
    (["trials", 0, "__class__"], "str", "__class__"),
]


@pytest.mark.parametrize("rules", [STUDY_RULES, TRIAL_RULES], ids=["study", "trials"])
def test_what_no_study_could_say_is_refused_with_place_rule_and_value(changed, rules):
    for path, value, *said in rules:
        refused = refusal(changed((path, value)))
        assert all(part in refused for part in said), (path, value, refused)


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
        ("absent.zip", "there is no such file"),
        (".", "there is no such file"),
        ("a" * 300, "cannot be read: File name too long"),
        ("bad.zip", "nothing was imported: ask for a new export"),
    ):
        with pytest.raises(SweepError, match=said) as refused:
            read_archive(tmp_path / name)
        assert str(refused.value).startswith(str(tmp_path))


# Imports


@pytest.fixture
def archive(archived):
    study, classifier = archived
    return Archive(study, classifier, "a" * 64)


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


def test_optuna_sees_the_same_trials(archive, elsewhere, origin):
    mine, theirs = (
        {trial.number: trial for trial in study.optuna.get_trials()}
        for study in (import_study(archive, elsewhere), origin)
    )
    assert mine.keys() == theirs.keys()
    for number in set(mine) - {3}:  # another program's
        for name in ("state", "values", "params", "intermediate_values"):
            assert getattr(mine[number], name) == getattr(theirs[number], name)
    assert 1000 * mine[0].datetime_complete.timestamp() == pytest.approx(1_780_000_000_223)


def test_a_number_of_another_programs_trial_stays_free(archive, elsewhere):
    assert import_study(archive, elsewhere).foreign() == [3]


def test_exported_again_it_is_the_same_file(archive, elsewhere, content, tmp_path):
    export_study(import_study(archive, elsewhere), NoTracker(), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == content


def test_every_import_is_a_study_of_its_own(archive, elsewhere):
    first, second = import_study(archive, elsewhere), import_study(archive, elsewhere, name="b")
    assert (first.name, second.name) == ("tiny-softmax", "b")
    assert first.identity != second.identity


def test_a_name_that_is_taken_or_none_is_refused_and_nothing_changes(archive, elsewhere):
    study = import_study(archive, elsewhere)
    weights = elsewhere.pending(study.name) / "trial-000" / "classifier" / "classifier.npz"
    for name, said in (
        (None, "is here already.*--as NAME"),
        *((bad, "1 to 80 .*--as NAME") for bad in ("../x", "a/b", "<b>", "a\nb", "", "a" * 81)),
    ):
        with pytest.raises(SweepError, match=said):
            import_study(archive, elsewhere, name=name)
    assert study_names(open_storage(elsewhere), elsewhere) == ["tiny-softmax"]
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
    assert recorded_studies(storage, elsewhere) == []
    assert import_study(archive, elsewhere).trials() == archive.study.records


def test_an_import_waits_for_nobody(archive, elsewhere):
    with study_lock(elsewhere, "tiny-softmax"), pytest.raises(SweepError, match="being run by"):
        import_study(archive, elsewhere)


def test_files_of_an_earlier_study_of_the_name_are_not_taken_for_its_own(archive, elsewhere):
    old = elsewhere.pending("tiny-softmax") / "trial-004"
    old.mkdir(parents=True)
    import_study(archive, elsewhere)
    assert not old.exists()


def test_data_that_are_not_the_studys_are_refused_before_anything_is_written(
    archive, nowhere, tiny_npz
):
    for file, said in (
        (tiny_npz, "not the study's data: .*digest.*--data"),
        (nowhere.root / "absent.npz", "not the study's data: .*no such file"),
    ):
        with pytest.raises(SweepError, match=said):
            import_study(archive, nowhere, data=file)
    assert list(nowhere.root.iterdir()) == []


def test_the_data_file_may_lie_elsewhere_under_another_name(changed, elsewhere, tiny_npz):
    source = open_source(str(tiny_npz), None)
    found, _ = choose_data(source, val_size=None, split_seed=0, given=str(tiny_npz), mirrored=True)
    names = ("val_size", "data_digest", "split_digest")
    content = changed(*((["config", "data", name], getattr(found, name)) for name in names))
    mine = elsewhere.root / "mine.npz"
    mine.write_bytes(tiny_npz.read_bytes())
    study = import_study(Archive(*unpack(content), "a" * 64), elsewhere, data=mine)
    assert (study.config.data.source, study.config.data.name) == (str(mine), "tiny")


def test_a_data_file_for_a_built_in_data_set_is_refused(changed, nowhere, tiny_npz):
    content = changed(*((["config", "data", name], "digits") for name in ("name", "source")))
    with pytest.raises(SweepError, match="the study is on digits, not on a file"):
        import_study(Archive(*unpack(content), "a" * 64), nowhere, data=tiny_npz)
    assert list(nowhere.root.iterdir()) == []


def test_a_setting_that_a_user_queued_outside_of_the_space_is_kept(archive, elsewhere):
    trial = import_study(archive, elsewhere).trial(4)
    assert trial.params == SETTING | {"l2": 5.0}
    assert trial.status == Status.COMPLETE


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
        val_size=None,
        split_seed=0,
        given=str(tiny_npz),
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
