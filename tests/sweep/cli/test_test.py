import json
import re

import pytest

from sweep.study.passes import Budget
from sweep.tracking.tracker import Tracker


@pytest.fixture
def study(tiny_study, no_figures):
    """Return the name of a study with one complete trial."""
    del no_figures
    loop = tiny_study()
    loop.run(Budget(1))
    return loop.study.name


def test_each_look_at_the_test_rows_is_told_and_counted(study, invoke):
    first = invoke("test", study)
    assert first.exit_code == 0
    accuracy, count = first.stdout.splitlines()
    assert re.fullmatch(
        r"tiny-softmax trial 0 \(best by val-accuracy, not confirmed\): "
        r"test accuracy \d+\.\d % \[\d+\.\d, \d+\.\d\] "
        r"\(95 % interval, 9 rows\)",
        accuracy,
    )
    assert count == "The test rows have been opened once for this study."
    assert invoke("test", study).stdout == (
        f"{accuracy}\nThe test rows have been opened 2 times for this study.\n"
    )


def test_a_look_as_json_has_stable_keys_and_stands_on_the_studys_run(study, invoke):
    told = json.loads(invoke("test", study, "--json").stdout)
    assert list(told) == [
        "study",
        "trial",
        "openings",
        "accuracy",
        "low",
        "high",
        "rows",
        "per_class",
    ]
    assert (told["study"], told["trial"], told["openings"], told["rows"]) == (study, 0, 1, 9)
    assert set(told["per_class"]) == {"0", "1", "2"}
    (run,) = Tracker("tiny").runs(role="study")
    assert run.data.metrics["test/accuracy"] == told["accuracy"]


def test_the_search_itself_counts_no_look(in_copied_study, invoke):
    # The fixture lets the digits' test rows raise when a search opens them.
    del in_copied_study
    told = json.loads(invoke("test", "digits-softmax", "--json").stdout)
    assert (told["openings"], told["rows"]) == (1, 360)
