from dataclasses import replace

import numpy as np
import pytest

from sweep.data import open_source
from sweep.data.reopening import DataChangedError, choose_data, reopen_data, reopen_source
from sweep.errors import SweepError


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Return a file of 60 images of 3 x 4 in 3 classes, in the working folder."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "tiny.npz", seed=1)
    return tmp_path / "tiny.npz"


def save(path, *, seed, rows=60):
    pixels = np.random.default_rng(seed).integers(256, size=(rows, 3, 4), dtype=np.uint8)
    np.savez(path, X=pixels, y=np.arange(rows) % 3)


def choose(given, **changes):
    options = {"val_size": None, "split_seed": 0}
    return choose_data(open_source(given), given=given, **options | changes)


def reopened(choice):
    return reopen_data(choice, reopen_source(choice))


def test_the_choice_says_what_was_taken(file):
    choice, data = choose("tiny.npz")
    assert choice.name == "tiny"
    assert choice.source == str(file)
    assert choice.directory == str(file.parent)
    assert choice.val_size == len(data.validation.labels) == 12
    assert choice.split_seed == 0
    assert (choice.data_digest, choice.split_digest) == (data.data_digest, data.split_digest)


@pytest.mark.usefixtures("file")
def test_the_size_and_seed_of_the_split_are_kept():
    choice, data = choose("tiny.npz", val_size=15, split_seed=3)
    assert (choice.val_size, choice.split_seed) == (15, 3)
    assert len(data.validation.labels) == 15
    assert choice.split_digest != choose("tiny.npz", val_size=15)[0].split_digest


def test_embedded_data_are_kept_by_name():
    choice, _ = choose("digits", val_size=300)
    assert (choice.source, choice.name) == ("digits", "digits")
    assert choice.directory is None
    again = reopened(choice)
    assert (again.data_digest, again.split_digest) == (choice.data_digest, choice.split_digest)


@pytest.mark.usefixtures("file")
def test_a_file_is_found_again_from_another_folder(tmp_path, monkeypatch):
    choice, data = choose("tiny.npz", val_size=15, split_seed=3)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = reopened(choice)
    pixels = again.training.basis.turn_back(again.training.rows)
    assert np.allclose(pixels, data.training.rows, atol=1e-6)
    assert np.array_equal(again.training.labels, data.training.labels)
    assert np.array_equal(again.validation.labels, data.validation.labels)
    assert again.image_shape == data.image_shape == (1, 3, 4)


def test_rows_that_changed_are_refused_with_both_digests(file):
    choice, _ = choose("tiny.npz")
    save(file, seed=2)
    with pytest.raises(DataChangedError) as refused:
        reopened(choice)
    now, _ = choose("tiny.npz")
    assert str(refused.value) == (
        f"{file}: the data digest is not the recorded one: {choice.data_digest[:12]} -> "
        f"{now.data_digest[:12]}; put the file back as it was when the study was begun"
    )


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("digits", "install the scikit-learn that the study was begun with"),
        ("cifar10", "say with --data-dir where the study's own data lie"),
    ],
)
def test_the_remedy_fits_the_source(source, remedy):
    choice, _ = choose("digits")
    changed = replace(choice, source=source, split_digest="5" * 64)
    with pytest.raises(DataChangedError) as refused:
        reopen_data(changed, open_source("digits"))
    assert str(refused.value) == (
        f"{source}: the split digest is not the recorded one: 555555555555 -> "
        f"{choice.split_digest[:12]}; {remedy}"
    )


def test_a_file_that_is_gone_is_refused_by_name(file):
    choice, _ = choose("tiny.npz")
    file.unlink()
    with pytest.raises(SweepError, match=f"^{file}: "):
        reopened(choice)


@pytest.mark.parametrize(("said", "looked_at"), [(None, "recorded"), ("said", "said")])
def test_a_recorded_folder_is_used_unless_the_user_says_another(tmp_path, said, looked_at):
    choice = replace(choose("digits")[0], source="cifar10", directory=str(tmp_path / "recorded"))
    with pytest.raises(SweepError, match=f"^{tmp_path}/{looked_at}: holds no CIFAR-10"):
        reopen_source(choice, tmp_path / said if said else None)
