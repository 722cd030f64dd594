import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys
import sweep_model
for module in pkgutil.walk_packages(sweep_model.__path__, "sweep_model."):
    importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_the_maths_imports_nothing_of_the_search_around_it():
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    imported = set(finished.stdout.split())
    assert {"sweep_model", "numpy"} <= imported
    assert imported.isdisjoint({"sweep", "optuna", "mlflow", "click", "sklearn", "matplotlib"})
