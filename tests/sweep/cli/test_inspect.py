import json
import os
import subprocess
import sys

import comparisons
import pytest

from sweep.cli.inspect import EPOCHS, INTERVAL, TRAIN, trial_table
from sweep.search import CONFIRMATION, begin_study, open_storage
from sweep.terminal import table_width


def confirm(study, trial, search, *values):
    """Put a confirmation on record which that trial has won, with a noise floor of 0.15."""
    baseline = [0.75, 0.8, 0.85, 0.8, 0.75]
    confirmation = comparisons.confirmation(
        (trial, search, values), baseline=baseline, epochs=3, finished=3
    )
    study.set_attribute(CONFIRMATION, confirmation.record())


def test_commands_that_read_print_what_their_golden_files_hold(invoke, recorded_study, golden):
    name = recorded_study.name
    for file, command in (
        ("list", ["list"]),
        ("show", ["show", name]),  # complete trials first, then the longest, and every failure
        ("show-reasons", ["show", name, "--reasons"]),
        ("show-top", ["show", name, "--top", "2"]),
        ("best", ["best", name]),
        ("space", ["space", "--loss", "bce", "--set", "l2=0.5", "--set", "batch_size=50,100"]),
    ):
        result = invoke(*command)
        assert (result.exit_code, result.stderr) == (0, ""), file
        golden(file, result.stdout)


def test_json_has_stable_keys(invoke, recorded_study, tmp_path):
    name = recorded_study.name
    (study,) = json.loads(invoke("list", "--json").stdout)
    assert study == {
        "study": name,
        "data": "digits",
        "loss": "softmax",
        "complete": 2,
        "pruned": 1,
        "failed": 1,
        "best_trial": 2,
        "val/accuracy": 0.9,
        "selected_trial": 2,
        "val/loss": pytest.approx(0.1),
    }
    shown = json.loads(invoke("show", name, "--top", "2", "--json").stdout)
    assert list(shown) == [
        *("config", "selected_trial", "grounds", "not_distinguishable"),
        *("search", "boundary", "trials"),
    ]
    assert shown["search"] == {
        "rungs": [
            {"epoch": 1, "reached": 3, "went_on": 2, "best": 0.6, "needed": [0.6, 0.6]},
            {"epoch": 2, "reached": 2, "went_on": 2, "best": 0.8, "needed": None},
        ],
        "trial_epochs": 7,
        "trial_epochs_in_full": 9,
        "best_so_far": [[3, 0.6], [5, 0.8], [7, 0.9]],
        "lead_over_trial_0": pytest.approx(0.1),
    }
    assert shown["config"] == json.loads(json.dumps(recorded_study.config.record()))
    assert [trial["trial"] for trial in shown["trials"]] == [2, 0, 3, 1]
    assert shown["trials"][3] == {
        "trial": 1,
        "status": "failed",
        "epochs": 0,
        "reason": "diverged in epoch 1: the [bold] cost is nan",
        "val/accuracy": None,
        "val/loss": None,
        "train/accuracy": None,
        "l2": 1.0,
        "learning_rate": 0.01,
        "decay_period": 10,
        "batch_size": 50,
        "flip_probability": 0.2,
    }
    best = json.loads(invoke("best", name, "--json").stdout)
    assert list(best) == [
        *("study", *(key for key in shown["trials"][0])),
        *("val/accuracy_interval", "grounds", "metrics"),
    ]
    assert best["val/accuracy_interval"] == pytest.approx([0.8608, 0.9291], abs=1e-4)
    path = tmp_path / "ranges.toml"
    path.write_text("l2 = {low = 1e-3, high = 0.1, log = true}\ndecay_period = [10, 20]\n")
    space = json.loads(invoke("space", "--space", path, "--set", "decay_period=5", "--json").stdout)
    assert list(space) == ["loss", "space", "trial_0", "first_wave"]
    assert {"digits", "wine"} < set(space["first_wave"]["data"])
    assert len(space["first_wave"]["settings"]) == 10
    assert space["space"]["l2"] == {"low": 1e-3, "high": 0.1, "log": True}
    assert space["space"]["decay_period"] == space["trial_0"]["decay_period"] == 5


def test_list_names_the_studies_that_it_cannot_read_on_stderr(invoke, recorded_study):
    import optuna

    storage = open_storage(recorded_study.workspace)
    for name, attribute in (("ours-once", "sweep:settings"), ("foreign", "theirs")):
        study = optuna.create_study(study_name=name, storage=storage)
        study.set_user_attr(attribute, {})
    result = invoke("list", "--json")
    assert result.exit_code == 0
    assert [each["study"] for each in json.loads(result.stdout)] == ["digits-softmax"]
    earlier, others = result.stderr.splitlines()
    assert "sweep 0.1" in earlier
    assert earlier.endswith("ours-once")
    assert others.endswith("other programs, left alone: foreign")


def test_a_store_without_studies_lists_none(invoke, in_workspace):
    del in_workspace
    assert json.loads(invoke("list", "--json").stdout) == []
    assert invoke("list").exit_code == 0


