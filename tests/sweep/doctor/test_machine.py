import tomllib
from pathlib import Path

import pytest

from sweep.doctor import machine
from sweep.doctor.finding import Level
from sweep.doctor.machine import (
    TESTED_OPTUNA,
    check_machine,
    check_memory,
    check_mlflow,
    check_numpy,
    check_optuna,
)


def test_this_machine_is_fit():
    found = check_machine()
    assert [finding.check for finding in found] == ["Python", "NumPy", "Optuna", "MLflow", "memory"]
    assert {finding.level for finding in found[:4]} == {Level.OK}
    assert "core" in found[0].said
    assert "thread" in found[1].said


def test_the_tested_optuna_is_the_one_that_is_required():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert f"optuna>={TESTED_OPTUNA},<5.1" in project["project"]["dependencies"]


def test_another_optuna_is_said(monkeypatch):
    monkeypatch.setattr(machine, "version", lambda _: "6.1.0")
    found = check_optuna()
    assert (found.level, found.said) == (Level.WARN, "6.1.0, and sweep was tested with 5.0")
    assert found.advice == "pip install 'optuna==5.0.*'"


def test_an_mlflow_whose_dashboards_were_never_looked_at_is_said(monkeypatch):
    monkeypatch.setattr("sweep.tracking.saved_view.version", lambda _: "3.99.1")
    found = check_mlflow()
    assert found.level == Level.WARN
    assert found.said.startswith("3.99.1, and the dashboards were tested with 3.17: ")


def test_a_blas_whose_threads_cannot_be_held_is_said(monkeypatch):
    monkeypatch.setattr("threadpoolctl.threadpool_info", list)
    assert check_numpy().level == Level.WARN


@pytest.mark.parametrize(
    ("kilobytes", "level"), [(16_000_000, Level.OK), (1_000_000, Level.WARN), (None, Level.OK)]
)
def test_little_memory_is_said(tmp_path, monkeypatch, kilobytes, level):
    path = tmp_path / "meminfo"
    if kilobytes is not None:
        path.write_text(f"MemTotal: 99 kB\nMemAvailable:   {kilobytes} kB\n")
    monkeypatch.setattr(machine, "MEMORY", path)
    assert check_memory().level == level
