"""A folder with a model.py of the user's own, as most folders of this kind have one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sweep.tracking.champion import register
from sweep_model.classifier import LinearClassifier
from sweep_model.losses import SOFTMAX
from sweep_model.preprocessing import Standardiser

pytestmark = pytest.mark.slow

README = Path(__file__).parents[2] / "README.md"
OWN = "class Net: pass\n"


@pytest.fixture
def folder(in_workspace):
    """Enter a folder with a model.py."""
    (in_workspace.root / "model.py").write_text(OWN)
    return in_workspace.root


def run(*command, **environment):
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example_of_the_readme_runs_beside_it(folder):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (folder / "search.py").write_text(example + "print(len(study.trials()))\n")
    assert run("search.py").endswith("\n10\n")


def test_the_program_runs_beside_it_though_the_folder_is_on_the_path(folder):
    del folder
    options = ["--data", "digits", "--trials", "2", "--epochs", "1"]
    assert "2 of 2 trials finished" in run("-m", "sweep", "run", *options, PYTHONPATH=".")


def test_the_champion_is_loaded_beside_it(folder, tracker):
    classifier = LinearClassifier(
        weights=np.eye(3, 4, dtype=np.float32),
        bias=np.zeros(3, np.float32),
        standardiser=Standardiser(np.zeros(4, np.float32), np.ones(4, np.float32)),
        loss=SOFTMAX,
        image_shape=None,
        class_names=("a", "b", "c"),
    )
    trial = tracker.client.create_run(tracker.experiment_id)
    tags = {"study": "tiny-softmax", "study_id": "0" * 32}
    register(tracker, trial.info.run_id, classifier, name="tiny-softmax", tags=tags)
    (folder / "serve.py").write_text(
        "import sys\n"
        "import mlflow, numpy\n"
        "from model import Net\n"
        "sys.modules['sweep'] = None  # it is not needed to serve\n"
        "mlflow.set_tracking_uri('sqlite:///mlruns/mlflow.db')\n"
        "champion = mlflow.pyfunc.load_model('models:/tiny-softmax@champion')\n"
        "print(champion.predict(numpy.eye(4, dtype=numpy.float32)).argmax(axis=1)[:3])\n"
    )
    assert run("serve.py") == "[0 1 2]\n"


def test_python_m_sweep_is_sweep(folder):
    del folder
    assert run("-m", "sweep", "--version") == run(
        "-c", "from sweep.cli import main; main(prog_name='sweep')", "--version"
    )
