"""Search spaces that cannot be searched, from the command line and from a file."""

import shlex

import pytest

OVERRIDES = {
    "of no hyperparameter": ("lr=0.1", "unknown hyperparameter 'lr'", "learning_rate"),
    "of a page": ("<b>=1", "unknown hyperparameter '<b>'"),
    "without a name": ("=1", "unknown hyperparameter ''"),
    "without values": ("l2=", "NAME=VALUES", "'l2='"),
    "without an equals sign": ("l2", "NAME=VALUES", "'l2'"),
    "of nothing": ("", "NAME=VALUES", "''"),
    "that is a word": ("l2=much", "l2 must be a number, e.g. 0.1", "'much'"),
    "that is NaN": ("l2=nan", "l2 must lie in [0, 1e+06]", "nan"),
    "that is infinite": ("learning_rate=inf", "must lie in (0, 1e+06]", "inf"),
    "that overflows": ("l2=1e999", "must lie in", "inf"),
    "that is huge": ("batch_size=" + "9" * 5000, "must"),
    "that is negative": ("l2=-1", "must lie in [0, 1e+06]", "-1"),
    "of a rate of nothing": ("learning_rate=0", "must lie in (0, 1e+06]", "0"),
    "of half a batch": ("batch_size=2.5", "must be a whole number", "2.5"),
    "of an empty batch": ("batch_size=0", "must lie in [1, 1e+06]", "0"),
    "of more than certainty": ("flip_probability=1.5", "must lie in [0, 1]", "1.5"),
    "that goes down": ("l2=3:1", "low end", "3", "1"),
    "of one value": ("l2=1:1", "low end", "for a single value write l2=1"),
    "on a scale from nothing": ("l2=0:1:log", "must start above 0", "0"),
    "on an unknown scale": ("l2=1:2:square", "LOW:HIGH or LOW:HIGH:log", "'1:2:square'"),
    "of four parts": ("l2=1:2:log:3", "LOW:HIGH or LOW:HIGH:log"),
    "without an end": ("l2=1:", "l2 must be a number", "''"),
    "with a hole": ("batch_size=25,,50", "batch_size must be a number", "''"),
    "that repeats itself": ("batch_size=50,50", "choices must differ", "50 twice"),
    "that repeats itself in other words": ("batch_size=50,50.0", "choices must differ"),
    "of very many": ("decay_period=" + ",".join(map(str, range(1, 200))), "1 to 100", "199"),
    "that is true": ("l2=True", "must be a number", "'True'"),
    "with a new line": ("l2=1\n2", "must be a number", "'1\\n2'"),
    "in another alphabet": ("l2=десять", "must be a number", "'десять'"),
}

FILES = {
    "is no TOML": ("l2 = = 1", "not a TOML file"),
    "has a key twice": ("l2 = 1\nl2 = 2", "not a TOML file: Cannot overwrite a value"),
    "is a list of tables": ("[[l2]]\nlow = 1", "l2 must be a number"),
    "has an unknown key": ("learing_rate = 1", "unknown hyperparameter 'learing_rate'"),
    "has text for a number": ('l2 = "1e-3"', "l2 must be a number", "'1e-3'"),
    "has a date for a number": ("l2 = 2020-01-01", "l2 must be a number"),
    "has NaN": ("l2 = nan", "l2 must lie in"),
    "has an infinite end": ("l2 = {low = 1, high = inf}", "the high end of l2 must lie in", "inf"),
    "has a range without an end": ("l2 = {low = 1}", "a range has low, high and perhaps log"),
    "has a range with a step": ("l2 = {low=1, high=2, step=1}", "a range has low, high", "'step'"),
    "has a range in words": ('l2 = {low="a", high=2}', "must be a number", "'a'"),
    "has log in words": ('l2 = {low=1, high=2, log="yes"}', "log must be true or false", "'yes'"),
    "has no choices": ("l2 = []", "l2 must have 1 to 100 choices", "got 0"),
    "has a choice of choices": ("l2 = [[1, 2]]", "l2 must be a number", "[1, 2]"),
    "has a flag": ("l2 = true", "l2 must be a number", "True"),
    "has a table of tables": ("[l2.low]\na = 1", "a range has low, high"),
    "is nested without end": ("l2 = " + "[" * 5000 + "]" * 5000, "not a TOML file"),
    "has a number of thousands of digits": ("l2 = " + "9" * 10_000, "not a TOML file"),
    "is not UTF-8": (b"\xff\xfe", "not a TOML file", "utf-8"),
    "has a zero byte": (b"l2 = 1\0", "not a TOML file"),
    "colours the terminal": (b'"\x1b[31m" = 1', "not a TOML file"),
    "has a key that colours the terminal": (r'"\u001b[31m" = 1', r"'\x1b[31m'"),
    "has more than 64 KiB": ("# " + "x" * 70_000, "at most 64 KiB"),
}


@pytest.mark.parametrize("case", OVERRIDES.values(), ids=OVERRIDES)
def test_an_override_is_refused(folder, refused, case):
    del folder
    override, *says = case
    for command in (["run", "--data", "digits"], ["space"]):
        refused(shlex.join([*command, f"--set={override}"]), 1, *says)


@pytest.mark.parametrize("case", FILES.values(), ids=FILES)
def test_a_space_file_is_refused_that(folder, refused, case):
    content, *says = case
    (folder / "a.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    for command in ("run --data digits --space a.toml", "space --space a.toml"):
        refused(command, 1, "a.toml: ", *says)


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (lambda path: path.mkdir(), 2, "File 'a.toml' is a directory"),
        (lambda path: path.symlink_to("a.toml"), 1, "a.toml: cannot be read: Too many levels of"),
        (lambda path: path.symlink_to("gone"), 1, "a.toml: cannot be read: No such file"),
    ],
)
def test_what_is_no_file_is_no_space_file(folder, refused, make, code, says):
    make(folder / "a.toml")
    refused("run --data digits --space a.toml", code, says)


def test_a_grid_of_millions_is_refused_before_anything_is_written(folder, refused):
    del folder
    many = ",".join(str(n) for n in range(1, 101))
    sets = " ".join(f"--set {name}={many}" for name in ("batch_size", "decay_period", "l2"))
    refused(f"run --data digits --sampler grid {sets}", 1, "at most 100,000 points", "--set")


SINGLE = {
    "--l2": ("-1", "nan", "inf", "1e7"),
    "--learning-rate": ("0", "-0.1", "nan", "-inf"),
    "--decay-period": ("0", "-5", "9999999"),
    "--batch-size": ("0", "-50", str(10**30)),
    "--flip-probability": ("-0.1", "1.1", "nan"),
}


@pytest.mark.parametrize(("option", "value"), [(o, v) for o, vs in SINGLE.items() for v in vs])
def test_a_setting_beyond_its_rule_is_not_trained(folder, refused, option, value):
    del folder
    name = option.removeprefix("--").replace("-", "_")
    refused(f"train --data digits {option}={value}", 1, f"{name} must lie in ")
