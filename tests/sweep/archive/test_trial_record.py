import json
from datetime import datetime

import pytest
from optuna.trial import TrialState

from sweep.archive.plain import RefusedError
from sweep.archive.trial_record import LEFT, differences, read_trial, trial_record
from sweep.curves import METRICS
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.records import seat_of

KEPT = {
    *(attributes.POSITION, attributes.ATTEMPT, attributes.SLOT, attributes.SEAT),
    *(attributes.ENDING, attributes.REASON, attributes.CURVES, attributes.WEIGHTS_DIGEST),
    attributes.ENVIRONMENT,
}
OF_THE_STUDY = {
    *(attributes.SETTINGS, attributes.TEST_OPENINGS, attributes.COMPARISONS),
    *(attributes.CONFIRMATION, attributes.CONFIRMING),
}


@pytest.fixture
def settings(contents):
    return contents.settings


@pytest.fixture
def record(contents):
    """Return the plain values of the complete trial 2, to be changed."""
    return json.loads(json.dumps(trial_record(contents.trials[2])))


@pytest.mark.parametrize("number", range(7))
def test_a_trial_of_every_kind_comes_back_the_same(contents, number):
    trial = contents.trials[number]
    again = read_trial(json.loads(json.dumps(trial_record(trial))), number, contents.settings)
    assert differences(trial, again) == []
    assert trial_record(again) == trial_record(trial)


def test_value_course_and_state_come_from_the_curves_and_the_ending(contents):
    trial = contents.trials[1]
    curve = trial.user_attrs[attributes.CURVES]["val/accuracy"]
    assert (trial.state, trial.value) == (TrialState.PRUNED, None)
    assert trial.intermediate_values == dict(enumerate(curve, start=1))
    assert contents.trials[2].value == contents.trials[2].intermediate_values[6]


def test_a_seat_comes_back_as_the_engine_takes_it(contents):
    assert seat_of(contents.trials[2]).first_pass == 2
    assert contents.trials[6].user_attrs.keys() == {attributes.ENDING, attributes.REASON}


def test_every_attribute_of_a_trial_is_carried_or_left_behind_knowingly():
    known = {value for name, value in vars(attributes).items() if name.isupper()}
    assert known - OF_THE_STUDY == KEPT | set(LEFT)


def test_an_attribute_that_would_be_lost_is_named(contents):
    trial = contents.trials[2]
    changed = read_trial(trial_record(trial), 2, contents.settings)
    changed.user_attrs["mine"] = 1
    changed.user_attrs[attributes.TRIAL_RUN] = "run"
    changed.intermediate_values[6] = 0.0
    assert differences(changed, trial) == ["intermediate_values", "mine"]


def test_a_reason_of_several_lines_travels_as_one(contents):
    trial = read_trial(trial_record(contents.trials[3]), 3, contents.settings)
    trial.user_attrs[attributes.REASON] = "ValueError: a\n\tb\x1b" + "c" * 2_000
    again = read_trial(trial_record(trial), 3, contents.settings)
    assert again.user_attrs[attributes.REASON] == "ValueError: a  b " + "c" * 983
    assert differences(trial, again) == []


def test_times_are_utc_in_the_file_and_local_in_the_store(settings, record):
    trial = read_trial(record, 2, settings)
    assert trial.datetime_start.tzinfo is None
    assert trial.datetime_start.astimezone() == datetime.fromisoformat(record["started"])


