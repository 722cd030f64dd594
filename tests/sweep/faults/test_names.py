"""Names that a path, a page, a shell or a database could trip over."""

import shlex

import pytest

HOSTILE = {
    "leaves the folder": "../../etc/passwd",
    "is absolute": "/etc/passwd",
    "is a folder": "..",
    "is nothing": "",
    "is a blank": " ",
    "is a page": "<script>alert(1)</script>",
    "has two lines": "a\nb",
    "returns the carriage": "a\rsweep: error: none",
    "rings": "a\x07",
    "colours the terminal": "\x1b[31mred",
    "is written from right to left": "a\u202eb",
    "has no width": "a\u200bb",
    "is in another alphabet": "исследование",
    "smiles": "😀",
    "is no text": "\udcff",  # a byte of a command line that is no UTF-8
    "is an option": "-rf",
    "is a formula": "=cmd|' /C calc'!A0",
    "is a query": "a' OR '1'='1",
    "is a command": "$(reboot)",
    "is a template": "{{7*7}}",
    "is mathematics": r"$\frac{1$",
    "is hidden": ".hidden",
    "is too long": "a" * 81,
    "is far too long": "a" * 100_000,
    "ends in a new line": "a\n",
}
RULE = "a study name has 1 to 80 letters, digits, dots, dashes or underscores"


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_study_is_not_begun_under_a_name_that(folder, refused, name):
    del folder
    refused(shlex.join(["run", "--data", "digits", f"--study={name}"]), 1, RULE, "choose another")


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_an_unknown_study_is_named_in_one_line_though_its_name(in_finished_study, refused, name):
    del in_finished_study
    refused(shlex.join(["show", "--", name]), 1, "no study is named", "digits-softmax")


@pytest.mark.parametrize(
    "command",
    ["best", "confirm", "test", "reproduce", "export", "report", "ui", "compare digits-softmax"],
)
def test_every_command_names_the_studies_that_there_are(in_finished_study, refused, command):
    del in_finished_study
    refused(f"{command} '<b>'", 1, "no study is named '<b>' here; there are: digits-softmax")


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_data_set_of_no_kind_is_named_in_one_line_though_its_name(folder, refused, name):
    del folder
    for command in (["run"], ["train"]):
        refused(
            shlex.join([*command, f"--data={name}"]), 1, "--data must be auto, cifar10, digits or"
        )


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_not_there_is_named_in_one_line_though_its_name(folder, refused, name):
    del folder
    absent = "there is no such file" if len(name) < 200 else "cannot be read: File name too long"
    for command in (["run", f"--data={name}.npz"], ["data", "info", "--", f"{name}.npz"]):
        refused(shlex.join(command), 1, ".npz: ", absent)
    refused(shlex.join(["run", "--data", "digits", f"--space={name}.toml"]), 1, "cannot be read")
    refused(shlex.join(["import", "--", f"{name}.zip"]), 1, ".zip: ", absent)


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("rnu", 2, "No such command 'rnu'"),
        ("run extra", 2, "Got unexpected extra argument (extra)"),
        ("list extra", 2, "Got unexpected extra argument (extra)"),
        (
            "run --trails 5",
            2,
            "No such option '--trails'. Did you mean '--trials'?",
        ),
        ("run --trials", 2, "Option '--trials' requires an argument"),
        ("run --dry-run=yes", 2, "Option '--dry-run' does not take a value"),
        ("show", 2, "Missing argument 'STUDY'"),
        ("show a b", 2, "Got unexpected extra argument (b)"),
        ("compare", 2, "Missing argument"),
        ("report", 2, "Missing argument 'STUDY...'"),
        ("import", 2, "Missing argument 'FILE.zip'"),
        ("data fetch", 2, "No such command 'fetch'"),
        ("ui a b c", 2, "One study, or two side by side: got 3"),
        ("--verbose run", 2, "No such option '--verbose'"),
    ],
)
def test_a_command_that_is_none_is_a_usage_error(folder, refused, command, code, says):
    del folder
    refused(command, code, says)


def test_a_study_is_not_compared_with_itself(in_finished_study, refused):
    del in_finished_study
    refused("compare digits-softmax", 1, "two or more different studies: got digits")
    refused("compare digits-softmax digits-softmax", 1, "two or more different studies: got digits")


def test_a_trial_that_is_not_there_is_named_with_how_many_there_are(in_finished_study, refused):
    del in_finished_study
    refused("reproduce digits-softmax --trial 99", 1, "99", "6 trials")
    refused(f"reproduce digits-softmax --trial {10**30}", 1, "1000000000", "6 trials")
