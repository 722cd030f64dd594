"""What `import sweep` shows."""

import logging
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import optuna
import pytest
from mlflow import environment_variables

import sweep
from sweep.search.lock import SIGNALS
from sweep.search_space import axes_of

HEAVY = {"numpy", "optuna", "mlflow", "matplotlib", "sklearn", "scipy", "pandas", "click"}

EXAMPLE = """
import sweep

study = sweep.run("mine", data="digits", trials=4, epochs=2)
print(study.best.params)
print(study.trials()[["status", "val/accuracy"]])
confirmation = study.confirm(top=2, seeds=2)
print(confirmation.winner.mean, confirmation.winner.standard_error)
assert study.reproduce().holds
print(study.test().accuracy)
predicted = study.classifier().predict([[0.0] * 64])
"""


@pytest.fixture
def run(workspace, tiny_npz):
    """Return a function that runs a study of four short trials in the workspace."""
    usual = {"data": tiny_npz, "trials": 4, "epochs": 2, "pruner": "none", "workers": 1}
    return lambda *name, **changes: sweep.run(*name, folder=workspace.root, **usual | changes)


@pytest.mark.slow
def test_importing_sweep_loads_nothing_heavy():
    program = f"import sys, sweep; print([m for m in {sorted(HEAVY)} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_every_name_of_the_face_is_there_and_says_what_it_is():
    for name in sweep.__all__:
        assert getattr(sweep, name).__doc__, name
        assert name in dir(sweep)
    with pytest.raises(AttributeError, match="nothing"):
        sweep.nothing  # noqa: B018


@pytest.mark.slow
def test_the_example_runs(tmp_path):
    program = [sys.executable, "-c", EXAMPLE]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "mlruns" / "optuna.db").exists()


def test_a_study_is_run_gone_on_with_opened_and_read(
    run, workspace, tiny_npz, monkeypatch, tmp_path_factory
):
    study = run("mine")
    table = study.trials()
    assert list(table.index) == [0, 1, 2, 3]
    assert set(table["status"]) == {"complete"}
    assert {"epochs", "val/accuracy", "val/loss", "l2", "learning_rate"} <= set(table.columns)
    best_first = table.sort_values(["val/accuracy", "val/loss"], ascending=[False, True])
    assert study.best.number == best_first.index[0]
    assert repr(study) == "<sweep.Study 'mine': 4 complete, 0 pruned, 0 failed>"
    assert len(run("mine", trials=np.int64(5)).trials()) == 5

    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    again = sweep.open_study("mine", folder=workspace.root)
    assert [each.name for each in sweep.list_studies(workspace.root)] == ["mine"]
    assert again.classifier().digest == again.best.weights_digest
    verdict = again.reproduce()
    assert (verdict.holds, verdict.matches) == (True, "bit for bit")
    confirmation = again.confirm(top=2, seeds=2)
    assert again.best.number == confirmation.winner.trial
    assert again.test().rows == 9
    assert again.report("a.html").exists()
    assert again.export().file.exists()
    assert again.sync() == 0
    copy = sweep.import_study("mine.zip", folder=workspace.root, name="copy", data=tiny_npz)
    assert copy.trials().equals(again.trials())


def test_settings_of_the_process_are_as_they_were(run):
    def settings():
        names = ("mlflow", "alembic", "mlflow.store.db.utils")
        return {
            "verbosity": optuna.logging.get_verbosity(),
            "levels": [logging.getLogger(name).level for name in names],
            "retries": environment_variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get(),
            "environment": dict(os.environ),
            "folder": Path.cwd(),
            "warnings": list(warnings.filters),
        }

    optuna.logging.set_verbosity(optuna.logging.INFO)
    before = settings()
    assert run(trials=1, epochs=1).reproduce().holds
    assert settings() == before


def test_studies_are_compared(run):
    comparison = sweep.compare(run(), run(loss="bce"))
    assert "tiny-softmax" in comparison.sentence


def test_a_study_runs_outside_the_main_thread_without_any_handler(run):
    handlers, results = [], []

    def work():
        results.append(run())

    before = [signal.getsignal(number) for number in SIGNALS]
    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        handlers.append([signal.getsignal(number) for number in SIGNALS])
        thread.join(0.01)
    assert all(each == before for each in handlers)
    assert len(results[0].trials()) == 4


