"""What other programs leave in the environment neither breaks nor changes a study."""

import os
import subprocess
import sys

import pytest

from sweep.search.record import open_study
from sweep.tracking.client import Tracker

LEFT_OVER = {
    "MLFLOW_RUN_ID": "0123456789abcdef0123456789abcdef",
    "MLFLOW_EXPERIMENT_ID": "42",
    "MLFLOW_EXPERIMENT_NAME": "thesis",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "true",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "true",
    "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "1",
    "MLFLOW_REGISTRY_URI": "databricks-uc",
    "MLFLOW_TRACKING_TOKEN": "t0k3n",
    "MLFLOW_TRACKING_USERNAME": "me",
    "MLFLOW_ARTIFACT_URI": "s3://bucket/x",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "OPTUNA_STORAGE": "sqlite:///elsewhere.db",
    "TERM": "dumb",
    "COLUMNS": "20",
}
FOREIGN_BACKEND = "module://matplotlib_inline.backend_inline"
OPTIONS = ["--trials", "3", "--epochs", "3", "--pruner", "none"]


def test_settings_of_other_programs_change_nothing(
    in_workspace, invoke, image_npz, monkeypatch, outcome, in_both_stores
):
    command = ["run", "--data", image_npz, *OPTIONS]
    assert invoke(*command, "plain").exit_code == 0
    for name, value in LEFT_OVER.items():
        monkeypatch.setenv(name, value)
    done = invoke(*command, "beset")
    assert done.exit_code == 0, done.output
    assert "warning" not in done.stderr
    plain, beset = (open_study(name, in_workspace) for name in ("plain", "beset"))
    assert outcome(beset) == outcome(plain)
    tracker = Tracker("images", in_workspace)
    in_both_stores(beset, tracker)
    names = {experiment.name for experiment in tracker.client.search_experiments()}
    assert names == {"Default", "images"}
    for role in ("trial", "study"):
        runs = [tracker.runs(role=role, **study.tags) for study in (plain, beset)]
        metrics = [{name for run in found for name in run.data.metrics} for found in runs]
        assert metrics[0] == metrics[1]
    assert not list(in_workspace.root.glob("elsewhere.db"))


@pytest.mark.slow
def test_neither_a_notebooks_backend_nor_an_optimised_python_breaks_a_command(
    in_workspace, image_npz
):
    del in_workspace
    environment = {**os.environ, "MPLBACKEND": FOREIGN_BACKEND, "PYTHONOPTIMIZE": "2"}
    program = [sys.executable, "-c", "from sweep.cli import main; main(prog_name='sweep')"]
    for command in (
        ["run", "--data", str(image_npz), *OPTIONS],
        ["list"],
        ["show", "images-softmax"],
        ["report", "images-softmax", "--out", "a.html"],
        ["train", "--data", str(image_npz), "--epochs", "2"],
        ["reproduce", "images-softmax"],
    ):
        done = subprocess.run(
            [*program, *command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.slow
def test_warnings_of_packages_end_no_command_where_the_environment_makes_errors_of_them(
    in_workspace, image_npz
):
    program = [sys.executable, "-W", "error", "-m", "sweep"]
    for command in (["run", "--data", str(image_npz), *OPTIONS], ["confirm", "images-softmax"]):
        done = subprocess.run(
            [*program, *command],
            cwd=in_workspace.root,
            env={**os.environ, "PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "Warning" in done.stderr) == (0, False), done.stderr


@pytest.mark.slow
def test_the_help_is_the_same_where_python_drops_docstrings(folder):
    del folder
    program = [sys.executable, "-c", "from sweep.cli import main; main(prog_name='sweep')"]
    for path in ([], ["run"], ["data"], ["data", "info"]):
        shown = [
            subprocess.run(
                [*program, *path, "--help"],
                env={**os.environ, "PYTHONOPTIMIZE": level},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for level in ("", "2")
        ]
        assert shown[0] == shown[1]
