"""What makes a study that study is refused where it is no such thing."""

import json
import math

import pytest

from sweep.config import MAX_SEED, MAX_SLOTS, StudyConfig
from sweep.errors import SweepError


def test_whole_numbers_are_whole_and_within_their_bounds(make_config):
    low = {"epochs": 1, "seed": 0, "slots": 1, "eta": 2}
    high = {"seed": MAX_SEED, "slots": MAX_SLOTS, "epochs": 10**9, "eta": 10**9}
    for name, least in low.items():
        for good in (least, high[name]):
            assert getattr(make_config(**{name: good}), name) == good
        for value in (2.5, 3.0, True, "3", None, math.nan, math.inf):
            with pytest.raises(SweepError, match=f"{name} must be a whole number: got"):
                make_config(**{name: value})
        for value in [least - 1, *([high[name] + 1] if name in ("seed", "slots") else [])]:
            with pytest.raises(SweepError, match=f"{name} must lie in .*got {value}"):
                make_config(**{name: value})


def test_words_and_lanes_are_among_those_that_there_are(make_config):
    for name in ("loss", "sampler", "pruner", "objective", "train_curve"):
        with pytest.raises(SweepError, match=f"{name} must be one of .*got 'other'"):
            make_config(**{name: "other"})
    for lanes in (0, 3, 16, 2.5, "4"):
        with pytest.raises(SweepError, match="lanes must be one of 1, 2, 4, 8"):
            make_config(lanes=lanes)


def test_a_config_comes_back_from_its_record_as_json(make_config):
    for changes in ({}, {"loss": "bce", "eta": 4, "sampler_arguments": {"multivariate": False}}):
        config = make_config(**changes)
        assert StudyConfig.from_record(json.loads(json.dumps(config.record()))) == config
        assert config.differences(config) == []


def test_a_record_of_another_version_is_refused_in_one_line(make_config):
    record = make_config().record()
    for bad in (
        {**record, "lodgings": 3},
        {name: value for name, value in record.items() if name != "slots"},
        {**record, "data": {"source": "digits"}},
        {**record, "data": None},
        {**record, "space": {"l2": 0.1}},
    ):
        with pytest.raises(SweepError, match=r"tiny-softmax.*another version.*--study"):
            StudyConfig.from_record(bad)
