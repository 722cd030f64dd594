"""Arrows point one way: cli -> study -> report, archive, doctor -> analysis -> search and on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sweep
import sweep_model
from sweep.cli import main

PACKAGE = Path(sweep.__file__).parent
MODEL = Path(sweep_model.__file__).parent
HEAVY = {"numpy", "optuna", "mlflow", "matplotlib", "sklearn", "scipy", "pandas"}

LEAVES = {"errors", "timings", "environment", "curves", "formatting", "io"}
VOCABULARY = LEAVES | {"sweep_model", "config", "search_space", "workspace"}
PILLARS = {"data", "engine", "plots", "statistics", "tracking"}
ANSWERS = {"archive", "doctor", "report"}

# What each part may import when it runs, besides itself.
ALLOWED = {
    "errors": set(),
    "timings": set(),
    "environment": {"sweep_model"},
    "curves": set(),
    "formatting": set(),
    "workspace": set(),
    "io": {"errors", "sweep_model"},
    "search_space": {"errors"},
    "config": {"sweep_model", "errors", "search_space"},
    "statistics": {"sweep_model", "errors", "formatting", "search_space"},
    "data": {"sweep_model", "errors", "config", "io"},
    "plots": {"sweep_model", "errors", "formatting", "statistics"},
    "engine": VOCABULARY | {"data"},
    "tracking": VOCABULARY,
    "search": VOCABULARY | PILLARS,
    "analysis": VOCABULARY | PILLARS | {"search"},
    "doctor": VOCABULARY | PILLARS | {"search", "analysis"},
    "archive": VOCABULARY | PILLARS | {"search", "analysis"},
    "report": VOCABULARY | PILLARS | {"search", "analysis"},
    "terminal": {"search"},
    "study": VOCABULARY | PILLARS | ANSWERS | {"search", "analysis", "terminal"},
    "estimator": VOCABULARY | PILLARS | {"analysis", "terminal", "study"},
    "__init__": {"errors"},  # and `study` where it is used
    "cli": VOCABULARY | PILLARS | ANSWERS | {"search", "analysis", "terminal", "study"},
    "__main__": {"cli"},
}
# Types may be named across the pillars, but never from further out.
INNER = VOCABULARY | PILLARS

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


def test_a_module_imports_only_from_further_in():
    wrong = {}
    for path in MODULES:
        part, source = part_of(path), path.read_text()
        now, types = (targets(source, run_time=run_time) for run_time in (True, False))
        allowed = ALLOWED[part] | {part}
        if part in INNER:
            now |= types - INNER
        if now - allowed:
            wrong[str(path.relative_to(PACKAGE))] = now - allowed
    assert wrong == {}


def test_no_package_is_reached_behind_its_face():
    behind = {}
    for path in MODULES:
        part = part_of(path)
        for name in imports(ast.parse(path.read_text()), run_time=False):
            _, *inner = name.split(".")
            package = PACKAGE / inner[0] if inner else PACKAGE
            is_module = len(inner) > 1 and (package / f"{inner[1]}.py").exists()
            if is_module and len(inner) > 2 and inner[0] != part:
                behind.setdefault(str(path.relative_to(PACKAGE)), []).append(name)
    assert behind == {}


def test_the_maths_knows_nothing_of_the_program_around_it():
    outside = {"sweep", "optuna", "mlflow", "click", "sklearn", "scipy", "matplotlib"}
    for path in MODEL.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        named = {
            name.split(".")[0]
            for node in nodes
            for name in (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else []
            )
        }
        assert not named & outside, path.name


def test_every_part_has_its_place():
    assert {part_of(path) for path in MODULES} == set(ALLOWED)


def test_a_planted_arrow_is_seen():
    for source, run_time, all_imports in (
        ("from sweep.search.runner import Runner", {"search"}, {"search"}),
        ("import sweep.search.runner", {"search"}, {"search"}),
        ("from sweep import search", {"search"}, {"search"}),
        ("from sweep_model.losses import LOSSES", {"sweep_model"}, {"sweep_model"}),
        ("def f():\n    from sweep.cli import main", {"cli"}, {"cli"}),
        ("try:\n    import sweep.cli\nexcept OSError: pass", {"cli"}, {"cli"}),
        ("if TYPE_CHECKING:\n    from sweep.search.runner import Runner", set(), {"search"}),
        ("import numpy\nfrom sweeper import x", set(), set()),
    ):
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
