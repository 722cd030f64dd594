from types import SimpleNamespace

import numpy as np
import pytest

from sweep.analysis import plan_study
from sweep.config import TPE_ARGUMENTS, default_lanes, default_slots
from sweep.errors import SweepError
from sweep.search.record import BUDGETS, begin_study
from sweep.search.storage import create_storage
from sweep.search_space import DEFAULT_SPACES, Choices, axes_of
from sweep.workspace import Workspace


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the working folder, which holds the same rows as images and as features."""
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(1).normal(size=(60, 12)).astype(np.float32)
    labels = np.arange(60) % 3
    np.savez("features.npz", X=rows, y=labels)
    np.savez("images.npz", X=rows.reshape(60, 3, 4), y=labels)
    return tmp_path


@pytest.fixture
def plan(folder):
    """Return a function that plans a study of the images, and tells all of it."""

    def plan(study=None, **options):
        plan = plan_study(Workspace(folder), study, **{"data": "images.npz", **options})
        config, data = plan.settle()
        assert plan.study == config.study
        return SimpleNamespace(config=config, data=data, trials=plan.trials, notices=plan.notices)

    return plan


@pytest.fixture
def begin(plan, furnish, folder):
    """Return a function that plans a study and puts it on record."""
    furnish(folder)

    def begin(*arguments, **options):
        planned = plan(*arguments, **options)
        workspace = Workspace(folder)
        study = begin_study(planned.config, create_storage(workspace), workspace)
        study.set_attribute(BUDGETS, [[0, planned.trials]])
        return planned

    return begin


def test_a_study_whose_name_is_new_is_told_with_the_name_that_may_be_meant(begin, plan):
    def told(name):
        return [line for line in plan(name).notices if "new study" in line]

    assert told("images-softmx") == ["A new study begins: 'images-softmx'"]
    begin("images-softmax")
    assert told("images-softmx") == [
        "A new study begins: 'images-softmx'; did you mean 'images-softmax'?"
    ]
    assert told(None) == told("images-softmax") == []


def space(**axes):
    return axes_of(axes)


def test_a_top_5_of_few_classes_is_no_objective(plan):
    with pytest.raises(SweepError, match=r"images has 3 classes, so every row's own .* choose"):
        plan(objective="val-top5-accuracy")


def test_what_is_asked_for_becomes_a_config_and_rows(plan, folder):
    asked = {"loss": "bce", "epochs": 6, "seed": 3, "sampler": "qmc", "pruner": "none"}
    asked |= {"objective": "val-loss", "train_curve": "all"}
    planned = plan(val_size=15, trials=9, **asked)
    config = planned.config
    assert {name: getattr(config, name) for name in asked} == asked
    assert (config.study, planned.trials) == ("images-bce", 9)
    assert config.data.source == str(folder / "images.npz")
    assert config.data.data_digest == planned.data.data_digest
    assert config.space == DEFAULT_SPACES["bce"]
    assert (config.eta, config.sampler_arguments) == (3, TPE_ARGUMENTS)
    assert len(planned.data.validation.labels) == 15
    assert plan("mine").config.study == "mine"


def test_slots_suit_the_trials_and_lanes_the_slots_unless_slots_are_given(plan):
    for trials in (6, 50, 400):
        for split, trainings in (({"val_size": 12}, 1), ({}, 5)):
            config = plan(trials=trials, **split).config
            assert config.slots == default_slots(trials)
            assert config.lanes == default_lanes(3, config.slots * trainings)
    config = plan(trials=6, slots=60, val_size=12).config
    assert (config.slots, config.lanes) == (60, 8)


def test_a_study_that_has_begun_keeps_what_is_left_out(begin, plan):
    chosen = {"loss": "bce", "epochs": 7, "seed": 5, "sampler": "qmc", "pruner": "none"}
    begun = begin(
        "one", trials=12, slots=60, val_size=15, split_seed=2, axes=space(l2="1e-3:1:log"), **chosen
    )
    for again in (plan("one", data=None), plan("one"), plan("one", **chosen)):
        assert (again.config, again.trials) == (begun.config, 12)
    assert plan("one", data=None, trials=80).config == begun.config


def test_what_is_given_again_is_compared(begin, plan):
    begin("one", axes=space(l2="1e-3:1:log"))
    assert plan("one", axes=space(l2="1e-3:1:log")).config.study == "one"
    for changes, difference in (
        ({"seed": 1}, "seed 0 -> 1;"),
        ({"slots": 9}, "slots 16 -> 9;"),
        ({"axes": space(l2=0.1)}, "l2 0.001:1:log -> 0.1;"),
        ({"loss": "bce"}, "loss softmax -> bce;"),
        ({"data": "features.npz"}, "data digest "),
        ({"split_seed": 1}, "split digest "),
    ):
        with pytest.raises(SweepError, match="was begun with another config") as refused:
            plan("one", **changes)
        assert difference in str(refused.value)


def test_a_file_that_lies_elsewhere_now_is_the_same_data(begin, plan, folder):
    begun = begin("one").config
    (folder / "images.npz").rename(folder / "moved.npz")
    with pytest.raises(SweepError, match=r"images\.npz"):
        plan("one", data=None)
    moved = plan("one", data="moved.npz").config
    assert begun.differences(moved) == []
    assert moved.data.source == str(folder / "moved.npz")


def test_a_new_study_can_be_like_another_but_for_what_is_given(begin, plan):
    model = begin("one", epochs=7, val_size=15, slots=60, trials=12, axes=space(l2="1e-3:1:log"))
    new = plan("two", like="one", data=None, axes=space(decay_period=3))
    wider = model.config.space.replace(space(decay_period=3))
    assert new.config.differences(model.config) == wider.differences(model.config.space)
    assert (new.config.study, new.config.space, new.trials) == ("two", wider, 12)
    with pytest.raises(SweepError, match="needs a name"):
        plan(like="one")
    with pytest.raises(SweepError, match="no study is named 'three' here"):
        plan("two", like="three")


def test_a_bad_value_or_name_is_refused_before_any_data_are_looked_for(plan):
    for study, changes, message in (
        ("../x", {}, r"study name .*: got '\.\./x'; choose another"),
        (None, {"loss": "hinge"}, "loss must be one of softmax, bce: got 'hinge'"),
    ):
        with pytest.raises(SweepError, match=message):
            plan(study, data="missing.npz", **changes)


def test_a_grid_that_is_too_large_is_refused_before_the_study_begins(plan):
    wide = space(batch_size=list(range(1, 101)), l2=list(range(1, 101)))
    with pytest.raises(SweepError, match="a grid has at most 100,000 points"):
        plan(sampler="grid", axes=wide)
    assert plan(sampler="grid").config.sampler == "grid"


def test_without_images_nothing_is_flipped_and_the_user_is_told(plan):
    planned = plan(data="features.npz")
    unflipped = Choices(name="flip_probability", values=(0.0,))
    assert planned.config.space.axes["flip_probability"] == unflipped
    _, notice = planned.notices
    assert "no image shape" in notice
    assert not any("no image shape" in notice for notice in plan().notices)
    for flips in ([0.2], "0:0.4", "0,0.5"):
        with pytest.raises(SweepError, match="nothing to flip: got flip_probability="):
            plan(data="features.npz", axes=space(flip_probability=flips))
    assert plan(data="features.npz", axes=space(flip_probability=0)).config == planned.config


def test_a_file_name_too_long_for_a_study_asks_for_a_name(plan, folder):
    (folder / "images.npz").rename(folder / f"{'x' * 80}.npz")
    with pytest.raises(SweepError, match=r"; choose another$"):
        plan(data=f"{'x' * 80}.npz")
    assert plan("short", data=f"{'x' * 80}.npz").config.study == "short"


def test_classes_that_nothing_validates_are_told(plan, folder):
    labels = np.arange(60) % 3
    rows = np.random.default_rng(1).normal(size=(60, 3, 4)).astype(np.float32)
    np.savez(folder / "images.npz", X=rows, y=labels, X_val=rows[:2], y_val=[0, 2])
    assert "images has no validation row of 1 of 3 classes ('1')" in "\n".join(plan().notices)
