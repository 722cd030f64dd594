from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.search.experiment_note import experiment_note

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


@pytest.mark.parametrize(
    ("studies", "compared"), [([], "STUDY STUDY_B"), (["one"], "one STUDY_B"), (["a", "b"], "a b")]
)
def test_commands_name_the_studies_that_there_are(tiny_data, studies, compared):
    assert f"\nsweep compare {compared}\n" in experiment_note(tiny_data, studies)


def test_rows_that_are_no_images_have_features_alone(tiny_data):
    told = experiment_note(replace(tiny_data, image_shape=None))
    assert "| features&emsp; | 12 |" in told


def test_class_names_cannot_break_the_table(tiny_data):
    told = experiment_note(replace(tiny_data, class_names=("a|b", "<i>", "c")))
    assert "| 3 classes&emsp; | a\\|b, &lt;i&gt;, c |" in told


def test_the_longest_note_is_one_that_mlflow_takes(tiny_data):
    from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH

    many = replace(tiny_data, class_names=tuple(f"<{i}>" for i in range(1000)))
    told = experiment_note(many, [f"{i:080}" for i in range(1000)])
    assert len(told) < MAX_EXPERIMENT_TAG_VAL_LENGTH