REFUSED = {
    "no object": (lambda r: r.clear(), "trial 2 lacks 'attempt'"),
    "another number": (lambda r: r.update(trial=3), "its number must be a whole number"),
    "an unknown entry": (lambda r: r.update(x=1), "trial 2 has an unknown entry, 'x'"),
    "an unknown ending": (lambda r: r.update(ending="won"), "must end as complete, pruned,"),
    "an ending that is a list": (lambda r: r.update(ending=[]), "must end as complete, pruned,"),
    "a reason of two lines": (lambda r: r.update(reason="a\nb"), "its reason must be up to 1000"),
    "a reason that is a formula": (
        lambda r: r.update(reason="=1+1"),
        "its reason must be empty or begin with a letter: got '=1+1'",
    ),
    "no reason": (lambda r: r.update(reason=None), "its reason must be up to 1000"),
    "no setting": (lambda r: r.update(setting=None), "has no setting, so it has no position"),
    "half a setting": (lambda r: r["setting"].pop("l2"), "its setting lacks 'l2'"),
    "a value beyond": (lambda r: r["setting"].update(l2=2.0), "l2 must lie in 1e-05:1:log: got 2"),
    "a value of text": (lambda r: r["setting"].update(l2="0.1"), "l2 must lie in"),
    "a whole rate": (lambda r: r["setting"].update(l2=1), "l2 must lie in"),
    "half a period": (lambda r: r["setting"].update(decay_period=9.5), "decay_period must lie in"),
    "no choice": (lambda r: r["setting"].update(batch_size=26), "must lie in 25,50,100,200,400"),
    "a yes": (lambda r: r["setting"].update(flip_probability=False), "flip_probability must"),
    "a later position": (lambda r: r.update(position=3), "its position must be a whole number"),
    "no attempt": (lambda r: r.update(attempt=0), "its attempt must be a whole number"),
    "a slot too many": (lambda r: r.update(slot=2), "its slot must be a whole number from 0 to 1"),
    "no seat": (lambda r: r.update(seat=None), "its seat must be an object: got None"),
    "another seat": (lambda r: r["seat"].update(slot=1), "its seat's slot must be a whole number"),
    "a wide seat": (lambda r: r["seat"].update(width=4), "its seat's width must be"),
    "a late seat": (lambda r: r["seat"].update(first_pass=19), "first_pass must be a whole number"),
    "a huge block": (lambda r: r["seat"].update(block=10**6), "its seat's block must be"),
    "a broken block": (lambda r: r["seat"].update(block=26), "must be whole micro-batches"),
    "a negative seed": (lambda r: r["seat"].update(seed=-1), "its seat's seed must be"),
    "no curves": (lambda r: r.update(curves=None), "has no curves, so it has no weights"),
    "nothing measured": (
        lambda r: r.update(curves=None, weights_digest=None, environment=None),
        "has ended by itself, so it has a setting and curves",
    ),
    "a curve too few": (lambda r: r["curves"].pop("val/loss"), "its curves lacks 'val/loss'"),
    "a curve too many": (lambda r: r["curves"].update(x=[]), "has an unknown entry, 'x'"),
    "an epoch too few": (lambda r: r["curves"]["val/loss"].pop(), "6 to 6 epochs"),
    "an epoch too many": (lambda r: r["curves"]["val/loss"].append(1.0), "up to 6 entries: got 7"),
    "an accuracy above 1": (
        lambda r: r["curves"]["val/accuracy"].__setitem__(0, 1.5),
        "val/accuracy must be a finite float from 0 to 1: got 1.5",
    ),
    "a negative loss": (
        lambda r: r["curves"]["val/loss"].__setitem__(0, -0.5),
        "val/loss must be a finite float from 0 to inf: got -0.5",
    ),
    "an infinite cost": (
        lambda r: r["curves"]["train/cost"].__setitem__(0, float("inf")),
        "train/cost must be a finite float",
    ),
    "a point of text": (
        lambda r: r["curves"]["val/loss"].__setitem__(0, "1"),
        "val/loss must be a finite float",
    ),
    "a short digest": (lambda r: r.update(weights_digest="ab"), "64 hexadecimal digits"),
    "a digest that asks": (
        lambda r: r.update(weights_digest="' or tags.`x` = '" + "a" * 47),
        "64 hexadecimal digits",
    ),
    "an environment of text": (
        lambda r: r.update(environment="x"),
        "must be an object of up to 32",
    ),
    "a large environment": (
        lambda r: r.update(environment={f"a{n}": "1" for n in range(33)}),
        "must be an object of up to 32 entries",
    ),
    "an entry with a break": (
        lambda r: r.update(environment={"a\n": "1"}),
        "a name in its environment must be a word",
    ),
    "a long version": (
        lambda r: r.update(environment={"numpy": "1" * 201}),
        "numpy in its environment must be up to 200 printable characters",
    ),
    "no time": (lambda r: r.update(started=None), "its start must be a time such as"),
    "a time without a zone": (
        lambda r: r.update(ended="2026-01-31T12:00:00.000000"),
        "its end must be a time such as",
    ),
    "a day that never was": (
        lambda r: r.update(ended="2026-02-31T12:00:00.000000+00:00"),
        "its end must be a time: got",
    ),
}


@pytest.mark.parametrize(("change", "said"), REFUSED.values(), ids=REFUSED)
def test_what_no_trial_of_the_study_could_be_is_refused(settings, record, change, said):
    change(record)
    with pytest.raises(RefusedError) as refused:
        read_trial(record, 2, settings)
    assert said in str(refused.value)
    assert str(refused.value).startswith("trial 2")


@pytest.mark.parametrize(
    ("how", "epochs"),
    [
        (Ending.COMPLETE, {6}),
        (Ending.PRUNED, {1, 2, 3, 4, 5, 6}),
        (Ending.DIVERGED, {0, 1, 2, 3, 4, 5}),
        (Ending.ERROR, {0, 1, 2, 3, 4, 5, 6}),
        (Ending.INTERRUPTED, {0, 1, 2, 3, 4, 5, 6}),
    ],
)
def test_an_ending_says_how_many_epochs_a_trial_may_have(settings, record, how, epochs):
    taken = set()
    for count in range(8):
        cut = {metric: [0.5] * count for metric in METRICS}
        digest = "a" * 64 if count else None
        changed = record | {"ending": str(how), "curves": cut, "weights_digest": digest}
        try:
            read_trial(changed, 2, settings)
        except RefusedError:
            continue
        taken.add(count)
    assert taken == epochs
