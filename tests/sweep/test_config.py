import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.config import (
    LOSSES,
    MAX_SEED,
    MAX_SLOTS,
    OBJECTIVES,
    PRUNERS,
    SAMPLERS,
    TPE_ARGUMENTS,
    TRAIN_CURVES,
    WIDEST_PANEL,
    DataConfig,
    StudyConfig,
    check_study_name,
    default_lanes,
    default_slots,
    run_command,
    trial_seed,
)
from sweep.curves import NOUNS
from sweep.errors import SweepError
from sweep.search_space import DEFAULT_SPACES, Choices

BAD = [
    ({"loss": "hinge"}, "loss must be one of softmax, bce: got 'hinge'"),
    ({"sampler": "gp"}, "sampler must be one of tpe, random, qmc, grid: got 'gp'"),
    ({"pruner": ""}, "pruner must be one of halving, median, hyperband, none: got ''"),
    ({"objective": "loss"}, f"objective must be one of {', '.join(OBJECTIVES)}: got 'loss'"),
    ({"train_curve": "half"}, "train_curve must be one of sample, all: got 'half'"),
    *(({"lanes": n}, f"lanes must be one of 1, 2, 4, 8: got {n!r}") for n in (0, 3, 16, 2.5, "4")),
    ({"epochs": 0}, "epochs must lie in [1, inf]: got 0"),
    ({"epochs": math.nan}, "epochs must be a whole number: got nan"),
    ({"seed": -1}, "seed must lie in [0, 4294967295]: got -1"),
    ({"seed": MAX_SEED + 1}, "seed must lie in [0, 4294967295]: got 4294967296"),
    ({"slots": 0}, "slots must lie in [1, 4096]: got 0"),
    ({"slots": MAX_SLOTS + 1}, "slots must lie in [1, 4096]: got 4097"),
    ({"eta": 1}, "eta must lie in [2, inf]: got 1"),
    ({"objective": "val-weighted-accuracy"}, "objective val-weighted-accuracy needs a number"),
    ({"study": "a b"}, "a study name has"),
]
BAD_NAMES = [
    *("", "../escape", "a/b", "a\\b", ".hidden", "-option", "two\nlines", "trailing\n"),
    *("<b>bold</b>", "it's", "a b", "na\u00efve", "nul\0", "x" * 81, "x" * 10_000),
]

configs = st.fixed_dictionaries(
    {
        "loss": st.sampled_from(LOSSES),
        "epochs": st.integers(1, 100_000),
        "seed": st.integers(0, MAX_SEED),
        "sampler": st.sampled_from(SAMPLERS),
        "pruner": st.sampled_from(PRUNERS),
        "objective": st.sampled_from(OBJECTIVES),
        "train_curve": st.sampled_from(TRAIN_CURVES),
        "class_weight": st.sampled_from(("1,2.5", "3,4,5")),
        "data": st.builds(
            DataConfig,
            source=st.text(),
            directory=st.none() | st.text(),
            name=st.text(),
            val_size=st.integers(1),
            split_seed=st.integers(0),
            data_digest=st.text(),
            split_digest=st.text(),
        ),
        "space": st.sampled_from(list(DEFAULT_SPACES.values())),
        "slots": st.integers(1, MAX_SLOTS),
        "lanes": st.sampled_from((1, 2, 4, 8)),
        "eta": st.integers(2, 9),
        "sampler_arguments": st.sampled_from([dict(TPE_ARGUMENTS), {"multivariate": False}]),
        "study": st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z"),
    }
)


@given(configs)
def test_a_record_that_went_through_json_reads_back_as_the_same_config(values):
    config = StudyConfig(**values)
    assert StudyConfig.from_record(json.loads(json.dumps(config.record()))) == config


def test_a_bad_value_is_refused_with_the_rule_and_the_value(make_config):
    for change, message in BAD:
        with pytest.raises(SweepError) as refused:
            make_config(**change)
        assert str(refused.value).startswith(message)


def test_a_study_name_that_a_path_tag_or_page_could_trip_over_is_refused_in_a_short_line():
    for name in BAD_NAMES:
        with pytest.raises(SweepError) as refused:
            check_study_name(name)
        shown = name if len(name) < 81 else "x" * 77 + "..."
        assert str(refused.value).endswith(f": got {shown!r}; choose another")
        assert "\n" not in str(refused.value)


def test_a_plain_study_name_is_taken_as_it_is():
    for name in ("a", "digits-softmax", "2023.04_run-1", "x" * 80):
        assert check_study_name(name) == name


