import json
from dataclasses import replace

import pytest

from sweep.archive.plain import RefusedError
from sweep.archive.study_record import (
    portable_settings,
    read_confirmation,
    read_openings,
    read_settings,
)
from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.confirmation import Confirmation


@pytest.fixture
def record(contents):
    """Return the plain values of the settings, to be changed."""
    return json.loads(json.dumps(portable_settings(contents.settings)))


def test_settings_come_back_the_same(contents, record):
    assert read_settings(record) == contents.settings


def test_settings_of_an_earlier_version_are_read_unless_machines_shared_the_study(contents, record):
    assert read_settings(record | {"shared": False}) == contents.settings
    with pytest.raises(RefusedError, match="unknown entry, 'shared'"):
        read_settings(record | {"shared": True})


@pytest.mark.parametrize(
    ("source", "directory", "name", "travels"),
    [
        ("/home/me/secret plans/tiny.npz", "/home/me/secret plans", "tiny", "tiny.npz"),
        ("/home/me/my data.npz", "/home/me", "my-data", "my-data.npz"),
        ("/home/me/digits.npz", "/home/me", "digits", "digits.npz"),
        ("cifar10", "/data/cifar", "cifar10", "cifar10"),
        ("digits", None, "digits", "digits"),
    ],
)
def test_no_folder_of_this_machine_travels(contents, source, directory, name, travels):
    data = replace(contents.settings.data, source=source, directory=directory, name=name)
    record = portable_settings(replace(contents.settings, data=data))
    assert record["data"]["source"] == travels
    assert "/home" not in json.dumps(record)
    again = read_settings(json.loads(json.dumps(record)))
    assert (again.data.source, again.data.directory) == (travels, None)


REFUSED = {
    "an unknown setting": (lambda r: r.update(x=1), "the settings has an unknown entry, 'x'"),
    "no loss": (lambda r: r.pop("loss"), "the settings lacks 'loss'"),
    "another loss": (lambda r: r.update(loss="hinge"), "loss must be one of softmax, bce"),
    "a loss of markup": (lambda r: r.update(loss="<b>"), "loss must be a word"),
    "a sampler that is a list": (lambda r: r.update(sampler=["tpe"]), "sampler must be a word"),
    "no epochs": (lambda r: r.update(epochs=0), "epochs must be a whole number from 1"),
    "endless epochs": (lambda r: r.update(epochs=10**9), "epochs must be a whole number from 1"),
    "a seed of text": (lambda r: r.update(seed="0"), "seed must be a whole number"),
    "a name above": (lambda r: r.update(study="../x"), "a study name has 1 to 80 letters"),
    "a name of markup": (lambda r: r.update(study="<script>"), "a study name has 1 to 80"),
    "a name of two lines": (lambda r: r.update(study="a\nb"), "80 printable characters"),
    "a long name": (lambda r: r.update(study="a" * 81), "80 printable characters"),
    "no name": (lambda r: r.update(study=""), "a study name has 1 to 80 letters"),
    "a name that is a number": (lambda r: r.update(study=7), "80 printable characters"),
    "a path as source": (
        lambda r: r["data"].update(source="/etc/x.npz"),
        "the data's source must be tiny.npz: got '/etc/x.npz'",
    ),
    "a path as name": (
        lambda r: r["data"].update(name="../tiny", source="../tiny.npz"),
        "the data's name must be",
    ),
    "a built-in source under another name": (
        lambda r: r["data"].update(source="digits"),
        "the data's source must be tiny.npz: got 'digits'",
    ),
    "a folder": (lambda r: r["data"].update(directory="/"), "has an unknown entry, 'directory'"),
    "no digest": (lambda r: r["data"].update(data_digest=""), "data digest must be 64 hex"),
    "no rows": (lambda r: r["data"].update(val_size=0), "val_size must be a whole number"),
    "data of text": (lambda r: r.update(data="digits"), "the data must be an object"),
    "half a space": (lambda r: r["space"].pop("l2"), "the space lacks 'l2'"),
    "a sixth axis": (lambda r: r["space"].update(x=1), "the space has an unknown entry, 'x'"),
    "a range upside down": (
        lambda r: r["space"].update(l2={"low": 1.0, "high": 0.5}),
        "the low end of a range must be below its high end",
    ),
    "a range to nowhere": (
        lambda r: r["space"].update(l2={"low": 0.0, "high": 1e999}),
        "the high end of l2 must lie in [0, 1e+06]",
    ),
    "a choice of text": (lambda r: r["space"].update(l2=["a"]), "l2 must be a number"),
    "a choice of lists": (lambda r: r["space"].update(l2=[[]]), "l2 must be a number"),
    "choices without end": (
        lambda r: r["space"].update(batch_size=list(range(1, 9_000))),
        "batch_size must have 1 to 100 choices: got 8999",
    ),
    "no slots": (lambda r: r["layout"].update(slots=0), "slots must be a whole number from 1"),
    "too many slots": (lambda r: r["layout"].update(width=5000), "width must be a whole number"),
    "a layout of text": (lambda r: r.update(layout="wide"), "the layout must be an object"),
}


