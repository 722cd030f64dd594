"""What an archive may say, rule by rule; reading it ends in a study or in one line."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.archive.export import _pack
from sweep.archive.load import MODEL, STUDY, unpack
from sweep.archive.models import MAX_CONTAINERS, RefusedError
from sweep.errors import SweepError

NAN, INFINITY = float("nan"), float("inf")
RANKED = [
    {"trial": 4, "search": 0.7, "values": [0.1, 0.1]},
    {"trial": 0, "search": 0.3, "values": [0.2, 0.2]},
]
RULES = [
    (["x"], 1, "x"),
    (["trials"], {}, "trials"),
    # the config
    (["config", "x"], 1, "config.x"),
    (["config", "loss"], ..., "config.loss"),
    (["config", "loss"], "hinge", "loss must be one of softmax, bce"),
    (["config", "loss"], "<b>", "config.loss", "'<b>'"),
    (["config", "epochs"], 10**12, "config.epochs"),
    (["config", "epochs"], 3.5, "config.epochs", "3.5"),
    (["config", "seed"], "0", "config.seed"),
    (["config", "study"], "../x", "study name"),
    (["config", "study"], "\x1b[2Ja", "config.study"),
    (["config", "study"], "a" * 100_000, "config.study"),
    (["config", "slots"], 10**9, "config.slots"),
    (["config", "lanes"], 3, "lanes must be one of"),
    (["config", "eta"], 1, "config.eta"),
    (["config", "sampler_arguments", "n_ei_candidates"], 10**9, "n_ei_candidates"),
    (["config", "sampler_arguments", "multivariate"], 1, "multivariate"),
    (["config", "data", "source"], "/etc/shadow.npz", "must be tiny.npz", "/etc/shadow.npz"),
    (["config", "data", "source"], "digits", "must be tiny.npz"),
    (["config", "data", "name"], "x' or 1=1 --", "config.data.name"),
    (["config", "data", "directory"], "/", "config.data.directory"),
    (["config", "data", "data_digest"], "", "config.data.data_digest"),
    (["config", "data", "val_size"], 0, "config.data.val_size"),
    (["config", "space", "l2"], ..., "space must have"),
    (["config", "space", "l2"], {"low": 1.0, "high": 0.5}, "must be below its high end"),
    (["config", "space", "l2"], {"low": 0.0, "high": INFINITY}, "config.space.l2", "inf"),
    (["config", "space", "l2"], [True], "config.space.l2"),
    (["config", "space", "batch_size"], [*range(1, 9_000)], "config.space.batch_size"),
    # what is beside the trials
    (["budgets"], [[0, -1]], "budgets.0.1"),
    (["test_openings"], [{"trial": 0}], "test_openings.0.time"),
    (["test_openings", 0, "time"], "$(touch opened)", "test_openings.0.time"),
    (["test_openings", 0, "trial"], 2, "no trial 2 is complete or pruned"),
    (["test_openings", 1, "result", "accuracy"], 1.5, "result.accuracy"),
    (["test_openings", 1, "result", "rows"], 0, "result.rows"),
    (["test_openings", 1, "result", "per_class"], {"a\n": 0.5}, "per_class"),
    (["confirmation", "winner"], 2, "confirmation.winner"),
    (["confirmation", "metric"], "val/loss", "metric must be val/accuracy"),
    (["confirmation", "finished"], 8, "finished must be 1 to 5"),
    (["confirmation", "seeds"], [11, 11], "twice"),
    (["confirmation", "trials"], [], "confirmation.trials"),
    (["confirmation", "trials"], RANKED, "ranked by their means"),
    (["confirmation", "trials", 2, "trial"], 0, "twice"),
    (["confirmation", "trials", 2, "trial"], 9, "no trial 9 is complete or pruned"),
    (["confirmation", "trials", 0, "search"], 0.9, "trial 0 came to 0.3 in the search"),
    (["confirmation", "trials", 0, "values"], [0.1], "2 seeds need so many values"),
    (["confirmation", "baseline", "trial"], 0, "confirmation.baseline.trial"),
    # a trial
    (["trials", 0, "__class__"], "str", "__class__"),
    (["trials", 1, "number"], 0, "order of their numbers"),
    (["trials", 4, "number"], 10_000, "must have numbers below"),
    (["trials", 1, "index"], 0, "no index may stand twice"),
    (["trials", 0, "status"], "won", "trials.0.status", "'won'"),
    (["trials", 0, "status"], "pruned", "trial 0: pruned after 1 to 2 epochs: got 3"),
    (["trials", 2, "status"], "running", "ended must not be"),
    (["trials", 1, "status"], "failed", "weights_digest must not be"),
    (["trials", 0, "weights_digest"], "' or name != '" + "a" * 50, "trials.0.weights_digest"),
    (["trials", 0, "reason"], "a\nb", "trials.0.reason"),
    (["trials", 0, "reason"], "=HYPERLINK(1)", "trials.0.reason"),
    (["trials", 0, "params"], {}, "params must be l2"),
    (["trials", 0, "params", "l2"], 1e7, "l2 must lie in [0, 1e+06]"),
    (["trials", 0, "params", "l2"], 0.0, "l2 must be above 0"),
    (["trials", 0, "params", "decay_period"], 9.5, "decay_period must be a whole number"),
    (["trials", 0, "params", "batch_size"], 51, "batch_size must be one of 50,100,200,400"),
    (["trials", 0, "params", "l2"], {"name": "FloatDistribution"}, "trials.0.params.l2"),
    (["trials", 0, "curves", "x"], [], "curves must be of"),
    (["trials", 0, "curves", "val/loss"], [1.0], "equally long"),
    (["trials", 0, "times", 0], 10**15, "trials.0.times.0"),
    (["trials", 0, "curves", "val/accuracy", 0], 1.5, "val/accuracy must be at most 1", "1.5"),
    (["trials", 0, "curves", "val/loss", 0], NAN, "curves.val/loss.0", "nan"),
    (["trials", 0, "curves", "val/loss", 0], 10**400, "curves.val/loss.0"),
    (["trials", 0, "metrics", "a\nb"], 1.0, "metrics"),
    (["trials", 0, "environment"], {f"a{n}": "1" for n in range(33)}, "trials.0.environment"),
    (["trials", 0, "environment", "python"], "\x1b[2J", "environment.python"),
]


def read(content):
    """Read as `sweep import` does; return what it holds, or the line why it is refused."""
    try:
        return unpack(content)
    except (RefusedError, SweepError) as error:
        refused = str(error)
    assert len(refused) < 500
    return refused


def test_what_no_study_could_say_is_refused_with_place_rule_and_value(changed):
    for path, value, *says in RULES:
        refused = read(changed((path, value)))
        assert all(part in refused for part in says), (path, value, refused)


def test_what_is_no_study_of_this_version_is_refused(members):
    newer = b'{"format": "sweep study", "version": 3, "more": 1}'
    for study, *says in (
        (newer, "format is 3", "a later version"),
        (newer.replace(b"3", b"1"), "format is 1", "sweep 0.1"),
        (newer.replace(b"3", b"true"), "version"),
        (newer.replace(b"study", b"story"), "format"),
        (b"{", "study.json", "JSON"),
        (b"[]", "study.json"),
        (b"[" * 1_000_000, "study.json"),
        (b"\xff", "study.json"),
        (b"[" + b"[]," * MAX_CONTAINERS + b"[]]", "lists and objects"),
    ):
        refused = read(_pack(members | {STUDY: study}))
        assert all(part in refused for part in says), (study[:60], refused)


# Fuzzing

BOUNDED = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**63, max_value=2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["../x", "a\nb", "<b>", "'", "\x00", "9" * 400, "__class__"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
)


def places(value, path=()):
    """Yield the path of every value within plain values."""
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from places(inner, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.mark.slow
@BOUNDED
@given(data=st.data())
def test_an_archive_of_other_bytes_is_refused_or_the_same(content, archived, members, data):
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    again = read(bytes(changed))
    assert isinstance(again, str) or again[0] == archived[0]
    name = data.draw(st.sampled_from([STUDY, MODEL]))
    any_bytes = data.draw(st.binary(max_size=300))
    for made in (any_bytes, _pack(members | {name: any_bytes})):
        assert isinstance(read(made), str)


@pytest.mark.slow
@settings(BOUNDED, max_examples=600)
@given(data=st.data())
def test_any_value_in_any_place_is_refused_or_read_as_it_is(members, data):
    study = json.loads(members[STUDY])
    path = data.draw(st.sampled_from(list(places(study))))
    changed = json.dumps(replaced(study, path, data.draw(ODD))).encode()
    again = read(_pack(members | {STUDY: changed}))
    if not isinstance(again, str):
        plain = again[0].model_dump_json(by_alias=True, exclude_unset=True)
        both = [json.loads(each, parse_int=float) for each in (plain, changed)]
        assert both[0] == both[1]
