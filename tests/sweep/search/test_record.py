"""The record of a study in a real Optuna store."""

import shutil
import sqlite3
import subprocess
import sys
import warnings
from dataclasses import replace

import optuna
import pytest
from doubles import Fate, dying
from optuna.trial import TrialState

from sweep.errors import SweepError
from sweep.search.record import (
    BUDGETS,
    CONFIG,
    IDENTITY,
    Budget,
    Queued,
    begin_study,
    find_study,
    importing_study,
    load_study,
    open_study,
    recorded_studies,
    study_names,
    summarise,
)
from sweep.search.storage import create_storage, one_transaction, open_storage
from sweep.search.trials import Status
from sweep.search_space import BASELINES
from sweep.workspace import Workspace

SETTING = {
    "l2": 0.001,
    "learning_rate": 0.02,
    "decay_period": 7,
    "batch_size": 100,
    "flip_probability": 0.25,
}


@pytest.fixture
def workspace(tmp_path, empty_optuna_database):
    """Return a workspace without MLflow."""
    workspace = Workspace(tmp_path)
    workspace.folder.mkdir()
    shutil.copy(empty_optuna_database, workspace.optuna_database)
    return workspace


@pytest.fixture
def begin(workspace, make_config):
    """Return a function that begins a study, or goes on with it as another process would."""

    def make(**changes):
        return begin_study(make_config(**changes), create_storage(workspace), workspace)

    return make


def as_optuna_has_it(workspace):
    return optuna.load_study(
        study_name="tiny-softmax", storage=f"sqlite:///{workspace.optuna_database}"
    )


def ended(make_trial, index, *values, **changes):
    return make_trial(index, list(values), first_pass=index, **changes)


@pytest.fixture
def four_trials(make_trial):
    """Two complete trials, a pruned and a failed one."""
    return [
        ended(make_trial, 0, 0.1, 0.3, 0.2),
        ended(make_trial, 1, 0.2, 0.25, 0.4, params={"l2": 0.5}, metrics={"final/train_loss": 1.5}),
        ended(make_trial, 2, 0.15, status="pruned", reason="rung 1: ...", params={"l2": 0.01}),
        ended(make_trial, 3, status="failed", reason="diverged", params={"l2": 0.02}),
    ]


def put(study, trials):
    for trial in trials:
        begun = ("number", "index", "params", "first_pass", "began")
        fields = {name: getattr(trial, name) for name in begun}
        assert study.begin(replace(type(trial)(**fields), number=-1), None) == trial.number
        study.end(trial)


def test_a_trial_comes_back_as_it_was_begun_and_as_it_ended(begin, make_trial, four_trials):
    study = begin()
    running = make_trial(0, [], status="running")
    assert study.begin(replace(running, number=-1), None) == 0
    assert begin().trials() == [running]
    study.end(four_trials[0])
    put(study, four_trials[1:])
    assert begin().trials() == four_trials
    assert begin().trial(2) == four_trials[2]
    with pytest.raises(SweepError, match="no trial 7"):
        study.trial(7)


def test_optuna_reads_states_values_and_curves(begin, four_trials, workspace):
    put(begin(), four_trials)
    study = as_optuna_has_it(workspace)
    assert [trial.state for trial in study.trials] == [
        TrialState.COMPLETE,
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
    ]
    assert [trial.value for trial in study.trials] == [0.2, 0.4, 0.15, None]
    assert study.best_trial.number == 1
    assert study.best_params == four_trials[1].params
    assert study.trials[1].intermediate_values == {1: 0.2, 2: 0.25, 3: 0.4}
    assert study.trials[0].distributions.keys() == BASELINES["softmax"].keys()


def test_a_study_of_losses_is_minimized(begin, four_trials, workspace):
    put(begin(objective="val-loss"), four_trials)
    study = as_optuna_has_it(workspace)
    assert study.direction.name == "MINIMIZE"
    assert study.best_value == pytest.approx(0.6)


