"""Names that a path, a page, a shell or a database could trip over."""

import shlex

HOSTILE = (
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "",
    " ",
    "<script>alert(1)</script>",
    "a\nb",
    "a\rsweep: error: none",
    "a\x07",
    "\x1b[31mred",
    "a\u202eb",  # from right to left
    "a\u200bb",  # a letter without width
    "исследование",
    "😀",
    "\udcff",  # a byte of a command line that is no UTF-8
    "-rf",
    "=cmd|' /C calc'!A0",
    "a' OR '1'='1",
    "$(reboot)",
    "{{7*7}}",
    r"$\frac{1$",
    ".hidden",
    "a" * 81,
    "a" * 100_000,
    "a\n",
)
RULE = "a study name has 1 to 80 letters, digits, dots, dashes or underscores"


def test_a_study_is_not_begun_under_a_hostile_name(folder, refused):
    del folder
    for name in HOSTILE:
        command = shlex.join(["run", "--data", "digits", "--", name])
        refused(command, 1, RULE, "choose another")


def test_an_unknown_study_is_named_in_one_line_with_those_that_there_are(
    in_finished_study, refused
):
    del in_finished_study
    for name in HOSTILE:
        refused(shlex.join(["show", "--", name]), 1, "no study is named", "digits-softmax")
    for command in (
        "best",
        "confirm",
        "test",
        "reproduce",
        "export",
        "report",
        "sync",
        "ui",
        "compare digits-softmax",
    ):
        words = "no study is named '<b>' here; there are: digits-softmax"
        refused(f"{command} '<b>'", 1, words)


def test_data_and_files_of_any_name_are_named_in_one_line(folder, refused):
    del folder
    for name in HOSTILE:
        for command in ("run", "train"):
            none = (
                "folder without .npy" if name == ".." else "data must be auto, cifar10, digits or"
            )
            refused(shlex.join([command, f"--data={name}"]), 1, none)
        short = len(name) < 200
        absent = "there is no such file" if short else "cannot be read: File name too long"
        for words in (["run", f"--data={name}.npz"], ["data", "info", "--", f"{name}.npz"]):
            refused(shlex.join(words), 1, ".npz: ", absent)
        space = ["run", "--data", "digits", f"--space={name}.toml"]
        refused(shlex.join(space), 1, "cannot be read")
        refused(shlex.join(["import", "--", f"{name}.zip"]), 1, ".zip: ", absent)
