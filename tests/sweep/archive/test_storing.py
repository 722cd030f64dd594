import pytest

from sweep.archive.storing import store_study
from sweep.archive.trial_record import differences
from sweep.errors import StoreUnreachableError, SweepError
from sweep.study.storage import create_storage


@pytest.fixture
def storage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return create_storage()


def store(storage, contents, **known):
    store_study(storage, "tiny", "maximize", known | contents.known, contents.trials)


def test_what_is_stored_is_what_optuna_reads(storage, contents):
    import optuna

    store(storage, contents, mine=[1, "two"])
    study = optuna.load_study(study_name="tiny", storage=storage)
    assert study.user_attrs == {"mine": [1, "two"]} | contents.known
    assert [way.name for way in study.directions] == ["MAXIMIZE"]
    for before, after in zip(contents.trials, study.get_trials(), strict=True):
        assert differences(before, after) == []
        assert before.datetime_start == after.datetime_start
        assert before.datetime_complete == after.datetime_complete
    assert study.best_trial.number == 2


def test_the_studies_beside_it_are_left_alone(storage, contents):
    import optuna

    other = optuna.create_study(study_name="other", storage=storage)
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    before = other.get_trials()
    store(storage, contents)
    assert optuna.load_study(study_name="other", storage=storage).get_trials() == before
    assert len(optuna.load_study(study_name="tiny", storage=storage).get_trials()) == 7


def test_a_name_that_is_taken_is_refused_and_the_study_that_has_it_stays(storage, contents):
    import optuna

    store(storage, contents)
    with pytest.raises(SweepError) as refused:
        store_study(storage, "tiny", "minimize", {}, [])
    assert not isinstance(refused.value, StoreUnreachableError)
    assert str(refused.value) == (
        "a study named 'tiny' is here already; import it under another name with --as NAME"
    )
    assert len(optuna.load_study(study_name="tiny", storage=storage).get_trials()) == 7


@pytest.mark.parametrize("last", range(7))
def test_a_study_that_breaks_anywhere_is_not_there_at_all(storage, contents, monkeypatch, last):
    import optuna

    from sweep.archive import storing

    whole = storing._parts

    def breaks(models, trial):
        yield from whole(models, trial)
        if trial.number == last:
            raise KeyboardInterrupt

    monkeypatch.setattr(storing, "_parts", breaks)
    with pytest.raises(KeyboardInterrupt):
        store(storage, contents)
    assert optuna.get_all_study_names(storage) == []
    monkeypatch.undo()


def test_a_study_without_trials_is_stored(storage):
    import optuna

    store_study(storage, "empty", "minimize", {"a": 1}, [])
    study = optuna.load_study(study_name="empty", storage=storage)
    assert (study.get_trials(), study.user_attrs) == ([], {"a": 1})
