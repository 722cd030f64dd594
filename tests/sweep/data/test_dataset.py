from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import normalize

from sweep.config import FEW_ROWS, USUAL_FOLDS
from sweep.data import (
    LAYOUTS,
    DataChangedError,
    Dataset,
    Split,
    auto_notice,
    cache_folder,
    choose_data,
    open_source,
    prepare,
    reopen_data,
    reopen_source,
    repeats_notice,
    split_rows,
)
from sweep.data.arrays import Features
from sweep.data.cifar10 import Cifar10
from sweep.data.dataset import SAMPLE, check_memory, listed, sha256_of, stratified_sample
from sweep.data.digits import Digits
from sweep.errors import SweepError

ROWS = np.arange(12, dtype=np.uint8).reshape(3, 4)
LABELS = np.array([0, 1, 0])


def dataset(**changes: Any) -> Dataset:
    facts: dict[str, Any] = {
        "name": "tiny",
        "rows": ROWS.copy(),
        "labels": LABELS.copy(),
        "class_names": ("no", "yes"),
        "image_shape": (1, 2, 2),
    }
    return Dataset(**(facts | changes))


def labelled(labels, classes=3):
    """Return rows of bytes with these labels."""
    return dataset(
        rows=np.zeros((len(labels), 2), np.uint8),
        labels=np.array(labels, np.int64),
        class_names=tuple(str(label) for label in range(classes)),
        image_shape=None,
    )


# Digests


def test_the_digest_of_known_data_never_changes():
    # Studies record it: another value here would refuse to resume every study there is.
    assert dataset().digest == "3d0516f093dc191d21e27e11901d3d75283e72ca64fa54a0fdc721a66970fd00"


def test_whatever_the_data_say_is_in_the_digest_and_how_they_are_kept_is_not():
    for change in (
        {"rows": ROWS + np.uint8(1)},
        {"rows": ROWS.astype(np.float32)},
        {"rows": ROWS[:, ::-1]},
        {"labels": np.array([0, 1, 1])},
        {"class_names": ("yes", "no")},
        {"image_shape": (4, 1, 1)},
        {"image_shape": None},
    ):
        assert dataset(**change).digest != dataset().digest
    for change in (
        {"name": "other"},
        {"notices": ("told",)},
        {"rows": np.asfortranarray(ROWS)},
        {"labels": LABELS.astype(">i8")},
    ):
        assert dataset(**change).digest == dataset().digest
    assert sha256_of(b"ab", b"c") != sha256_of(b"a", b"bc")


def test_the_arrays_cannot_be_written_to():
    tiny = dataset()
    for array in (tiny.rows, tiny.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 9


# Opening


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = cache_folder()
    folder.mkdir(parents=True)
    return folder


def test_auto_is_cifar10_where_it_lies_and_digits_elsewhere(cache, binary_folder, pack, tmp_path):
    binary = LAYOUTS["binary"]
    assert open_source("digits") == Digits()
    assert open_source("auto") == open_source("auto", tmp_path) == Digits()
    assert open_source("auto", binary_folder.parent) == Cifar10(binary_folder, binary)
    archive = pack(binary_folder, cache / binary.archive)
    assert open_source("auto") == open_source("auto", tmp_path) == Cifar10(archive, binary)
    assert open_source("auto", binary_folder) == Cifar10(binary_folder, binary)


def test_cifar10_is_taken_from_nowhere_but_the_given_folder(cache, binary_folder, pack, tmp_path):
    with pytest.raises(
        SweepError, match="^" + str(cache) + ": holds no CIFAR-10.*`sweep data down"
    ):
        open_source("cifar10")
    pack(binary_folder, cache / LAYOUTS["binary"].archive)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SweepError, match=r"empty: holds no CIFAR-10.*`sweep data download --data-"):
        open_source("cifar10", tmp_path / "empty")


def test_a_file_is_known_by_its_ending_and_anything_else_refused(tmp_path):
    np.savez(tmp_path / "mine.NPZ.npz", X=np.eye(4), y=[0, 1, 0, 1])
    (tmp_path / "mine.NPZ.npz").rename(tmp_path / "mine.NPZ")
    assert isinstance(open_source(str(tmp_path / "mine.NPZ")), Features)
    for data in ("", "mnist", "CIFAR10", "mine.txt"):
        with pytest.raises(SweepError, match=f"digits or a file: .*: got '{data}'; np.savez"):
            open_source(data)


