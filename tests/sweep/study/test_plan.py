import numpy as np
import pytest

from sweep.errors import SweepError
from sweep.space import DEFAULT_SPACES, Choices
from sweep.study.plan import Plan


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
        standard = {
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
            "pruner": "median",
            "objective": "val-accuracy",
            "study_name": None,
        }
        return Plan(**{**standard, **changes})

    return plan


def settle(plan):
    return plan.settle(plan.open_source(), trials=6)


def test_a_plan_becomes_settings_and_rows(plan, folder):
    settings, data = settle(plan(val_size=15, sampler="qmc", pruner="none", objective="val-loss"))
    assert settings.study == "images-softmax"
    assert (settings.loss, settings.epochs, settings.seed) == ("softmax", 6, 3)
    assert (settings.sampler, settings.pruner, settings.objective) == ("qmc", "none", "val-loss")
    assert settings.data.source == str(folder / "images.npz")
    assert settings.data.data_digest == data.data_digest
    assert settings.space == DEFAULT_SPACES["softmax"]
    assert len(data.validation.labels) == 15


def test_a_study_is_named_after_data_and_loss_unless_the_user_names_it(plan):
    assert settle(plan(loss="bce"))[0].study == "images-bce"
    assert settle(plan(study_name="mine"))[0].study == "mine"


def test_the_space_is_read_from_the_file_and_the_overrides(plan, folder):
    (folder / "space.toml").write_text("l2 = 0.1\ndecay_period = 5")
    settings, _ = settle(plan(space_file=folder / "space.toml", overrides=("l2=0.2",)))
    assert str(settings.space.axes["l2"]) == "0.2"
    assert str(settings.space.axes["decay_period"]) == "5"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"overrides": ("l2=-1",)}, "l2 must lie in [0, 1e+06]: got -1"),
        (
            {"study_name": "../x"},
            (
                "a study name has 1 to 80 letters, digits, dots, dashes or underscores and begins "
                "with a letter or digit: got '../x'; choose another with --study"
            ),
        ),
    ],
)
def test_a_bad_space_or_name_is_refused_before_any_data_are_looked_for(plan, change, message):
    with pytest.raises(SweepError) as refused:
        plan(data="missing.npz", **change).open_source()
    assert str(refused.value) == message


def test_without_images_nothing_is_flipped_and_the_user_is_told(plan):
    features = plan(data="features.npz")
    settings, data = settle(features)
    assert settings.space.axes["flip_probability"] == Choices(
        name="flip_probability", values=(0.0,)
    )
    assert settings.space.varied() == ["l2", "learning_rate", "decay_period", "batch_size"]
    assert features.notices(settings, data) == [
        "features has no image shape: flip_probability is 0 and no weight images are drawn."
    ]


def test_with_images_there_is_nothing_to_tell(plan):
    assert plan().notices(*settle(plan())) == []


@pytest.mark.parametrize("values", ["0:0.4", "0.2", "0,0.5"])
def test_flips_asked_for_without_images_are_refused(plan, values):
    features = plan(data="features.npz", overrides=(f"flip_probability={values}",))
    with pytest.raises(SweepError) as refused:
        settle(features)
    assert str(refused.value) == (
        "features has no image shape, so there is nothing to flip: got "
        f"flip_probability={values}; leave it out, or give X the shape "
        "(n, height, width) or (n, height, width, channels)"
    )


def test_no_flips_asked_for_without_images_are_granted(plan):
    settings, _ = settle(plan(data="features.npz", overrides=("flip_probability=0",)))
    assert str(settings.space.axes["flip_probability"]) == "0"


def test_a_file_name_too_long_for_a_study_asks_for_a_name(plan, folder):
    (folder / "images.npz").rename(folder / f"{'x' * 80}.npz")
    with pytest.raises(SweepError, match=r"; choose another with --study$"):
        settle(plan(data=f"{'x' * 80}.npz"))
    assert settle(plan(data=f"{'x' * 80}.npz", study_name="short"))[0].study == "short"


def test_a_study_is_named_before_its_rows_are_loaded(plan):
    for one in (plan(loss="bce"), plan(study_name="mine")):
        assert one.name(one.open_source()) == settle(one)[0].study


def test_classes_that_nothing_validates_are_told(plan, folder):
    labels = np.arange(60) % 3
    rows = np.random.default_rng(1).normal(size=(60, 3, 4)).astype(np.float32)
    np.savez(folder / "images.npz", X=rows, y=labels, X_val=rows[:2], y_val=[0, 2])
    (notice,) = plan().notices(*settle(plan()))
    assert notice.startswith("images has no validation row of 1 of 3 classes ('1'), so nothing")