def test_optunas_own_plots_can_be_drawn_of_a_study(begin, four_trials, workspace, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    put(begin(), four_trials)
    study, plots = as_optuna_has_it(workspace), optuna.visualization.matplotlib
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # matplotlib's are experimental
        for draw in (
            plots.plot_optimization_history,
            plots.plot_intermediate_values,
            plots.plot_parallel_coordinate,
            plots.plot_slice,
            plots.plot_edf,
            plots.plot_timeline,
        ):
            assert draw(study) is not None
    assert len(study.trials_dataframe()) == 4


def test_an_end_is_all_or_nothing_wherever_the_process_dies(begin, make_trial, workspace):
    trial = ended(make_trial, 0, 0.1, 0.3, 0.2)
    running = make_trial(0, [], status="running")
    for last in range(100):
        study = begin(study=f"s{last}")
        study.begin(replace(running, number=-1), None)
        with dying(study.storage, Fate(last)) as fate:
            study.end(trial)
        if fate.died:
            again = open_study(f"s{last}", workspace)
            assert again.trials() == [running]
            assert again.optuna.trials[0].intermediate_values == {}
            again.end(trial)
        assert open_study(f"s{last}", workspace).trials() == [trial]
        if not fate.died:
            break
    assert fate.writes >= 3


def test_a_trial_begins_in_one_transaction(begin, make_trial):
    study, trial = begin(), make_trial(0, [], status="running")
    study.begin(replace(trial, number=-1), None)
    for last in range(100):
        dead = begin()
        with dying(dead.storage, Fate(last)) as fate:
            dead.begin(replace(trial, index=1, number=-1), None)
        if begin().trials() != [trial]:
            break
    assert begin().trials() == [trial, replace(trial, index=1, number=1)]
    assert fate.writes >= 1


def test_a_transaction_whose_commit_fails_lets_go_of_the_database(begin):
    storage = begin().storage
    connection = storage.engine.raw_connection().driver_connection
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("CREATE TABLE a (x PRIMARY KEY)")
    connection.execute("CREATE TABLE b (x REFERENCES a DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError), one_transaction(storage):
        connection.execute("INSERT INTO b VALUES (1)")  # which the commit refuses
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM b").fetchone() == (0,)


# The queue


def test_what_users_queue_is_read_and_runs_by_its_number(begin, make_trial, workspace):
    study = begin()
    as_optuna_has_it(workspace).enqueue_trial(SETTING)
    as_optuna_has_it(workspace).enqueue_trial({"l2": 0.5})
    first, second = study.queued()
    assert (first, second) == (Queued(0, SETTING), Queued(1, {"l2": 0.5}))
    trial = make_trial(-1, [], status="running", index=3, params={**SETTING, "l2": 0.5})
    assert study.begin(trial, second) == 1
    assert study.queued() == [first]
    assert begin().trials() == [replace(trial, number=1)]
    study.end(replace(ended(make_trial, 3, 0.5, params=trial.params), number=1))
    frozen = as_optuna_has_it(workspace).trials[1]
    assert (frozen.state, frozen.params) == (TrialState.COMPLETE, trial.params)
    assert as_optuna_has_it(workspace).trials[0].state == TrialState.WAITING


def test_a_queued_trial_is_ours_or_waits_wherever_the_process_dies(begin, make_trial, workspace):
    begun = make_trial(0, [], status="running", params=SETTING)
    end = ended(make_trial, 0, 0.5, params=SETTING)
    for last in range(100):
        study = begin(study=f"s{last}")
        study.optuna.enqueue_trial(SETTING)
        study.optuna.enqueue_trial({})
        (queued, other) = study.queued()
        with dying(study.storage, Fate(last)) as fate:
            study.begin(replace(begun, number=-1), queued)
        if fate.died:
            again = open_study(study.name, workspace)
            assert again.queued() == [queued, other]
            assert again.trials() == []
            again.begin(replace(begun, number=-1), queued)
            assert again.trials() == [begun]
            assert again.queued() == [other]
            again.end(end)
            assert again.trials() == [end]
            frozen = again.optuna.trials[0]
            assert frozen.params == SETTING
            assert frozen.state == TrialState.COMPLETE
        else:
            break
    assert fate.writes >= 3
    assert open_study(study.name, workspace).trials() == [begun]


def test_a_refused_trial_has_failed_and_says_why(begin, workspace):
    study = begin()
    for last in (0, 1, None):
        study.optuna.enqueue_trial({"l2": -1})
        (queued,) = study.queued()
        if last is not None:
            dead = begin()
            with dying(dead.storage, Fate(last)) as fate:
                dead.refuse(queued, "l2 is below 0")
            assert fate.died
            assert begin().queued() == [queued]
        study.refuse(queued, "l2 is below 0")
        assert study.queued() == study.trials() == []
    for trial in as_optuna_has_it(workspace).trials:
        assert trial.state == TrialState.FAIL
        assert trial.user_attrs == {"sweep:refused": "l2 is below 0"}
    assert (study.foreign(), study.refused()) == ([], [0, 1, 2])


# What others do in the store


def test_trials_of_other_programs_are_left_alone(begin, make_trial, workspace):
    study = begin()
    other = as_optuna_has_it(workspace)
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    other.ask()
    before = other.trials
    trial = make_trial(-1, [], status="running", index=0)
    assert study.begin(trial, None) == 3
    study.end(replace(ended(make_trial, 0, 0.5), number=3))
    assert [each.number for each in study.trials()] == [3]
    assert study.foreign() == [0, 1, 2]
    assert as_optuna_has_it(workspace).trials[:3] == before


def test_studies_of_other_programs_are_named_and_left_alone(begin, workspace):
    begin()
    storage = open_storage(workspace)
    optuna.create_study(study_name="theirs", storage=storage, directions=["minimize", "maximize"])
    optuna.create_study(study_name="also", storage=storage).add_trial(
        optuna.trial.create_trial(value=1.0)
    )
    assert study_names(storage, workspace) == ["also", "theirs", "tiny-softmax"]
    assert [study.name for study in recorded_studies(storage, workspace)[0]] == ["tiny-softmax"]
    for name in ("theirs", "also"):
        with pytest.raises(SweepError, match=r"not begun by sweep.*sweep run NAME"):
            begin(study=name)
    with pytest.raises(SweepError, match=r"no study is named 'nobodys' here.*tiny-softmax"):
        load_study("nobodys", storage, workspace)


def test_a_study_of_the_first_version_is_refused_in_one_line(begin, workspace):
    storage = open_storage(workspace)
    old = optuna.create_study(study_name="old", storage=storage, direction="maximize")
    old.set_user_attr("sweep:settings", {"study": "old"})
    for attempt in (lambda: open_study("old", workspace), lambda: begin(study="old")):
        with pytest.raises(SweepError, match=r"^study 'old' was made by sweep 0\.1.*new study$"):
            attempt()
    assert recorded_studies(storage, workspace) == ([], [])


def test_a_study_whose_config_cannot_be_read_is_named_and_hides_no_other(begin, workspace):
    storage = open_storage(workspace)
    for name, change in (
        ("loss", {"loss": "hinge"}),
        ("more", {"width": 3}),
        ("none", {"space": None}),
        ("odd", {"data": 7}),
    ):
        broken = begin(study=name)
        broken.set_attribute(CONFIG, broken.config.record() | change)
    begin(study="whole")
    studies, unreadable = recorded_studies(storage, workspace)
    assert [study.name for study in studies] == ["whole"]
    for name, error in zip(("loss", "more", "none", "odd"), unreadable, strict=True):
        assert str(error).startswith(f"study {name!r}: its config cannot be read, ")


# Beginning and going on


def test_a_study_that_died_while_it_was_begun_is_begun_by_the_next(begin, workspace, make_config):
    for last in range(100):
        config = make_config(study=f"s{last}")
        storage = create_storage(workspace)
        with dying(storage, Fate(last)) as fate:
            begin_study(config, storage, workspace)
        if fate.died:
            study = begin(study=config.study)
            assert study.config == config
            assert study.identity == begin(study=config.study).identity
            assert study.identity != config.study
        else:
            break
    assert fate.writes >= 3


def test_another_config_is_refused(begin):
    begin(slots=8)
    with pytest.raises(SweepError, match=r"epochs 6 -> 7.*slots 8 -> 12.*another study"):
        begin(epochs=7, slots=12)


def test_data_that_lie_elsewhere_now_are_found_there_from_then_on(begin, workspace, make_config):
    assert begin().config.data.source == "/data/tiny.npz"
    moved = replace(make_config().data, source="/new/tiny.npz", directory="/new")
    begin(data=moved)
    assert open_study("tiny-softmax", workspace).config.data == moved


def test_a_study_is_found_once_it_has_begun(begin, workspace):
    assert find_study("tiny-softmax", Workspace(workspace.root / "empty")) is None
    assert find_study("tiny-softmax", workspace) is None
    optuna.create_study(study_name="bare", storage=create_storage(workspace), direction="maximize")
    assert find_study("bare", workspace) is None
    assert find_study("tiny-softmax", workspace) is None
    begin()
    assert find_study("tiny-softmax", workspace).config == begin().config


def test_budgets_are_kept_in_order(begin):
    study = begin()
    assert study.budgets() == []
    study.add_budget(Budget(0, 10))
    study.add_budget(Budget(7, 0))
    assert begin().budgets() == [Budget(0, 10), Budget(7, 0)]
    assert begin().attribute(BUDGETS) == [[0, 10], [7, 0]]


def test_a_study_is_counted_under_stable_names(begin, four_trials):
    put(begin(), four_trials)
    summary = summarise(begin())
    assert summary["complete"] == 2
    assert (summary["pruned"], summary["failed"], summary["best_trial"]) == (1, 1, 1)
    assert summary["val/accuracy"] == 0.4
    assert summary["val/loss"] == pytest.approx(0.6)


def test_a_folder_may_be_called_anything(tmp_path, make_config, make_trial):
    workspace = Workspace(tmp_path / "50%20 of #1? Übung & 'a'=\"b\"")
    workspace.root.mkdir()
    study = begin_study(make_config(), create_storage(workspace), workspace)
    study.begin(make_trial(-1, [], status="running", index=0), None)
    assert [trial.index for trial in open_study("tiny-softmax", workspace).trials()] == [0]
    assert [path.name for path in tmp_path.iterdir()] == [workspace.root.name]
    assert [path.name for path in workspace.root.iterdir()] == ["mlruns"]
    names = {path.name for path in workspace.folder.iterdir()}
    assert {name for name in names if not name.startswith(("optuna.db", "initialize"))} == set()


@pytest.mark.slow
def test_two_processes_lose_no_write_of_each_other(workspace, make_config):
    begin_study(make_config(study="one"), create_storage(workspace), workspace)
    begin_study(make_config(study="two"), create_storage(workspace), workspace)
    program = """
import sys
from pathlib import Path
from sweep.search.record import open_study
from sweep.search.trials import Status, TrialRecord
from sweep.search_space import BASELINES
from sweep.workspace import Workspace

study = open_study(sys.argv[2], Workspace(Path(sys.argv[1])))
for index in range(40):
    trial = TrialRecord(number=-1, index=index, params=dict(BASELINES["softmax"]), first_pass=0)
    number = study.begin(trial, None)
    curves = {"val/accuracy": [0.5], "val/loss": [index]}
    study.end(TrialRecord(number=number, index=index, params=trial.params, first_pass=0,
                          status=Status.COMPLETE, curves=curves))
    study.set_attribute(f"sweep:{index}", index)
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(workspace.root), name])
        for name in ("one", "two")
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    for name in ("one", "two"):
        study = open_study(name, workspace)
        trials = study.trials()
        assert [trial.index for trial in trials] == [trial.number for trial in trials]
        assert [trial.last("val/loss") for trial in trials] == list(range(40))
        assert {trial.status for trial in trials} == {Status.COMPLETE}
        assert [study.attribute(f"sweep:{index}") for index in range(40)] == list(range(40))


def test_an_import_is_a_study_of_the_same_trials_or_none(workspace, make_config, make_trial):
    config, storage = make_config(), create_storage(workspace)
    trials = [
        make_trial(0, [0.5, 0.6], params={"l2": 9.0}),  # outside of the space: it was queued
        make_trial(3, [0.3], status="pruned", reason="rung 1", index=1),
        make_trial(4, [], status="failed", reason="diverged", index=2),
        make_trial(5, [], status="running", index=3),
    ]

    def importing():
        attributes = {BUDGETS: [[0, 5]]}
        return importing_study(config, trials, attributes, storage, workspace, archive="a" * 64)

    with pytest.raises(RuntimeError, match="full"), importing():
        raise RuntimeError("full")
    assert study_names(storage, workspace) == []
    with importing():
        begun = as_optuna_has_it(workspace).user_attrs
        assert (IDENTITY in begun, CONFIG in begun) == (True, False)
        assert recorded_studies(storage, workspace) == ([], [])
    study = load_study(config.study, storage, workspace)
    assert study.trials() == trials
    assert study.foreign() == [1, 2]
    assert study.budgets() == [Budget(0, 5)]
    found = as_optuna_has_it(workspace).trials
    assert [trial.value for trial in found] == [0.6, None, None, 0.3, None, None]
    assert [trial.state.name for trial in found[3:]] == ["PRUNED", "FAIL", "RUNNING"]
    with pytest.raises(SweepError, match="here already"), importing():
        pass
    assert load_study(config.study, storage, workspace).identity == study.identity
