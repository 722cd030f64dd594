"""Arrows point one way: cli -> study -> objective, tracking, figures, data -> sweep_model."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sweep
from sweep.cli import main

PACKAGE = Path(sweep.__file__).parent
HEAVY = {"numpy", "optuna", "mlflow", "matplotlib", "sklearn", "scipy", "pandas"}

FOUNDATION = {"sweep_model", "errors"}
VOCABULARY = FOUNDATION | {
    "curves",
    "databases",
    "disks",
    "environment",
    "layout",
    "outputs",
    "seeds",
    "settings",
    "space",
    "timings",
}
PILLARS = {"data", "engine", "figures", "objective", "statistics", "tracking"}
ANSWERS = {"archive", "comparison", "doctor", "report"}

# What each part may import when it runs, besides itself.
ALLOWED = {
    "errors": set(),
    "timings": set(),
    "environment": set(),
    "curves": set(),
    "databases": {"errors"},
    "disks": {"errors"},
    "seeds": set(),
    "statistics": set(),
    "space": FOUNDATION,
    "layout": FOUNDATION,
    "outputs": FOUNDATION,
    "settings": FOUNDATION | {"layout", "space"},
    "data": FOUNDATION,
    "figures": FOUNDATION | {"statistics"},
    "engine": VOCABULARY,
    "objective": VOCABULARY,
    "tracking": VOCABULARY,
    "study": VOCABULARY | PILLARS,
    **dict.fromkeys(ANSWERS, VOCABULARY | PILLARS | {"comparison", "study"}),
    "__main__": {"cli"},
    "cli": VOCABULARY | PILLARS | ANSWERS | {"study"},
}
# Types may be named across the pillars, but never from further out.
INNER = FOUNDATION | VOCABULARY | PILLARS

MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def for_types_only(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(tree, *, run_time):
    """Yield the modules of this project that a source imports, also within functions."""
    for node in ast.iter_child_nodes(tree):
        if run_time and for_types_only(node):
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where an arrow points"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            yield from imports(node, run_time=run_time)
            continue
        yield from (name for name in names if name.split(".")[0] in ("sweep", "sweep_model"))


def targets(source, *, run_time):
    """Return the parts that a source imports: `sweep_model`, or the second name of `sweep.part`."""
    names = (name.split(".") for name in imports(ast.parse(source), run_time=run_time))
    return {name[0] if name[0] == "sweep_model" else name[1] for name in names}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_further_in(path):
    part = part_of(path)
    if part == "__init__":
        assert targets(path.read_text(), run_time=False) == set()
        return
    assert targets(path.read_text(), run_time=True) <= ALLOWED[part] | {part}
    if part not in {"study", "cli", "__main__"} | ANSWERS:
        assert targets(path.read_text(), run_time=False) <= INNER


def test_every_part_has_its_place():
    assert {part_of(path) for path in MODULES} == set(ALLOWED) | {"__init__"}


@pytest.mark.parametrize(
    ("source", "run_time", "all_imports"),
    [
        ("from sweep.study.loop import StudyLoop", {"study"}, {"study"}),
        ("import sweep.study.loop", {"study"}, {"study"}),
        ("from sweep import study", {"study"}, {"study"}),
        ("from sweep_model.losses import LOSSES", {"sweep_model"}, {"sweep_model"}),
        ("def f():\n    from sweep.cli import main", {"cli"}, {"cli"}),
        ("try:\n    import sweep.cli\nexcept OSError: pass", {"cli"}, {"cli"}),
        ("if TYPE_CHECKING:\n    from sweep.study.loop import Budget", set(), {"study"}),
        ("import numpy\nfrom sweeper import x", set(), set()),
    ],
)
def test_a_planted_arrow_is_seen(source, run_time, all_imports):
    assert targets(source, run_time=True) == run_time
    assert targets(source, run_time=False) == all_imports


def commands(group, *path):
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *path, name)


@pytest.mark.slow
def test_no_help_loads_a_heavy_package():
    program = f"""
import sys
from click.testing import CliRunner
from sweep.cli import main
for path in {list(commands(main))!r}:
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0 and "Usage:" in shown.output, path
    loaded = {HEAVY!r} & set(sys.modules)
    assert not loaded, (path, loaded)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510 - what went wrong is compared
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_help_of_every_command_is_looked_at():
    assert {(), ("run",), ("data", "download")} <= set(commands(main))
    assert len(list(commands(main))) >= 10