def test_nothing_is_written_to_the_streams_unless_asked_for(run, capfd):
    run()
    assert capfd.readouterr() == ("", "")
    run(trials=5, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "tiny has no image shape" in err
    assert "5 of 5 done" in err


def test_what_is_refused_is_one_line(workspace):
    for call, words in (
        (lambda: sweep.run(trials=0, folder=workspace.root), "trials must be a whole number"),
        (lambda: sweep.run(loss="hinge", folder=workspace.root), "loss must be one of"),
        (lambda: sweep.run(space={"l2": "no"}, folder=workspace.root), "l2 must be a number"),
        (lambda: axes_of({"l2": (1e-3, 0.1)}), "'1e-4:1e-1:log', and choices as a list"),
        (lambda: sweep.load_data("mnist"), "data must be auto"),
        (lambda: sweep.run("x", like="y", data="digits", folder=workspace.root), "'y'"),
        (lambda: sweep.open_study("nobody", folder=workspace.root), "no study is named"),
        (lambda: sweep.load_data("nowhere.npz"), "nowhere.npz"),
        (lambda: sweep.train(momentum=0.9, folder=workspace.root), "momentum"),
        (sweep.compare, "two"),
        (lambda: sweep.run(tracking_uri="nowhere", folder=workspace.root), "not a tracking add"),
    ):
        with pytest.raises(sweep.SweepError) as refused:
            call()
        assert words in str(refused.value)
        assert "\n" not in str(refused.value)
    assert sweep.list_studies(workspace.root) == []


def test_a_space_is_given_by_axes_texts_numbers_or_a_file(tmp_path):

    (tmp_path / "space.toml").write_text("l2 = {low = 1e-3, high = 0.1, log = true}")
    expected = {"l2": sweep.Range(name="l2", low=1e-3, high=0.1, log=True)}
    for ranges in (
        {"l2": "1e-3:0.1:log"},
        {"l2": {"low": 1e-3, "high": 0.1, "log": True}},
        expected,
        tmp_path / "space.toml",
    ):
        assert axes_of(ranges) == expected
    assert str(axes_of({"batch_size": [50, 100]})["batch_size"]) == "50,100"
    assert str(axes_of({"decay_period": 10})["decay_period"]) == "10"


def test_arrays_are_rows_like_any_other_and_have_to_be_given_again(workspace, tiny_npz):
    with np.load(tiny_npz) as file:
        arrays = {name: file[name] for name in file.files}
    usual = {"trials": 2, "epochs": 2, "pruner": "none", "folder": workspace.root}
    study = sweep.run(data=arrays, **usual)
    from_file = sweep.run("file", data=tiny_npz, **usual)
    lists = (arrays["X"].tolist(), [f"c{k}" for k in arrays["y"]])
    text = sweep.run("text", data=lists, **usual | {"epochs": 3})
    assert (study.name, study.config.data.source) == ("arrays-softmax", "arrays")
    assert study.config.data.data_digest == from_file.config.data.data_digest
    assert study.trials().equals(from_file.trials())
    assert text.classifier().class_names == ("c0", "c1", "c2")
    assert arrays["X"].flags.writeable

    alone = sweep.open_study(study.name, folder=workspace.root)
    for call in (alone.reproduce, alone.test, lambda: sweep.run(study.name, **usual)):
        with pytest.raises(sweep.SweepError, match="give the same ones again"):
            call()
    other = sweep.open_study(
        study.name, data={**arrays, "X": arrays["X"] + 1}, folder=workspace.root
    )
    with pytest.raises(sweep.SweepError, match="give the same arrays again"):
        other.reproduce()
    for data in (arrays, tiny_npz):
        again = sweep.open_study(study.name, data=data, folder=workspace.root)
        assert again.reproduce().matches == "bit for bit"
    assert again.test().rows == 9
    assert len(sweep.run(study.name, data=arrays, **usual | {"trials": 3}).trials()) == 3


def test_arrays_that_are_none_are_refused(workspace):
    rows, labels = np.zeros((6, 2)), [0, 1] * 3
    for data, words in (
        ((rows,), "arrays are (X, y)"),
        ((rows, labels[1:]), "y must be 6 labels"),
        ({"X": rows}, "must hold X and y"),
        ((rows, [None] * 6), "numbers or text"),
        ((rows + np.nan, labels), "finite"),
    ):
        with pytest.raises(sweep.SweepError) as refused:
            sweep.run(data=data, folder=workspace.root)
        assert words in str(refused.value)