def test_the_notice_says_what_was_taken_and_how_to_get_the_other(binary_folder):
    assert "digits (1,797 images of 8 x 8), as no CIFAR-10 was found" in auto_notice(Digits())
    assert "a holds no CIFAR-10" in auto_notice(Digits(), "a")
    said = auto_notice(open_source("auto", binary_folder))
    assert said.startswith(f"Data: CIFAR-10 from {binary_folder} (binary layout); --data digits")


def test_what_does_not_fit_into_memory_is_refused_with_what_is_needed(monkeypatch):
    monkeypatch.setattr("sweep.data.dataset.free_memory", lambda: 1_200_000_000)
    check_memory("a", 150_000, 1_000, bytes_each=8)
    with pytest.raises(
        SweepError, match=r"a: 150,001 rows x 1,000 features need 1\.2 GB of memory: 1\.2 GB are fr"
    ):
        check_memory("a", 150_001, 1_000, bytes_each=8)
    monkeypatch.setattr("sweep.data.dataset.free_memory", lambda: None)
    check_memory("a", 10**9, 10**9, bytes_each=8)


def test_names_of_others_are_shortened_and_made_fit_for_a_line():
    assert listed([]) == "nothing"
    assert listed("abcdef") == "a, b, c, d, e, ..."
    assert listed(["a" * 70, "\x1b"]) == f"{'a' * 60}..., '\\x1b'"


# Splitting


def source(kind, default_val_size=5):
    return SimpleNamespace(split_kind=kind, default_val_size=default_val_size)


TINY = labelled([0, 1, 2] * 10)


