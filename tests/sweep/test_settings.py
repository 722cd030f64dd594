import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import SweepError
from sweep.layout import Layout
from sweep.settings import (
    LOSSES,
    MAX_SEED,
    OBJECTIVES,
    PRUNERS,
    SAMPLERS,
    DataChoice,
    Settings,
    check_study_name,
)
from sweep.space import DEFAULT_SPACES, Choices

RULE = (
    "a study name has 1 to 80 letters, digits, dots, dashes or underscores and begins "
    "with a letter or digit"
)

BAD_SETTINGS = [
    ({"loss": "hinge"}, "loss must be one of softmax, bce: got 'hinge'"),
    ({"sampler": "gp"}, "sampler must be one of tpe, random, qmc, grid: got 'gp'"),
    ({"pruner": ""}, "pruner must be one of median, hyperband, none: got ''"),
    ({"objective": "loss"}, "objective must be one of val-accuracy, val-loss: got 'loss'"),
    ({"epochs": 0}, "epochs must be 1 or more: got 0"),
    ({"seed": -1}, "seed must lie in [0, 4294967295]: got -1"),
    ({"seed": MAX_SEED + 1}, "seed must lie in [0, 4294967295]: got 4294967296"),
    ({"study": "a b"}, f"{RULE}: got 'a b'; choose another with --study"),
]

plain_settings = st.fixed_dictionaries(
    {
        "loss": st.sampled_from(LOSSES),
        "epochs": st.integers(1, 100_000),
        "seed": st.integers(0, MAX_SEED),
        "sampler": st.sampled_from(SAMPLERS),
        "pruner": st.sampled_from(PRUNERS),
        "objective": st.sampled_from(OBJECTIVES),
        "data": st.builds(
            DataChoice,
            source=st.text(),
            directory=st.none() | st.text(),
            name=st.text(),
            val_size=st.integers(1),
            split_seed=st.integers(0),
            data_digest=st.text(),
            split_digest=st.text(),
        ),
        "space": st.sampled_from(list(DEFAULT_SPACES.values())),
        "layout": st.builds(
            Layout, slots=st.integers(1, 99), width=st.integers(1, 99), workers=st.integers(1, 9)
        ),
        "study": st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z"),
    }
)


@given(plain_settings)
def test_a_record_that_went_through_json_reads_back_as_the_same_settings(values):
    settings = Settings(**values)
    assert Settings.from_record(json.loads(json.dumps(settings.record()))) == settings


@pytest.mark.parametrize(("change", "message"), BAD_SETTINGS)
def test_a_bad_setting_is_refused_with_the_rule_and_the_value(make_settings, change, message):
    with pytest.raises(SweepError) as refused:
        make_settings(**change)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../escape",
        "a/b",
        "a\\b",
        ".hidden",
        "-option",
        "two\nlines",
        "trailing\n",
        "<b>bold</b>",
        "it's",
        "a b",
        "na\u00efve",
        "nul\0",
        "x" * 81,
    ],
)
def test_a_study_name_that_a_path_tag_or_page_could_trip_over_is_refused_in_one_line(name):
    with pytest.raises(SweepError) as refused:
        check_study_name(name)
    shown = name if len(name) < 81 else "x" * 77 + "..."
    assert str(refused.value) == f"{RULE}: got {shown!r}; choose another with --study"
    assert "\n" not in str(refused.value)


def test_the_message_about_a_very_long_name_is_short():
    with pytest.raises(SweepError) as refused:
        check_study_name("x" * 10_000)
    assert str(refused.value) == (f"{RULE}: got '{'x' * 77}...'; choose another with --study")


@pytest.mark.parametrize("name", ["a", "digits-softmax", "2023.04_run-1", "x" * 80])
def test_a_plain_study_name_is_taken_as_it_is(name):
    assert check_study_name(name) == name


def test_the_objective_is_the_name_of_a_curve_and_a_direction(make_settings):
    assert [
        (settings.metric, settings.direction)
        for settings in (make_settings(objective=objective) for objective in OBJECTIVES)
    ] == [("val/accuracy", "maximize"), ("val/loss", "minimize")]


def test_settings_do_not_differ_from_themselves(make_settings):
    assert make_settings().differences(make_settings()) == []


@pytest.mark.parametrize(
    ("change", "phrases"),
    [
        ({"loss": "bce"}, ["loss softmax -> bce"]),
        ({"epochs": 7}, ["epochs 6 -> 7"]),
        ({"seed": 1}, ["seed 0 -> 1"]),
        ({"sampler": "qmc"}, ["sampler tpe -> qmc"]),
        ({"pruner": "none"}, ["pruner median -> none"]),
        ({"objective": "val-loss"}, ["objective val-accuracy -> val-loss"]),
        (
            {"space": DEFAULT_SPACES["softmax"].replace({"l2": Choices(name="l2", values=(1,))})},
            ["l2 1e-05:1:log -> 1"],
        ),
        ({"epochs": 7, "seed": 1}, ["epochs 6 -> 7", "seed 0 -> 1"]),
    ],
)
def test_every_setting_that_changes_a_trial_is_a_difference(make_settings, change, phrases):
    other = replace(make_settings(), **change)
    assert make_settings().differences(other) == phrases


@pytest.mark.parametrize(
    ("change", "phrases"),
    [
        ({"name": "other"}, ["name tiny -> other"]),
        ({"data_digest": "e" * 64}, ["data digest dddddddddddd -> eeeeeeeeeeee"]),
        ({"split_digest": "6" * 64}, ["split digest 555555555555 -> 666666666666"]),
        ({"source": "/elsewhere/tiny.npz"}, []),
        ({"directory": "/elsewhere"}, []),
    ],
)
def test_what_the_data_are_may_not_change_but_where_they_lie_may(make_settings, change, phrases):
    settings = make_settings()
    other = replace(settings, data=replace(settings.data, **change))
    assert settings.differences(other) == phrases


def test_settings_of_another_version_are_said_to_be_so(make_settings):
    record = make_settings(study="old").record()
    for other in ({**record, "added": 1}, {k: v for k, v in record.items() if k != "seed"}):
        with pytest.raises(
            SweepError, match="'old': its settings were recorded by another version"
        ):
            Settings.from_record(other)


def test_a_record_of_an_earlier_version_is_read_unless_machines_shared_the_study(make_settings):
    settings = make_settings()
    assert Settings.from_record(settings.record() | {"shared": False}) == settings
    with pytest.raises(SweepError, match="recorded by another version"):
        Settings.from_record(settings.record() | {"shared": True})
