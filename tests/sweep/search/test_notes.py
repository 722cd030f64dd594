from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

from sweep.cli import main
from sweep.search.notes import (
    commands,
    experiment_note,
    plain,
    range_in_words,
    section,
    study_note,
    table,
    trial_note,
)
from sweep.search.trials import Status
from sweep.search_space import Choices, Range


def test_a_note_without_a_complete_trial_says_so_and_where_was_searched(make_study, make_trial):
    trials = [make_trial(values=[], status="failed", reason="diverged in epoch 1")]
    told = study_note(make_study(trials=trials), trials)
    question, result, *_ = told.split("\n\n")
    assert question.startswith("**tiny-softmax**: which setting")
    assert "best on tiny, by val-accuracy after 6 epochs?" in question
    assert result == "Trials: 0 complete, 0 pruned, 1 failed. No trial is complete yet."
    for row in (
        f"| SHA-256 of the rows&emsp; | {'d' * 64} |",
        "| validation rows&emsp; | 15, split seed 0 |",
        "| sampler, pruner&emsp; | tpe, halving |",
        "| trials side by side&emsp; | 8, in panels of 4 |",
        "| learning_rate&emsp; | 0.0001 to 10, logarithmic |",
        "| batch_size&emsp; | 50, 100, 200, 400 |",
    ):
        assert f"{row}\n" in told
    assert "sweep reproduce" not in told
    assert "**Search**" not in told  # which has spent nothing
    assert "sweep run tiny-softmax --loss softmax" in told


def test_the_note_has_the_selected_trial_its_interval_and_the_commands_that_repeat_it(
    make_study, make_trial
):
    trials = [
        make_trial(0, [0.1, 0.8], params={"l2": 0.123456789}),
        make_trial(1, [0.1], status="pruned", reason="rung 1"),
    ]
    study = make_study(trials=trials)
    told = study_note(study, trials, trials[0], "best by val-accuracy, not confirmed")
    _, result, *_ = told.split("\n\n")
    assert result.startswith("**Trial 0**, best by val-accuracy, not confirmed, with a validation ")
    assert "80.0 % [54.8, 93.0] (95 % interval for 15 rows; optimistic: the best of 2)" in result
    assert result.endswith("Trials: 1 complete, 1 pruned, 0 failed.")
    assert "| hyperparameter&emsp; | searched&emsp; | trial 0 |" in told
    assert "| l2&emsp; | 1e-5 to 1, logarithmic&emsp; | 0.123457 |" in told
    assert f"| seed&emsp; | &emsp; | {study.config.training_seed} |" in told
    assert "| spent&emsp; | 3 trial-epochs; 2 trials in full are 12, 4.0 times as many |" in told
    assert "| 1&emsp; | 2&emsp; | 1&emsp; | 0.1000&emsp; | - |" in told
    for command in ("sweep reproduce tiny-softmax", "sweep confirm tiny-softmax", "--trials 2"):
        assert command in told


def test_the_longest_note_is_one_that_mlflow_takes(make_config, make_study, make_trial):
    many = Choices(name="l2", values=tuple(i / 7e5 for i in range(1, 101)))
    space = make_config().space.replace({"l2": many})
    trials = [make_trial(params={"l2": many.values[0]})]
    study = make_study(make_config(study="x" * 80, space=space), trials)
    assert len(study_note(study, trials, trials[0], "confirmed")) < MAX_TAG_VAL_LENGTH


def test_an_axis_is_told_in_words():
    for axis, words in (
        (Range(name="l2", low=1e-4, high=0.1, log=True), "0.0001 to 0.1, logarithmic"),
        (Range(name="decay_period", low=1, high=50), "1 to 50"),
        (Choices(name="batch_size", values=(25, 50)), "25, 50"),
        (Choices(name="l2", values=(0.5,)), "0.5"),
    ):
        assert range_in_words(axis) == words


DATA = """\
Which linear classifier is best on **tiny**, with which loss and setting, by how much, and does it \
come out the same again?

**Data**

| &emsp; |  |
| --- | --- |
| training rows&emsp; | 45 |
| validation rows&emsp; | 15 |
| features&emsp; | 12: images of 3 x 4 pixels, 1 to a pixel |
| 3 classes&emsp; | ant, bee, cat |
"""
COMMANDS = """\
```sh
# the studies of this folder, each with its best trial
sweep list
# its dashboard
sweep ui one
# which is better, on the same test rows
sweep compare one two
# all of it on one page
sweep report one two
```"""


def test_the_note_says_what_the_data_are_and_how_to_go_on(tiny_data):
    told = experiment_note(tiny_data, ["one", "two"])
    assert told.startswith(DATA)
    assert "**NAME: dashboard**" in told
    assert told.endswith(COMMANDS)


def test_commands_name_the_studies_that_there_are_and_rows_that_are_no_images_features_alone(
    tiny_data,
):
    for studies, compared in ([], "STUDY STUDY_B"), (["one"], "one STUDY_B"), (["a", "b"], "a b"):
        note = experiment_note(replace(tiny_data, image_shape=None), studies)
        assert f"\nsweep compare {compared}\n" in note
        assert "| features&emsp; | 12 |" in note


def test_class_names_cannot_break_the_table(tiny_data):
    told = experiment_note(replace(tiny_data, class_names=("a|b", "<i>", "c")))
    assert "| 3 classes&emsp; | a\\|b, &lt;i&gt;, c |" in told


