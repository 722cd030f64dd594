import json

import pytest

from sweep.study.ending import Ending


@pytest.mark.parametrize(
    ("ending", "status", "state"),
    [
        ("complete", "FINISHED", "COMPLETE"),
        ("pruned", "KILLED", "PRUNED"),
        ("diverged", "FAILED", "FAIL"),
        ("error", "FAILED", "FAIL"),
        ("interrupted", "FAILED", "FAIL"),
    ],
)
def test_both_stores_have_a_word_for_every_ending(ending, status, state):
    assert Ending(ending).mlflow_status == status
    assert Ending(ending).state.name == state


def test_no_ending_is_left_out_above():
    assert [str(ending) for ending in Ending] == [
        *("complete", "pruned", "diverged", "error", "interrupted")
    ]


def test_an_ending_survives_a_store_of_plain_text():
    assert all(Ending(json.loads(json.dumps(ending))) is ending for ending in Ending)
