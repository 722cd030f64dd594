import numpy as np
import pytest

from sweep.config import TPE_ARGUMENTS, default_lanes, default_slots
from sweep.errors import SweepError
from sweep.search.plan import Plan, notices
from sweep.space import DEFAULT_SPACES, Choices


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
def plan(folder):  # noqa: ARG001 - the files lie there
    def plan(**changes):
        usual = {
            "loss": "softmax",
            "epochs": 6,
            "seed": 3,
            "data": "images.npz",
            "data_dir": None,
            "val_size": None,
            "split_seed": 0,
            "space_file": None,
            "overrides": (),
            "sampler": "tpe",
            "pruner": "halving",
            "objective": "val-accuracy",
            "train_curve": "sample",
            "study_name": None,
            "slots": None,
        }
        return Plan(**{**usual, **changes})

    return plan


def settle(plan, trials=6):
    return plan.settle(plan.open_source(), trials=trials)


def test_a_plan_becomes_a_config_and_rows(plan, folder):
    config, data = settle(
        plan(val_size=15, sampler="qmc", pruner="none", objective="val-loss", train_curve="all")
    )
    assert config.study == "images-softmax"
    assert (config.loss, config.epochs, config.seed) == ("softmax", 6, 3)
    assert (config.sampler, config.pruner, config.objective) == ("qmc", "none", "val-loss")
    assert config.train_curve == "all"
    assert config.data.source == str(folder / "images.npz")
    assert config.data.data_digest == data.data_digest
    assert config.space == DEFAULT_SPACES["softmax"]
    assert (config.eta, config.sampler_arguments) == (3, TPE_ARGUMENTS)
    assert len(data.validation.labels) == 15


def test_slots_suit_the_trials_and_lanes_the_slots_unless_slots_are_given(plan):
    for trials in (6, 50, 400):
        config, _ = settle(plan(), trials)
        assert config.slots == default_slots(trials)
        assert config.lanes == default_lanes(3, config.slots)
    config, _ = settle(plan(slots=60), 6)
    assert (config.slots, config.lanes) == (60, 8)


def test_a_study_that_exists_keeps_the_slots_that_nobody_asks_to_change(plan):
    parts = {"lanes", "eta", "sampler_arguments"}
    assert plan().kept == parts | {"slots"}
    assert plan(slots=3).kept == parts


def test_a_study_is_named_after_data_and_loss_unless_the_user_names_it(plan):
    for one, name in ((plan(loss="bce"), "images-bce"), (plan(study_name="mine"), "mine")):
        assert one.name(one.open_source()) == name  # before its rows are loaded
        assert settle(one)[0].study == name


def test_the_space_is_read_from_the_file_and_the_overrides(plan, folder):
    (folder / "space.toml").write_text("l2 = 0.1\ndecay_period = 5")
    config, _ = settle(plan(space_file=folder / "space.toml", overrides=("l2=0.2",)))
    assert str(config.space.axes["l2"]) == "0.2"
    assert str(config.space.axes["decay_period"]) == "5"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"overrides": ("l2=-1",)}, r"l2 must lie in \[0, 1e\+06\]: got -1"),
        ({"study_name": "../x"}, r"study name .*: got '\.\./x'; choose another with --study"),
    ],
)
def test_a_bad_space_or_name_is_refused_before_any_data_are_looked_for(plan, change, message):
    with pytest.raises(SweepError, match=message):
        plan(data="missing.npz", **change).open_source()


def test_a_grid_that_is_too_large_is_refused_before_the_study_begins(plan):
    wide = tuple(f"{name}={','.join(map(str, range(1, 101)))}" for name in ("batch_size", "l2"))
    with pytest.raises(SweepError, match="a grid has at most 100,000 points"):
        settle(plan(sampler="grid", overrides=wide))
    assert settle(plan(sampler="grid"))[0].sampler == "grid"


def test_without_images_nothing_is_flipped_and_the_user_is_told(plan):
    config, data = settle(plan(data="features.npz"))
    unflipped = Choices(name="flip_probability", values=(0.0,))
    assert config.space.axes["flip_probability"] == unflipped
    assert config.space.varied() == ["l2", "learning_rate", "decay_period", "batch_size"]
    (notice,) = notices(data)
    assert "no image shape" in notice
    assert "flip_probability is 0" in notice


def test_with_images_there_is_nothing_to_tell(plan):
    assert notices(settle(plan())[1]) == []


def test_flips_asked_for_without_images_are_refused(plan):
    for values in ("0:0.4", "0.2", "0,0.5"):
        with pytest.raises(SweepError, match=f"nothing to flip: got flip_probability={values};"):
            settle(plan(data="features.npz", overrides=(f"flip_probability={values}",)))


def test_no_flips_asked_for_without_images_are_granted(plan):
    config, _ = settle(plan(data="features.npz", overrides=("flip_probability=0",)))
    assert str(config.space.axes["flip_probability"]) == "0"


def test_a_file_name_too_long_for_a_study_asks_for_a_name(plan, folder):
    (folder / "images.npz").rename(folder / f"{'x' * 80}.npz")
    with pytest.raises(SweepError, match=r"; choose another with --study$"):
        settle(plan(data=f"{'x' * 80}.npz"))
    assert settle(plan(data=f"{'x' * 80}.npz", study_name="short"))[0].study == "short"


def test_classes_that_nothing_validates_are_told(plan, folder):
    labels = np.arange(60) % 3
    rows = np.random.default_rng(1).normal(size=(60, 3, 4)).astype(np.float32)
    np.savez(folder / "images.npz", X=rows, y=labels, X_val=rows[:2], y_val=[0, 2])
    (notice,) = notices(settle(plan())[1])
    assert notice.startswith("images has no validation row of 1 of 3 classes ('1'), so nothing")