@given(
    kind=st.sampled_from(["last", "stratified"]),
    val_size=st.integers(3, 27),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_row_trains_or_validates_and_none_does_both(kind, val_size, seed):
    split = split_rows(source(kind), TINY, val_size=val_size, split_seed=seed)
    assert len(split.val) == val_size
    assert np.array_equal(np.sort(np.concatenate([split.train, split.val])), np.arange(30))
    for rows in (split.train, split.val):
        assert (np.diff(rows) > 0).all()


def test_the_last_rows_or_the_given_ones_validate_whatever_the_seed():
    for kind in ("last", "given"):
        for seed in (0, 1):
            split = split_rows(source(kind), TINY, val_size=5, split_seed=seed)
            assert split.val.tolist() == [25, 26, 27, 28, 29]
    with pytest.raises(
        SweepError, match="--val-size 5: tiny brings its own 6 validation rows; lea"
    ):
        split_rows(source("given", 6), TINY, val_size=5)


def test_a_stratified_split_gives_every_class_its_share_and_depends_on_the_seed():
    splits = [split_rows(source("stratified"), TINY, val_size=9, split_seed=n) for n in (1, 1, 2)]
    assert np.bincount(TINY.labels[splits[0].val]).tolist() == [3, 3, 3]
    assert splits[0].digest == splits[1].digest != splits[2].digest
    assert splits[0].val.tolist() == splits[1].val.tolist() != splits[2].val.tolist()


def test_a_default_that_rows_and_classes_do_not_allow_gives_way_to_the_nearest():
    assert len(split_rows(source("last", 7), TINY).val) == 7
    for default, taken in ((1, 3), (29, 27)):
        assert len(split_rows(source("stratified", default), TINY).val) == taken
    for shots in (2, 4, 8):  # a fifth of the rows may be fewer than the classes
        few = labelled(np.repeat(np.arange(10), shots), classes=10)
        assert len(split_rows(source("stratified", 2 * shots), few).val) == max(10, 2 * shots)


def test_few_rows_that_bring_no_split_have_five_folds_unless_one_is_asked_for():
    def parted(kind, labels, **options):
        split = split_rows(source(kind), labelled(labels), **{"folds": None, **options})
        assert split.folds is None or np.array_equal(split.train, split.val)
        return 0 if split.folds is None else len(np.unique(split.folds))

    many = np.arange(FEW_ROWS) % 3
    assert (USUAL_FOLDS, parted("stratified", many), parted("stratified", TINY.labels)) == (5, 5, 5)
    for kind, labels, options in (
        ("stratified", np.append(many, 0), {}),
        ("stratified", TINY.labels, {"val_size": 9}),
        ("stratified", TINY.labels, {"folds": 0}),
        ("last", TINY.labels, {}),
        ("given", TINY.labels, {}),
    ):
        assert parted(kind, labels, **options) == 0
    assert parted("given", TINY.labels, folds=4) == 4
    for least in (2, 3, 4):  # no fold is without a class
        assert parted("stratified", [0] * least + [1] * 9) == least
    assert parted("stratified", [0] + [1] * 9) == 0


def test_a_number_out_of_range_is_refused_with_the_range():
    for kind, val_size, allowed in (
        ("last", 0, "from 1 to 27"),
        ("last", 28, "from 1 to 27"),
        ("stratified", 2, "from 3 to 27"),
        ("stratified", 28, "from 3 to 27"),
        ("stratified", -1, "from 3 to 27"),
    ):
        with pytest.raises(
            SweepError, match=f"--val-size {val_size}: must be {allowed} for the 30"
        ):
            split_rows(source(kind), TINY, val_size=val_size)


def test_the_row_of_a_class_that_has_but_one_trains():
    alone = labelled([2, 0, 0, 0, 0, 1, 1, 1, 1])
    for val_size, counts in ((None, [1, 1]), (3, [2, 1]), (6, [3, 3])):
        split = split_rows(source("stratified", 1), alone, val_size=val_size)
        assert sorted(np.bincount(alone.labels[split.val], minlength=2)) == sorted(counts)
        assert np.array_equal(np.sort([*split.train, *split.val]), np.arange(9))
        assert split.train[0] == 0
    with pytest.raises(SweepError, match="--val-size 7: must be from 2 to 6 for the 8 rows and 2"):
        split_rows(source("stratified"), alone, val_size=7)
    with pytest.raises(SweepError, match="tiny: no class has two rows, one to train on and one"):
        split_rows(source("stratified"), labelled([0, 1, 2]))
    assert len(split_rows(source("last"), labelled([0, 0, 0, 1, 2]), val_size=2).val) == 2


@given(st.lists(st.integers(0, 4), min_size=1, max_size=300).map(np.array), st.integers(0, 320))
def test_a_sample_has_each_classs_share_and_the_others_are_the_rest(labels, size):
    sample, others = stratified_sample(labels, size)
    assert len(sample) == min(size, len(labels))
    assert np.array_equal(np.sort(np.concatenate([sample, others])), np.arange(len(labels)))
    assert np.array_equal(sample, np.sort(sample))
    assert np.array_equal(others, np.sort(others))
    counts = np.bincount(labels, minlength=5)
    drawn = np.bincount(labels[sample], minlength=5)
    assert (np.abs(drawn - counts * len(sample) / len(labels)) <= 3).all()


def test_a_sample_is_the_same_for_the_same_labels_and_taken_at_even_distances():
    labels = np.repeat([0, 1], [3000, 300])
    sample, _ = stratified_sample(labels, 330)
    assert np.array_equal(sample, stratified_sample(labels.copy(), 330)[0])
    gaps = np.diff(sample[labels[sample] == 0])
    assert gaps.max() <= 2.7 * 10  # three distances at most, by golden sections


# Standardising


@pytest.fixture(scope="module")
def digits():
    return Digits().development()


def test_rows_are_standardised_by_the_training_rows_alone(digits):
    split = split_rows(Digits(), digits, split_seed=4)
    rows = digits.rows.copy()
    rows[split.val] = 255
    before, after = prepare(digits, split), prepare(replace(digits, rows=rows), split)
    assert before.training.rows.shape == (1_137, 64)
    assert before.validation.rows.shape == (300, 64)
    deviation = before.training.rows.std(axis=0)
    assert np.allclose(before.training.rows.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(deviation[deviation > 0], 1, atol=1e-4)
    assert np.array_equal(before.training.rows, after.training.rows)
    assert not np.array_equal(before.validation.rows, after.validation.rows)


def test_labels_go_with_their_rows_and_what_was_prepared_says_from_what(digits):
    split = split_rows(Digits(), digits, split_seed=4)
    data = prepare(digits, split)
    for part, numbers in ((data.training, split.train), (data.validation, split.val)):
        assert np.array_equal(part.labels, digits.labels[numbers])
        assert np.array_equal(part.rows, data.standardiser.apply(digits.rows[numbers]))
    assert data.sample == len(split.train)
    assert (data.name, data.image_shape) == ("digits", (1, 8, 8))
    assert (data.data_digest, data.split_digest) == (digits.digest, split.digest)
    assert data.class_names == digits.class_names
    assert data.notices == ()


def test_scattered_rows_and_rows_side_by_side_come_out_alike():
    rows = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    tiny = dataset(rows=rows, labels=np.arange(6) % 2, image_shape=None)
    for train, val in (([0, 1, 2, 3], [4, 5]), ([0, 2, 3, 5], [1, 4])):
        expected = (rows[train] - rows[train].mean(axis=0)) / rows[train].std(axis=0)
        data = prepare(tiny, Split(np.array(train), np.array(val)))
        assert np.allclose(data.training.rows, expected, atol=1e-5)


def test_a_stratified_sample_of_the_training_rows_comes_first_in_either_basis():
    rng = np.random.default_rng(3)
    labels = np.where(np.arange(13_000) < 12_000, rng.integers(3, size=13_000), 0)
    rows = np.arange(26_000, dtype=np.float32).reshape(-1, 2)
    many = dataset(rows=rows, labels=labels, class_names=("a", "b", "c"), image_shape=(1, 1, 2))
    split = Split(np.arange(12_500), np.arange(12_500, 13_000))
    pixels, panels = (prepare(many, split, mirrored=mirrored) for mirrored in (False, True))
    assert pixels.sample == panels.sample == SAMPLE == 10_000
    order = np.concatenate(stratified_sample(labels[:12_500], SAMPLE))
    expected = pixels.standardiser.apply(rows[order])
    assert np.array_equal(pixels.training.rows, expected)
    assert np.array_equal(pixels.training.labels, labels[order])
    turned = panels.training.basis.turn_back(panels.training.rows)
    assert np.allclose(turned, expected, atol=1e-5)
    assert np.array_equal(panels.training.labels, pixels.training.labels)


def test_rows_that_are_not_widened_are_read_to_the_same_bits(monkeypatch):
    rng = np.random.default_rng(4)
    draws, labels = rng.normal(size=(2_500, 12)) * 40 + 90, rng.integers(3, size=2_500)
    split = Split(np.arange(0, 2_500, 2), np.arange(1, 2_500, 2))
    digests = []
    for dtype in (np.uint8, np.int8, np.float16, np.float32, np.float64):
        rows = draws.clip(0, 127).astype(dtype)
        images = dataset(
            rows=rows, labels=labels, image_shape=(1, 3, 4), class_names=("a", "b", "c")
        )
        wide = prepare(images, split, mirrored=True)
        single = prepare(replace(images, rows=rows.astype(np.float64)), split)
        with monkeypatch.context() as little:  # enough for the validation rows alone
            little.setattr("sweep.data.dataset.free_memory", lambda: 4 * 1_250 * 12)
            held = prepare(images, split, mirrored=True)
        numbers = rng.permutation(1_250)[:70]
        assert isinstance(wide.training.rows, np.ndarray)
        assert np.array_equal(held.training.rows[numbers], wide.training.rows[numbers])
        assert np.array_equal(held.training.first(9).rows[2:7], wide.training.rows[2:7])
        assert np.array_equal(held.validation.rows, wide.validation.rows)
        np.testing.assert_array_equal(held.standardiser.mean, single.standardiser.mean)
        np.testing.assert_array_equal(held.standardiser.factor, single.standardiser.factor)
        digests.append(held.data_digest == replace(images, rows=rows.astype(np.float32)).digest)
    assert digests == [False, True, True, True, False]  # as numbers were always kept for a digest


def test_rows_are_normalised_as_asked_and_found_again_so(monkeypatch):
    dataset = Digits().development()
    split = split_rows(Digits(), dataset)
    for normalise, first in (("none", dataset.rows), ("unit", normalize(dataset.rows) * 8)):
        rows = prepare(dataset, split, normalise=normalise)
        np.testing.assert_allclose(rows.validation.rows, first[split.val], rtol=1e-6)
        wide = prepare(dataset, split, normalise=normalise, mirrored=True)
        with monkeypatch.context() as little:
            little.setattr("sweep.data.dataset.free_memory", lambda: 4 * 300 * 64)
            held = prepare(dataset, split, normalise=normalise, mirrored=True)
        assert np.array_equal(held.training.rows[:99], wide.training.rows[:99])
        choice, chosen = choose_data(Digits(), val_size=300, split_seed=0, normalise=normalise)
        again = reopen_data(choice, reopen_source(choice))
        assert np.array_equal(again.validation.rows, chosen.validation.rows)
    with pytest.raises(
        SweepError, match="normalise must be one of standardise, unit, none: got 'a"
    ):
        prepare(dataset, split, normalise="a")


def test_rows_in_several_normalisations_are_as_large_as_there_is_room_for(monkeypatch):
    dataset = Digits().development()
    split, ways = split_rows(Digits(), dataset), ("standardise", "unit", "none")
    n, d = len(split.train), dataset.rows.shape[1]
    wide = prepare(dataset, split, normalise="none,unit,standardise", mirrored=True)
    assert [each.normalise for each in wide.normalisations] == list(ways)
    for way in ways:
        alone = prepare(dataset, split, normalise=way, mirrored=True)
        each = wide.normalised(way)
        assert each.normalisations == (each,)
        assert np.array_equal(each.training.rows, alone.training.rows)
        assert np.array_equal(each.validation.rows, alone.validation.rows)
        assert np.array_equal(each.training.labels, wide.training.labels)
    with pytest.raises(ValueError, match="rows are unit, not 'none'"):
        wide.normalised("unit").normalised("none")
    for count in (1, 2, 3):  # their copies may take half of what is free
        for free, arrays in ((8 * n * d * count, True), (8 * n * d * count - 1, False)):
            with monkeypatch.context() as little:
                little.setattr("sweep.data.dataset.free_memory", lambda: free)  # noqa: B023
                held = prepare(dataset, split, normalise=ways[:count], mirrored=True)
            rows = [each.training.rows for each in held.normalisations]
            assert [isinstance(one, np.ndarray) for one in rows] == [arrays] * count
    assert all(one.given is rows[0].given for one in rows)  # nothing is held twice
    assert np.array_equal(rows[2][:99], wide.normalised("none").training.rows[:99])
    monkeypatch.setattr("sweep.data.dataset.free_memory", lambda: 4 * 300 * d * 2)
    with pytest.raises(SweepError, match=r"digits: 300 rows x 64 features need .* of memory"):
        prepare(dataset, split, normalise=ways, mirrored=True)


def test_rows_that_cannot_be_standardised_are_refused(monkeypatch):
    split = Split(np.array([0, 1]), np.array([2]))

    def tiny(rows):
        return dataset(rows=np.array(rows), image_shape=None)

    with pytest.raises(
        SweepError, match=r"^tiny: feature 1 cannot .*; rescale or drop the feature"
    ):
        prepare(tiny([[0, 0], [1, 1e-310], [2, 0]]), split)
    with pytest.raises(SweepError, match=r"^tiny: overflow .*; rescale or drop the feature"):
        prepare(tiny([[0], [1e-20], [1e30]]), split)

    def no_room(_):
        raise MemoryError

    monkeypatch.setattr("sweep.data.dataset.Standardiser.fit", no_room)
    with pytest.raises(SweepError, match="memory does not suffice to standardise 3 rows x 1 feat"):
        prepare(tiny([[0.0], [1.0], [2.0]]), split)


def test_classes_that_no_row_is_of_are_named():
    for train, val, kind, named in (
        ([0, 1, 2], [0, 1, 2], None, ""),
        ([0, 1, 2], [0, 0, 2], "validation", "1 of 3 classes ('1'), so nothing will be known"),
        ([0, 2, 2], [0, 2, 1], "training", "1 of 3 classes ('1'), so nothing will be known"),
        (range(9), [0], "validation", "8 of 9 classes ('1', '2', '3', '4', '5', ...), so"),
    ):
        labels = np.array([*train, *val])
        rows = np.arange(2 * len(labels)).reshape(-1, 2).astype(np.float32)
        tiny = replace(labelled(labels, max(labels) + 1), rows=rows)
        split = Split(np.arange(len(train)), np.arange(len(train), len(labels)))
        notices = prepare(tiny, split).notices
        assert [f"tiny has no {kind} row of {named}" in line for line in notices] == [True] * (
            kind is not None
        )


# Finding the rows of a study again


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Return a file of 60 images of 3 x 4 in 3 classes, in the working folder."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "tiny.npz", seed=1)
    return tmp_path / "tiny.npz"


def save(path, *, seed):
    pixels = np.random.default_rng(seed).integers(256, size=(60, 3, 4), dtype=np.uint8)
    np.savez(path, X=pixels, y=np.arange(60) % 3)


def choose(given, **changes):
    options = {"val_size": None, "split_seed": 0}
    return choose_data(open_source(given), **options | changes)


def reopened(choice):
    return reopen_data(choice, reopen_source(choice))


def test_the_choice_says_what_was_taken(file):
    choice, data = choose("tiny.npz", val_size=15, split_seed=3)
    assert (choice.name, choice.source, choice.directory) == ("tiny", str(file), str(file.parent))
    assert (choice.val_size, choice.split_seed, len(data.validation.labels)) == (15, 3, 15)
    assert (choice.data_digest, choice.split_digest) == (data.data_digest, data.split_digest)
    assert choice.split_digest != choose("tiny.npz")[0].split_digest


@pytest.mark.usefixtures("file")
def test_folds_are_recorded_and_found_again():
    choice, data = choose("tiny.npz")
    assert (choice.folds, choice.val_size, len(data.folds)) == (5, 60, 60)
    assert choice.split_digest != choose("tiny.npz", split_seed=1)[0].split_digest
    again = reopened(choice)
    assert np.array_equal(again.folds, data.folds)
    assert choose("tiny.npz", folds=5)[0] == choice
    one, _ = choose("tiny.npz", val_size=12)
    assert (one.folds, reopened(one).folds) == (0, None)
    said = repeats_notice(choice, usual=True)
    assert "5 folds, as there are at most 5,000 rows (--val-size N: one split)" in said
    assert "--val-size" not in repeats_notice(choice, usual=False)
    assert repeats_notice(one, usual=True) == ""


@pytest.mark.usefixtures("file")
def test_the_rows_are_found_again_from_another_folder(tmp_path, monkeypatch):
    choice, data = choose("tiny.npz", val_size=15, split_seed=3)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = reopened(choice)
    pixels = again.training.basis.turn_back(again.training.rows)
    assert np.allclose(pixels, data.training.rows, atol=1e-6)
    assert np.array_equal(again.training.labels, data.training.labels)
    assert np.array_equal(again.validation.labels, data.validation.labels)
    assert again.image_shape == data.image_shape == (1, 3, 4)
    embedded, _ = choose("digits", val_size=300)
    assert (embedded.source, embedded.name, embedded.directory) == ("digits", "digits", None)
    assert reopened(embedded).split_digest == embedded.split_digest


def test_rows_that_changed_are_refused_with_both_digests_and_a_remedy_that_fits(file):
    choice, _ = choose("tiny.npz")
    save(file, seed=2)
    with pytest.raises(DataChangedError) as refused:
        reopened(choice)
    was, now = choice.data_digest[:12], choose("tiny.npz")[0].data_digest[:12]
    assert f"{file}: the data digest is not the recorded one: {was} -> {now}" in str(refused.value)
    assert "put the file back as it was, or say with --data-dir" in str(refused.value)
    for name, remedy in (
        ("digits", "install the scikit-learn"),
        ("cifar10", "say with --data-dir"),
    ):
        changed = replace(choose("digits")[0], source=name, split_digest="5" * 64)
        with pytest.raises(DataChangedError, match=f"split digest .* 555555555555 -> .*; {remedy}"):
            reopen_data(changed, open_source("digits"))


def test_a_file_is_found_again_where_its_folder_was_moved_or_it_is_said_to_be(
    file, tmp_path, monkeypatch
):
    (tmp_path / "a" / "rows").mkdir(parents=True)
    file.rename(tmp_path / "a" / "rows" / "tiny.npz")
    monkeypatch.chdir(tmp_path / "a")
    choice, data = choose("rows/tiny.npz")
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.chdir(tmp_path / "b")
    assert reopened(choice).data_digest == data.data_digest
    monkeypatch.chdir(tmp_path)
    source = reopen_source(choice, tmp_path / "b" / "rows")
    assert reopen_data(choice, source).data_digest == data.data_digest


def test_a_source_that_is_gone_is_refused_by_where_it_was_or_is_said_to_be(file, tmp_path):
    choice, _ = choose("tiny.npz")
    file.unlink()
    with pytest.raises(SweepError, match=f"^{file}: there is no such file; say with --data-dir"):
        reopened(choice)
    choice = replace(choice, source="cifar10", directory=str(tmp_path / "recorded"))
    for said, looked_at in ((None, "recorded"), (tmp_path / "said", "said")):
        with pytest.raises(SweepError, match=f"^{tmp_path}/{looked_at}: holds no CIFAR-10"):
            reopen_source(choice, said)