@pytest.mark.parametrize(("change", "said"), REFUSED.values(), ids=REFUSED)
def test_settings_that_no_study_could_have_are_refused(record, change, said):
    change(record)
    with pytest.raises((RefusedError, SweepError)) as refused:
        read_settings(record)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_confirmation_comes_back_as_the_study_reads_it(contents):
    record = contents.known[attributes.CONFIRMATION]
    again = read_confirmation(json.loads(json.dumps(record)), contents.settings, contents.trials)
    assert Confirmation.from_record(again).record() == record
    assert read_confirmation(None, contents.settings, contents.trials) is None


CONFIRMATIONS = {
    "a list": (lambda _: [], "the confirmation must be an object"),
    "another metric": (lambda r: r | {"metric": "val/loss"}, "metric must be val/accuracy"),
    "another direction": (lambda r: r | {"direction": 1}, "direction must be maximize"),
    "other epochs": (lambda r: r | {"epochs": 7}, "epochs must be a whole number from 6 to 6"),
    "more finished": (lambda r: r | {"finished": 8}, "finished must be a whole number from 1 to 7"),
    "no seeds": (lambda r: r | {"seeds": []}, "values must have up to 0 entries: got 2"),
    "a seed of text": (lambda r: r | {"seeds": ["1", 2]}, "a seed must be a whole number"),
    "no trials": (lambda r: r | {"trials": []}, "must have seeds, trials and a baseline"),
    "a pruned trial": (
        lambda r: r | {"trials": [{"trial": 1, "search": 0.1, "values": [0.1, 0.1]}]},
        "trial 1 is not complete",
    ),
    "a trial that is none": (
        lambda r: r | {"trials": [{"trial": 7, "search": 0.1, "values": [0.1, 0.1]}]},
        "its trial must be a whole number from 0 to 6",
    ),
    "another score": (
        lambda r: r | {"trials": [{"trial": 0, "search": 0.9, "values": [0.1, 0.1]}]},
        "trial 0 scored 0.15 in the search",
    ),
    "a seed without a value": (
        lambda r: r | {"trials": [{"trial": 0, "search": 0.15, "values": [0.1]}]},
        "a value for each of 2 seeds",
    ),
    "a value of text": (
        lambda r: r | {"trials": [{"trial": 0, "search": 0.15, "values": [0.1, "0.1"]}]},
        "a value must be a finite float",
    ),
    "a seed twice": (lambda r: r | {"seeds": r["seeds"][:1] * 2}, "may stand in it twice"),
    "a trial twice": (lambda r: r | {"trials": r["trials"][:1] * 2}, "may stand in it twice"),
    "a winner that did not win": (
        lambda r: (
            r
            | {
                "trials": [
                    r["trials"][0] | {"values": [0.1, 0.1]},
                    {"trial": 2, "search": 0.35, "values": [0.2, 0.2]},
                ]
            }
        ),
        "ranked by their means",
    ),
    "a baseline that is a trial": (
        lambda r: r | {"baseline": {"trial": 0, "search": 0.15, "values": [0.1, 0.1]}},
        "a baseline that is no trial",
    ),
}


@pytest.mark.parametrize(("change", "said"), CONFIRMATIONS.values(), ids=CONFIRMATIONS)
def test_a_confirmation_of_something_else_is_refused(contents, change, said):
    record = change(contents.known[attributes.CONFIRMATION])
    with pytest.raises(RefusedError) as refused:
        read_confirmation(record, contents.settings, contents.trials)
    assert said in str(refused.value)


def test_looks_at_the_test_rows_still_count_elsewhere(contents):
    openings = contents.known[attributes.TEST_OPENINGS]
    assert read_openings(json.loads(json.dumps(openings)), contents.trials) == openings


OPENINGS = {
    "text": ("often", "must be a list"),
    "numbers": ([1], "an opening of the test rows must be an object"),
    "no time": ([{"trial": 0}], "lacks 'time'"),
    "a time of markup": ([{"trial": 0, "time": "<b>"}], "its time must be a time such as"),
    "of a pruned trial": (
        [{"trial": 1, "time": "2026-03-30T12:00:00+00:00"}],
        "trial 1 is not complete",
    ),
    "a result of text": (
        [{"trial": 0, "time": "2026-03-30T12:00:00+00:00", "result": "good"}],
        "its result must be an object",
    ),
}


@pytest.mark.parametrize(("value", "said"), OPENINGS.values(), ids=OPENINGS)
def test_openings_that_were_none_are_refused(contents, value, said):
    with pytest.raises(RefusedError) as refused:
        read_openings(value, contents.trials)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("accuracy", 1.5), ("low", -0.5), ("high", 1), ("rows", 0), ("rows", 1.5)),
        *(("per_class", []), ("per_class", {"a": 2.0}), ("per_class", {"a\n": 0.5})),
    ],
)
def test_a_test_result_beyond_its_bounds_is_refused(contents, key, value):
    opening = contents.known[attributes.TEST_OPENINGS][1]
    changed = opening | {"result": opening["result"] | {key: value}}
    with pytest.raises(RefusedError, match=f"{key}|class"):
        read_openings([changed], contents.trials)