def test_the_objective_is_the_name_of_a_curve_and_a_direction(make_config):
    told = [
        (config.metric, config.direction, config.sign)
        for config in (make_config(objective=each, class_weight="1,2") for each in OBJECTIVES)
    ]
    assert told == [
        ("val/accuracy", "maximize", -1),
        ("val/loss", "minimize", 1),
        ("val/balanced_accuracy", "maximize", -1),
        ("val/macro_f1", "maximize", -1),
        ("val/top5_accuracy", "maximize", -1),
        ("val/log_loss", "minimize", 1),
        ("val/weighted_accuracy", "maximize", -1),
    ]
    assert [metric for metric, *_ in sorted(told)] == sorted(NOUNS)
    further = [
        make_config(objective=objective, pruner=pruner).further
        for objective in OBJECTIVES[:3]
        for pruner in ("none", "halving")
    ]
    assert further == [
        (),
        ("averaged_accuracy",),
        (),
        ("averaged_loss",),
        ("balanced_accuracy",),
        ("balanced_accuracy", "averaged_balanced_accuracy"),
    ]


def test_every_setting_that_changes_a_trial_is_a_difference(make_config):
    space = DEFAULT_SPACES["softmax"].replace({"l2": Choices(name="l2", values=(1,))})
    arguments = TPE_ARGUMENTS | {"n_startup_trials": 9}
    for change, phrases in [
        ({}, []),
        ({"loss": "bce"}, ["loss softmax -> bce"]),
        ({"epochs": 7}, ["epochs 6 -> 7"]),
        ({"seed": 1}, ["seed 0 -> 1"]),
        ({"sampler": "qmc"}, ["sampler tpe -> qmc"]),
        ({"pruner": "none"}, ["pruner halving -> none"]),
        ({"objective": "val-loss"}, ["objective val-accuracy -> val-loss"]),
        ({"train_curve": "all"}, ["train_curve sample -> all"]),
        ({"slots": 12}, ["slots 8 -> 12"]),
        ({"lanes": 2}, ["lanes 4 -> 2"]),
        ({"eta": 4}, ["eta 3 -> 4"]),
        (
            {"sampler_arguments": arguments},
            [f"sampler_arguments {dict(TPE_ARGUMENTS)} -> {arguments}"],
        ),
        ({"space": space}, ["l2 1e-05:1:log -> 1"]),
        ({"epochs": 7, "seed": 1}, ["epochs 6 -> 7", "seed 0 -> 1"]),
    ]:
        assert make_config().differences(replace(make_config(), **change)) == phrases


def test_what_the_data_are_may_not_change_but_where_they_lie_may(make_config):
    config = make_config()
    for change, phrases in [
        ({"name": "other"}, ["name tiny -> other"]),
        ({"data_digest": "e" * 64}, ["data digest dddddddddddd -> eeeeeeeeeeee"]),
        ({"split_digest": "6" * 64}, ["split digest 555555555555 -> 666666666666"]),
        ({"normalise": "unit"}, ["normalise standardise -> unit"]),
        ({"source": "/elsewhere/tiny.npz"}, []),
        ({"directory": "/elsewhere"}, []),
    ]:
        other = replace(config, data=replace(config.data, **change))
        assert config.differences(other) == phrases


def test_how_rows_are_normalised_decides_whether_the_space_has_an_axis_for_it(make_config):
    def normalised(text):
        return replace(make_config(), data=replace(make_config().data, normalise=text))

    assert normalised("unit").space == make_config().space
    searched = normalised("none,standardise")
    assert searched.data.normalise == "standardise,none"  # always in one order
    assert str(searched.space.axes["normalise"]) == "standardise,none"
    assert StudyConfig.from_record(searched.record()) == searched
    assert tuple(searched.record()["space"]) == tuple(make_config().record()["space"])
    assert replace(searched, data=make_config().data) == make_config()
    assert make_config().differences(searched) == ["normalise standardise -> standardise,none"]
    assert searched.normalise_of({"normalise": "none"}) == "none"
    assert normalised("unit").normalise_of({"l2": 0.1}) == "unit"
    record = searched.record()
    record["data"]["normalise"] = "standardise,cosine"
    with pytest.raises(SweepError, match="normalise must be one of standardise, unit, none: got"):
        StudyConfig.from_record(record)


