"""`--storage`: the commands that read studies, in a folder that has none."""

import json

import pytest

from sweep.cli import main
from sweep.postgresql import place, read_address
from sweep.study.storage import backend_of

pytestmark = pytest.mark.slow

OPENING = (
    "best",
    "compare",
    "confirm",
    "doctor",
    "export",
    "import",
    "init",
    "list",
    "report",
    "reproduce",
    "show",
    "test",
    "ui",
)


SECRET = "tr0ub4dor"  # noqa: S105 - of no account anywhere


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def address(shared_study):
    return backend_of(shared_study.storage).url


@pytest.mark.parametrize("name", OPENING)
def test_every_command_that_opens_studies_takes_it(name):
    options = {option.name: option for option in main.commands[name].params}
    assert options["storage"].envvar == "SWEEP_STORAGE"


def test_a_shared_study_is_listed_and_shown_as_a_local_one_is(
    invoke, address, tmp_path, recorded_study
):
    commands = (["list"], ["list", "--json"], ["show"], ["best"], ["best", "--json"])
    for command, *rest in commands:
        name = [] if command == "list" else [recorded_study.name]
        local = invoke(command, *name, *rest)
        shared = invoke(command, *name, *rest, "--storage", address)
        assert (shared.exit_code, shared.output) == (0, local.output)
    assert (tmp_path / "mlruns" / "optuna.db").exists()


def test_the_environment_names_a_store_too(invoke, address, monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEP_STORAGE", address)
    (row,) = json.loads(invoke("list", "--json").stdout)
    assert row["study"] == "digits-softmax"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("debug", [[], ["--debug"]])
@pytest.mark.parametrize("broken", [(None, SECRET, 1), (9, None, 75), (9, SECRET, 75)])
def test_a_store_that_cannot_be_opened_is_named_and_no_password_is(
    invoke, postgres, folder, debug, broken
):
    port, password, code = broken
    address = postgres.address("postgres", password=password)
    address = address.replace(f":{postgres.port}", f":{port or postgres.port}")
    for command in (["list"], ["show", "a"], ["report", "a"], ["init"]):
        said = invoke(*debug, *command, "--storage", address)
        assert said.exit_code == code, said.output
        assert place(read_address(address)) in said.stderr
        for secret in (SECRET, postgres.password, "correct", "%2F"):
            assert secret not in said.output
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "address", ["sqlite:///mlruns/optuna.db", "mysql://lab/a", "postgresql://lab", "x"]
)
def test_an_address_that_cannot_be_right_is_refused_before_anything_is_begun(
    invoke, folder, address
):
    said = invoke("list", "--storage", address)
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith("sweep: error: --storage: ")
    assert said.stderr.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_a_study_taken_in_by_a_shared_store_reproduces_and_goes_out_as_it_came(
    invoke, in_copied_study, fresh_database
):
    study = "digits-softmax"
    first, last = in_copied_study / "first.zip", in_copied_study / "last.zip"
    assert invoke("export", study, "--out", first).exit_code == 0
    (in_copied_study / "mlruns" / "optuna.db").unlink()
    for command in (
        ["import", first],
        ["reproduce", study],
        ["test", study],
        ["confirm", study, "--top", 1, "--seeds", 2],
        ["report", study],
    ):
        done = invoke(*command, "--storage", fresh_database)
        assert done.exit_code == 0, (command, done.output)
    taken = invoke("import", first, "--storage", fresh_database)
    assert taken.exit_code == 1
    assert invoke("import", first, "--as", "again", "--storage", fresh_database).exit_code == 0
    assert invoke("export", "again", "--out", last, "--storage", fresh_database).exit_code == 0
    assert invoke("import", last, "--as", "local").exit_code == 0
    shared = invoke("best", "again", "--json", "--storage", fresh_database).stdout
    local = invoke("best", "local", "--json").stdout
    assert {**json.loads(local), "study": ""} == {**json.loads(shared), "study": ""}


def test_doctor_says_whether_a_shared_store_answers_and_what_is_in_it(
    invoke, address, postgres, tmp_path
):
    shown = place(read_address(address))
    found = {each["check"]: each for each in json.loads(doctor(invoke, address).stdout)["checks"]}
    assert found[shown]["level"] == "ok"
    assert found[shown]["said"].endswith(", 1 study")
    postgres.stop()
    gone = doctor(invoke, address)
    assert gone.exit_code == 75
    assert f"{shown} could not be looked at" in gone.stderr
    empty = doctor(invoke, f"{address}?options=-csearch_path%3Dnowhere")
    assert empty.exit_code == 75
    postgres.start()
    empty = doctor(invoke, f"{address}?options=-csearch_path%3Dnowhere")
    assert empty.exit_code == 3
    assert list(tmp_path.iterdir()) == []


def doctor(invoke, address):
    return invoke("doctor", "--json", "--storage", address)