def test_the_longest_note_of_an_experiment_is_one_that_mlflow_takes(tiny_data):
    from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH

    many = replace(tiny_data, class_names=tuple(f"<{i}>" for i in range(1000)))
    told = experiment_note(many, [f"{i:080}" for i in range(1000)])
    assert len(told) < MAX_EXPERIMENT_TAG_VAL_LENGTH


NOTE = """\
**Trial 7 of tiny-softmax**: how well does a linear classifier with the softmax loss do on tiny in \
the setting below? The study searches for the best val-accuracy after 6 epochs.

**Pruned** after 3 of 6 epochs, with a validation accuracy of 60.0 % [35.7, 80.2] (95 % interval \
for 15 rows): epoch 3: val/accuracy 0.6000, worse than the median.

**Setting**

| hyperparameter&emsp; | value |
| --- | --- |
| l2&emsp; | 0.1 |
| learning_rate&emsp; | 0.01 |
| decay_period&emsp; | 10 |
| batch_size&emsp; | 50 |
| flip_probability&emsp; | 0.2 |
| epochs&emsp; | 6 |
| seed&emsp; | SEED |

**How to reproduce it**

```sh
# exit code 0: it matches; 3: it does not
sweep reproduce tiny-softmax --trial 7
```

It trains the trial alone, from pass 3 on, """


@pytest.fixture
def note(make_config, make_trial):
    """Return a function that describes trial 7."""

    def describe(status, reason="", values=(0.2, 0.8, 0.6), **changes):
        trial = make_trial(7, values, status=status, reason=reason, first_pass=3)
        return trial_note(make_config(**changes), trial)

    return describe


def test_the_note_says_what_was_asked_given_and_found_and_how_to_repeat_it(note, make_config):
    told = note("pruned", "epoch 3: val/accuracy 0.6000, worse than the median")
    assert told.startswith(NOTE.replace("SEED", str(make_config().training_seed)))
    assert "`sweep confirm tiny-softmax`" in told


def test_the_note_says_how_the_trial_stands_and_only_an_ended_one_can_be_reproduced(note):
    for status, word in {
        Status.RUNNING: "Training",
        Status.COMPLETE: "Complete",
        Status.PRUNED: "Pruned",
        Status.FAILED: "Failed",
    }.items():
        told = note(status)
        assert f"**{word}** after 3 of 6 epochs, with" in told
        assert ("sweep reproduce" in told) == (status != Status.RUNNING)


def test_a_trial_without_an_epoch_has_no_result(note):
    told = note("failed", "diverged in epoch 1", ())
    assert "**Failed** after 0 of 6 epochs: diverged in epoch 1." in told


def test_a_reason_cannot_break_the_note(note):
    told = note("failed", "ValueError: <b>|\n# no")
    assert "rows): ValueError: &lt;b&gt;\\| # no." in told


def test_the_longest_note_of_a_trial_is_one_that_mlflow_takes(note):
    from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

    assert len(note("failed", "<" * 10**5, study="x" * 80)) < MAX_TAG_VAL_LENGTH


def test_the_printed_command_is_one_that_sweep_knows(note):
    (line,) = [each for each in note("complete").splitlines() if "sweep reproduce" in each]
    program, command, study, option, number = line.split()
    assert (program, study, number) == ("sweep", "tiny-softmax", "7")
    options = main.get_command(None, command).params
    assert option in [name for each in options for name in each.opts]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("learning_rate", "learning_rate"),
        ("_hidden_ or *bold*", r"\_hidden\_ or \*bold\*"),
        ("a | b", r"a \| b"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("two\n\nlines", "two lines"),
        ("[link](x) `code` ~no~ @me {a}", r"\[link\](x) \`code\` \~no\~ \@me \{a\}"),
        (0.5, "0.5"),
    ],
)
def test_markdown_shows_just_the_characters_of_a_text(text, shown):
    assert plain(text) == shown


@given(st.text(max_size=700))
def test_no_text_breaks_a_line_a_cell_or_a_tag_nor_is_it_without_end(text):
    line = plain(text)
    assert len(line.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(\\\\)*\|", line)
    assert not {"<", ">"} & set(line)
    assert len(line) <= 600 * len("&amp;")


def test_a_table_has_as_many_bars_in_each_row_whatever_its_cells_hold():
    assert table(["class", "share"], [("a|b", 0.5), ("c", 1)]) == (
        "| class&emsp; | share |\n| --- | --- |\n| a\\|b&emsp; | 0.5 |\n| c&emsp; | 1 |"
    )


def test_commands_stand_in_a_block_of_code_below_what_they_do():
    assert commands(("sweep list", "all"), ("sweep ui a", "one")) == (
        "```sh\n# all\nsweep list\n# one\nsweep ui a\n```"
    )


def test_a_long_command_goes_on_in_the_next_line_and_stays_the_same_command():
    words = ["sweep", "run", "--data", "/a b --c/d.npz", *(f"--option-{i}=x" for i in range(20))]
    _, _, *lines, _ = commands((shlex.join(words), "long")).splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) < 70
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == words


def test_a_section_has_a_title_in_bold_and_paragraphs():
    assert section("Result", "one", "two") == "**Result**\n\none\n\ntwo"
