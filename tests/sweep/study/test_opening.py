from dataclasses import replace

import optuna
import pytest

from sweep.errors import SweepError
from sweep.space import DEFAULT_SPACES, Choices
from sweep.study import attributes
from sweep.study.opening import begin_study, load_study, recorded_studies, study_names


@pytest.fixture
def storage():
    return optuna.storages.InMemoryStorage()


def test_a_new_study_records_its_settings_name_and_direction(make_settings, storage):
    settings = make_settings(objective="val-loss")
    study = begin_study(settings, storage)
    assert study.settings == settings
    assert study.name == study.optuna.study_name == "tiny-softmax"
    assert study.optuna.direction == optuna.study.StudyDirection.MINIMIZE
    record = study.optuna.user_attrs[attributes.SETTINGS]
    assert record == {**settings.record(), "study_id": study.identity}


def test_two_studies_of_one_name_are_told_apart(make_settings, storage, tmp_path):
    elsewhere = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    first, second = (begin_study(make_settings(), place) for place in (storage, elsewhere))
    assert first.tags["study"] == second.tags["study"]
    assert first.tags["study_id"] != second.tags["study_id"]
    assert load_study(first.name, storage).identity == first.identity


def test_the_same_settings_open_the_same_study(make_settings, storage):
    begin_study(make_settings(), storage).optuna.add_trial(optuna.trial.create_trial(value=1.0))
    again = begin_study(make_settings(), storage)
    assert [trial.value for trial in again.trials()] == [1.0]
    assert load_study("tiny-softmax", storage).settings == make_settings()


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"loss": "bce"}, "loss softmax -> bce"),
        ({"seed": 1}, "seed 0 -> 1"),
        ({"epochs": 9}, "epochs 6 -> 9"),
        ({"sampler": "grid"}, "sampler tpe -> grid"),
        ({"pruner": "none"}, "pruner median -> none"),
        ({"objective": "val-loss"}, "objective val-accuracy -> val-loss"),
        ({"seed": 1, "epochs": 9}, "epochs 6 -> 9; seed 0 -> 1"),
        (
            {"space": DEFAULT_SPACES["softmax"].replace({"l2": Choices(name="l2", values=(1,))})},
            "l2 1e-05:1:log -> 1",
        ),
    ],
)
def test_going_on_with_other_settings_is_refused_with_the_differences(
    make_settings, storage, change, phrase
):
    before = begin_study(make_settings(), storage)
    with pytest.raises(SweepError) as refused:
        begin_study(replace(make_settings(), **change), storage)
    assert str(refused.value) == (
        f"study 'tiny-softmax' was begun with other settings (recorded -> now): {phrase}; "
        "give the recorded ones to go on with it, or name a new one with --study"
    )
    assert load_study("tiny-softmax", storage).settings == before.settings


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"data_digest": "e" * 64}, "data digest dddddddddddd -> eeeeeeeeeeee"),
        ({"split_digest": "6" * 64}, "split digest 555555555555 -> 666666666666"),
        ({"name": "other"}, "name tiny -> other"),
    ],
)
def test_going_on_with_other_data_is_refused_with_the_differences(
    make_settings, storage, change, phrase
):
    settings = make_settings()
    begin_study(settings, storage)
    other = replace(settings, data=replace(settings.data, **change))
    with pytest.raises(
        SweepError, match=f"other settings \\(recorded -> now\\): {phrase}; give the"
    ):
        begin_study(other, storage)


def test_data_that_moved_may_be_gone_on_with(make_settings, storage):
    settings = make_settings()
    begin_study(settings, storage)
    moved = replace(settings, data=replace(settings.data, directory="/mnt", source="/mnt/tiny.npz"))
    assert begin_study(moved, storage).settings == settings


def test_an_unknown_study_is_refused_with_the_known_ones(make_settings, storage):
    with pytest.raises(SweepError) as refused:
        load_study("none", storage)
    assert str(refused.value) == "no study is named 'none' here; there are: none yet"
    for name in ("b", "a"):
        begin_study(make_settings(study=name), storage)
    with pytest.raises(SweepError) as refused:
        load_study("none", storage)
    assert str(refused.value) == "no study is named 'none' here; there are: a, b"


@pytest.mark.parametrize("mark", ["a trial", "an attribute", "another direction"])
def test_a_study_that_sweep_did_not_begin_is_refused(make_settings, storage, mark):
    direction = "minimize" if mark == "another direction" else "maximize"
    foreign = optuna.create_study(study_name="tiny-softmax", storage=storage, direction=direction)
    if mark == "a trial":
        foreign.add_trial(optuna.trial.create_trial(value=1.0))
    if mark == "an attribute":
        foreign.set_user_attr("owner", "somebody")
    before = foreign.user_attrs
    for open_it in (
        lambda: begin_study(make_settings(), storage),
        lambda: load_study("tiny-softmax", storage),
    ):
        with pytest.raises(SweepError) as refused:
            open_it()
        assert str(refused.value) == (
            "study 'tiny-softmax' was not begun by sweep: it records no settings; "
            "name a new one with --study"
        )
    assert foreign.user_attrs == before


def test_a_study_of_several_objectives_is_refused(make_settings, storage):
    optuna.create_study(
        study_name="tiny-softmax", storage=storage, directions=["maximize", "minimize"]
    )
    with pytest.raises(SweepError, match="was not begun by sweep"):
        begin_study(make_settings(), storage)


def test_a_process_that_died_before_it_recorded_the_settings_is_made_good(
    make_settings, storage, monkeypatch
):
    def dies(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_user_attr", dies)
        with pytest.raises(SystemExit):
            begin_study(make_settings(), storage)
    assert study_names(storage) == ["tiny-softmax"]
    assert begin_study(make_settings(), storage).settings == make_settings()
    assert load_study("tiny-softmax", storage).settings == make_settings()


def test_sweeps_own_studies_are_listed_by_name(make_settings, storage):
    for name in ("b", "a"):
        begin_study(make_settings(study=name), storage)
    optuna.create_study(study_name="foreign", storage=storage)
    assert [study.name for study in recorded_studies(storage)] == ["a", "b"]
    assert study_names(storage) == ["a", "b", "foreign"]
