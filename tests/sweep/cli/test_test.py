import json
import math
import re

from sweep.analysis.confirmation import BASELINE, Confirmation, Confirmed
from sweep.curves import METRICS
from sweep.search.record import CONFIRMATION, CONFIRMING, TEST_OPENINGS
from sweep.search.trials import Status
from sweep.tracking.tracker import Tracker


def test_each_look_at_the_test_rows_is_told_and_counted(tiny_study, invoke):
    study = tiny_study(1)
    first = invoke("test", study.name)
    assert first.exit_code == 0
    accuracy, count = first.stdout.splitlines()
    assert re.fullmatch(
        r"tiny-softmax trial 0 \(best by val-accuracy, not confirmed\): "
        r"test accuracy \d+\.\d % \[\d+\.\d, \d+\.\d\] "
        r"\(95 % interval, 9 rows\)",
        accuracy,
    )
    assert count == "The test rows have been opened once for this study."
    assert invoke("test", study.name).stdout == (
        f"{accuracy}\nThe test rows have been opened 2 times for this study.\n"
    )


def test_a_winner_that_the_search_pruned_is_tested_with_the_weights_of_all_epochs(
    tiny_study, invoke
):
    study = tiny_study(9, pruner="halving", epochs=3, seed=1)
    early = [trial.number for trial in study.trials() if trial.status == Status.PRUNED][-1]
    confirmation = Confirmation(
        metric="val/accuracy",
        direction="maximize",
        epochs=3,
        seeds=[1, 2],
        finished=9,
        trials=[Confirmed(trial=early, search=math.nan, values=[0.9, 0.9])],
        baseline=Confirmed(trial=BASELINE, search=math.nan, values=[0.5, 0.5]),
    )
    study.set_attribute(CONFIRMATION, confirmation.record())
    refused = invoke("test", study.name)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "`sweep confirm tiny-softmax` again" in refused.stderr
    assert study.attribute(TEST_OPENINGS) is None

    values = {str(number): 0.1 for number in range(9)} | {str(early): 0.99}
    seeds = [study.config.fresh_seed(number) for number in range(2)]
    study.set_attribute(CONFIRMING, {str(seed): values for seed in seeds})
    told = json.loads(invoke("confirm", study.name, "--top", 9, "--seeds", 2, "--json").stdout)
    assert told["selected_trial"] == early
    tested = json.loads(invoke("test", study.name, "--json").stdout)
    assert (tested["trial"], tested["openings"], tested["rows"]) == (early, 1, 9)
    reproduced = json.loads(invoke("reproduce", study.name, "--json").stdout)
    assert (reproduced["trial"], reproduced["matches"]) == (early, "bit for bit")
    assert reproduced["points"] == 3 * len(METRICS)  # not only up to where it was pruned


def test_a_look_as_json_has_stable_keys_and_stands_on_the_studys_run(in_copied_study, invoke):
    # The fixture lets the digits' test rows raise when a search opens them.
    told = json.loads(invoke("test", "digits-softmax", "--json").stdout)
    assert list(told) == [
        *("study", "trial", "openings", "accuracy", "low", "high", "rows", "per_class")
    ]
    assert (told["openings"], told["rows"]) == (1, 360)
    assert set(told["per_class"]) == set("0123456789")
    tracker = Tracker("digits", in_copied_study)
    (run,) = tracker.runs(role="study")
    assert run.data.metrics["test/accuracy"] == told["accuracy"]