def test_rows_of_a_file_may_have_moved_and_other_rows_may_not(make_config, tmp_path):
    data = make_config().data
    file = tmp_path / "there.npz"
    assert data.moved(file) == replace(data, source=str(file))
    with pytest.raises(SweepError, match="on digits, not on a file"):
        replace(data, source="digits").moved(Path("there.npz"))


# Slots and lanes


def test_slots_are_about_two_and_a_quarter_times_the_root_of_the_trials():
    known = {1: 8, 12: 8, 13: 12, 50: 16, 200: 32, 2_000: 104, 10**7: MAX_SLOTS}
    for trials, slots in known.items():
        assert default_slots(trials) == slots
    for trials in range(1, 3000, 7):
        slots = default_slots(trials)
        assert slots % 4 == 0
        assert slots == 8 or 0 <= slots - 2.25 * math.sqrt(trials) < 4


def test_lanes_are_four_and_eight_where_slots_fill_them_and_classes_leave_room():
    for (classes, slots), lanes in {
        (10, 8): 4,
        (10, 36): 4,
        (10, 40): 8,
        (2, 40): 8,
        (16, 40): 8,
        (17, 40): 4,
        (32, 8): 4,
        (33, 40): 2,
        (64, 8): 2,
        (65, 8): 1,
        (1000, 100): 1,
    }.items():
        assert default_lanes(classes, slots) == lanes
        assert lanes == 1 or lanes * classes <= WIDEST_PANEL


# Seeds


def test_every_draw_of_every_study_has_a_seed_of_its_own(make_config):
    studies = [make_config(seed=seed) for seed in range(20)]
    seeds = [config.training_seed for config in studies]
    seeds += [config.fresh_seed(number) for config, number in product(studies, range(20))]
    seeds += [trial_seed(config.seed, index) for config, index in product(studies, range(20))]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert math.isclose(median(seeds), 2**31, rel_tol=0.1)


def test_the_same_numbers_give_the_same_seeds(make_config):
    one, again = make_config(seed=3), make_config(seed=3)
    assert one.training_seed == again.training_seed
    assert one.fresh_seed(4) == again.fresh_seed(4)
    assert trial_seed(3, 4) == trial_seed(3, 4)


def test_whole_numbers_are_whole_and_within_their_bounds(make_config):
    low = {"epochs": 1, "seed": 0, "slots": 1, "eta": 2}
    high = {"seed": MAX_SEED, "slots": MAX_SLOTS, "epochs": 10**9, "eta": 10**9}
    for name, least in low.items():
        for good in (least, high[name]):
            assert getattr(make_config(**{name: good}), name) == good
        for value in (2.5, 3.0, True, "3", None, math.nan, math.inf):
            with pytest.raises(SweepError, match=f"{name} must be a whole number: got"):
                make_config(**{name: value})


def test_a_record_without_class_weights_is_of_a_study_before_there_were_any(make_config):
    record = make_config().record()
    del record["class_weight"]
    assert StudyConfig.from_record(record) == make_config()
    assert make_config().differences(make_config(class_weight="balanced")) == [
        "class_weight none -> balanced"
    ]


def test_class_weights_are_words_or_numbers_above_0(make_config):
    for asked, recorded, weights in (
        ("none", "none", None),
        ("balanced", "balanced", None),
        ("1, 2.50,1e3", "1,2.5,1000", (1.0, 2.5, 1000.0)),
        ("1e-300,0.1", "1e-300,0.1", (1e-300, 0.1)),
    ):
        config = make_config(class_weight=asked)
        assert (config.class_weight, config.class_weights) == (recorded, weights)
        assert StudyConfig.from_record(config.record()) == config
    for bad in ("heavy", "", "1,", "1;2", "0,1", "-1,2", "nan,1", "inf,1", None, 3.5j):
        with pytest.raises(SweepError, match=r"none, balanced, or a number above 0 .*: got"):
            make_config(class_weight=bad)
    line = run_command(make_config(class_weight="1,2,3"), 50)
    assert "--class-weight 1,2,3" in line


def test_a_record_of_another_version_is_refused_in_one_line(make_config):
    record = make_config().record()
    for bad in (
        {**record, "lodgings": 3},
        *({key: record[key] for key in record if key != name} for name in ("slots", "seed")),
        {**record, "data": {"source": "digits"}},
        {**record, "data": None},
        {**record, "space": {"l2": 0.1}},
    ):
        with pytest.raises(SweepError, match=r"tiny-softmax.*another version.*new study"):
            StudyConfig.from_record(bad)
