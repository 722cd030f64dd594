"""`sweep init`: both stores, made by the first of many."""

import os
import subprocess
import sys

import pytest

from sweep.postgresql import place, read_address

pytestmark = pytest.mark.slow


def test_the_stores_of_a_folder_are_made_once(invoke, workspace):
    (workspace / "mlruns" / "mlflow.db").unlink()
    first, second = invoke("init"), invoke("init")
    assert first.stdout == (
        "studies: mlruns/optuna.db is made\nruns: MLflow at sqlite:///mlruns/mlflow.db is made\n"
    )
    assert second.stdout == (
        "studies: mlruns/optuna.db is there\nruns: MLflow at sqlite:///mlruns/mlflow.db is there\n"
    )
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_many_machines_that_begin_at_once_make_two_databases_once(postgres, tmp_path):
    storage, tracking = postgres.new_database(), postgres.new_database()
    program = "from sweep.cli import main; main()"
    command = [sys.executable, "-c", program, "init"]
    processes = [
        subprocess.Popen(
            [*command, "--storage", storage, "--tracking-uri", tracking],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, outputs
    said = "".join(out for out, _ in outputs)
    shown = place(read_address(storage))
    hidden = place(read_address(tracking)).replace("//", "//***@")
    hidden = hidden.replace("postgresql:", "postgresql+psycopg:")
    assert said.count(f"studies: {shown} is made\n") == 1
    assert said.count(f"studies: {shown} is there\n") == 2
    assert said.count(f"runs: MLflow at {hidden} is ") == 3
    assert postgres.user not in said
    assert list(tmp_path.iterdir()) == []


def test_a_server_is_only_asked_whether_it_answers(invoke, workspace, mlflow_server):
    del workspace
    said = invoke("init", "--tracking-uri", mlflow_server.uri)
    assert said.stdout.endswith(f"runs: MLflow at {mlflow_server.uri} answers\n"), said.output
    mlflow_server.kill()
    gone = invoke("init", "--tracking-uri", mlflow_server.uri)
    assert gone.exit_code == 75
    assert gone.stdout == "studies: mlruns/optuna.db is there\n"
    mlflow_server.start()
    assert invoke("init", "--tracking-uri", mlflow_server.uri).exit_code == 0


def test_one_database_for_both_stores_is_refused(invoke, tmp_path, monkeypatch, fresh_database):
    monkeypatch.chdir(tmp_path)
    orders = (
        ("--storage", fresh_database, "--tracking-uri", fresh_database),
        ("--tracking-uri", fresh_database, "--storage", fresh_database),
    )
    for options in orders:
        said = invoke("init", *options)
        assert said.exit_code == 1
        assert said.output == (
            f"sweep: error: --storage and --tracking-uri are both "
            f"{place(read_address(fresh_database))}, and one schema cannot hold both stores; name "
            "two databases, or two schemas with ?options=-csearch_path%3DNAME\n"
        )


@pytest.mark.parametrize("first", ["--storage", "--tracking-uri"])
def test_a_database_that_holds_one_store_is_no_place_for_the_other(
    invoke, workspace, postgres, fresh_database, first
):
    del workspace
    second = {"--storage": "--tracking-uri", "--tracking-uri": "--storage"}[first]
    assert invoke("init", first, fresh_database).exit_code == 0
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # MLflow leaves it behind
    said = invoke("init", second, fresh_database)
    assert said.exit_code == 1, said.output
    assert "holds another program's tables" in said.stderr
    assert postgres.password not in said.output