@pytest.mark.slow
def test_show_without_utf_8_has_the_numbers_alone(recorded_study):
    done = subprocess.run(
        [sys.executable, "-m", "sweep", "show", recorded_study.name],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.isascii()
    assert b"*2|complete|" in done.stdout
    assert b"curve" not in done.stdout


def test_show_sorts_by_a_column_and_what_has_no_value_comes_last(invoke, recorded_study):
    for sort, order in (
        ("trial", [0, 1, 2, 3]),
        ("l2", [2, 3, 0, 1]),
        ("val/loss", [2, 0, 3, 1]),
        ("epochs", [1, 3, 2, 0]),
    ):
        for options, expected in (((), order), (("--reverse",), order[::-1])):
            shown = invoke("show", recorded_study.name, "--sort", sort, "--json", *options)
            trials = [trial["trial"] for trial in json.loads(shown.stdout)["trials"]]
            assert trials == expected, (sort, options)


def test_show_marks_what_the_noise_floor_cannot_tell_from_the_selected_trial(
    invoke, recorded_study
):
    confirm(recorded_study, 2, 0.9, *[0.9] * 5)
    shown = invoke("show", recorded_study.name).stdout
    assert "   ≈0 complete" in shown
    assert "* selected: trial 2, confirmed on 5 fresh seeds" in shown
    told = json.loads(invoke("show", recorded_study.name, "--json").stdout)
    assert told["not_distinguishable"] == [0]
    confirm(recorded_study, 3, float("nan"), *[0.95] * 5)
    shown = invoke("show", recorded_study.name).stdout
    assert "   *3 pruned" in shown  # with which nothing is compared
    assert "≈" not in shown


def test_best_says_when_it_is_confirmed(invoke, recorded_study):
    confirm(recorded_study, 0, 0.8, 0.7, 0.8, 0.9, 0.8, 0.8)
    shown = invoke("best", recorded_study.name).stdout.splitlines()
    assert shown[0] == "best: trial 0, val/accuracy 0.8000 +- 0.0316"
    assert shown[2].startswith("sure: confirmed on 5 fresh seeds")
    assert shown[3] == "next: sweep test digits-softmax"


def test_a_study_without_a_complete_trial_has_no_best(
    invoke, in_workspace, make_config, make_trial
):
    study = begin_study(make_config(), open_storage(in_workspace), in_workspace)
    trial = make_trial(0, [0.1], status="pruned")
    study.begin(trial, None)
    study.end(trial)
    for command in ("best", "reproduce", "test"):
        result = invoke(command, study.name)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "no complete trial yet; go on with `sweep run tiny-softmax`" in result.stderr


# The table of trials


def trial(number, status="complete", accuracy=0.9):
    return {
        "trial": number,
        "status": status,
        "val/accuracy": accuracy,
        "train/accuracy": accuracy,
        "val/loss": None if accuracy is None else 1 - accuracy,
        "epochs": 50 if accuracy is not None else 0,
        "l2": 0.000123,
        "learning_rate": 0.000456,
        "decay_period": 50,
        "batch_size": 400,
        "flip_probability": 0.0123,
    }


def laid_out(*trials, width=200, blocks=True, curves=None, epochs=50):
    curve = [0.5] * 25 + [0.9] * 25
    return trial_table(
        trials or [trial(0)],
        {0: "*"},
        curves if curves is not None else {0: curve},
        validation_rows=300,
        epochs=epochs,
        width=width,
        blocks=blocks,
    )


def test_what_gives_way_in_a_narrow_terminal():
    everything = laid_out().columns
    for width, missing, blocks in (
        (200, set(), 40),
        (100, set(), 10),
        (95, {INTERVAL}, 18),
        (80, {INTERVAL, TRAIN}, 9),
        (76, {INTERVAL, TRAIN, EPOCHS}, 12),
        (70, {INTERVAL, TRAIN}, 0),
        (40, {INTERVAL, TRAIN, EPOCHS}, 0),
    ):
        table = laid_out(width=width)
        gone = missing | (set() if blocks else {"curve"})
        assert set(everything) - set(table.columns) == gone, width
        assert len(table.columns.get("curve", [""])[0]) == blocks, width
    for width in range(67, 200):
        table = laid_out(trial(0), trial(999), width=width)
        assert table_width(table.columns) <= width, width


def test_curves_are_shown_where_there_are_any_on_the_scale_of_all_trials():
    assert {"curve"} == set(laid_out().columns) - set(laid_out(blocks=False).columns)
    assert laid_out(curves={0: [], 1: []}).scale is None
    table = laid_out(trial(0), curves={0: [0.5], 7: [0.0, 1.0]}, epochs=2)
    assert table.columns["curve"] == ["▅"]
    assert laid_out(width=70, blocks=False).legend("val/accuracy", 1000) == [
        "One standard error of an accuracy near 50 % on 1,000 rows is 1.6 points."
    ]
