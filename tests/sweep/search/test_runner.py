"""The life of a study, with doubles of all that is slow: nothing trains and nothing is stored."""

import json
from dataclasses import replace
from signal import SIGINT, SIGTERM

import numpy as np
import pytest
from doubles import (
    DiedError,
    Fate,
    MemoryCheckpoints,
    MemoryRecord,
    MemoryStudy,
    landscape,
    outcome,
)

from sweep.errors import StoreUnreachableError, SweepError
from sweep.search.checkpoint import Checkpoints, Progress
from sweep.search.lock import InterruptedStudyError, Interrupts
from sweep.search.trials import Status, tally
from sweep.search_space import DEFAULT_SPACES, Range
from sweep_model.npz import read_arrays, write_arrays
from sweep_model.panels import LaneState
from sweep_model.training import DivergedError


@pytest.fixture
def make_study(make_config):
    """Return a function that makes a study in memory: 12 epochs, so rungs 1, 2 and 6; random."""

    def make(*, every=1, queue=(), foreign=0, **changes):
        parts = {name: changes.pop(name) for name in ("script",) if name in changes}
        config = make_config(**{"epochs": 12, "sampler": "random"} | changes)
        record = MemoryRecord(queue=queue, foreign=foreign)
        return MemoryStudy(config, record, MemoryCheckpoints(every), **parts)

    return make


def test_a_study_trains_until_so_many_trials_are_complete_or_pruned(make_study):
    rates = {"learning_rate": Range(name="learning_rate", low=1e-4, high=0.1, log=True)}
    study = make_study(space=DEFAULT_SPACES["softmax"].replace(rates))
    assert study.run(20) == "20 of 20 trials finished"
    trials = study.record.trials()
    counts = tally(trials)
    assert (counts.finished, counts.failed, counts.running) == (20, 0, 0)
    assert counts.complete >= 2
    assert counts.pruned >= 12
    assert [trial.index for trial in trials] == [trial.number for trial in trials]
    assert {t.epochs for t in trials if t.status == Status.COMPLETE} == {12}
    assert {t.epochs for t in trials if t.status == Status.PRUNED} == {1, 2, 6}
    assert all(("rung" in t.reason) == (t.status == Status.PRUNED) for t in trials)
    assert study.checkpoints.kept == {}
    assert study.mirror.latest == {trial.number: trial for trial in trials}


def stopped_by(number, last):
    """Return the arguments of a run that a signal stops after pass `last`."""
    interrupts = Interrupts()
    return {"at": {last: lambda: interrupts.stop(number)}, "interrupts": interrupts}


def test_a_study_stopped_after_any_pass_goes_on_as_the_unbroken_one(make_study):
    unbroken = make_study()
    unbroken.run(14)
    for every in (None, 1, 3):
        for stopped in range(unbroken.listener.passes - 1):
            study = make_study(every=every)
            with pytest.raises(InterruptedStudyError, match=r"SIGINT.*unfinished.*goes on"):
                study.run(14, **stopped_by(SIGINT, stopped))
            trained = study.engine.trained
            study.run(14)
            assert study.outcome == unbroken.outcome
            assert len(trained + study.engine.trained) == len(unbroken.engine.trained), stopped


def test_a_study_stopped_while_it_is_replayed_loses_nothing_of_its_checkpoint(make_study):
    unbroken = make_study()
    unbroken.run(14)
    study = make_study()
    with pytest.raises(InterruptedStudyError):
        study.run(14, **stopped_by(SIGTERM, 6))
    kept, trained = study.checkpoints.kept.keys(), len(study.engine.trained)
    for stopped in range(6):
        with pytest.raises(InterruptedStudyError):
            study.run(14, **stopped_by(SIGINT, stopped))
        assert study.engine.trained == []
        assert study.checkpoints.kept.keys() == kept
    study.run(14)
    assert study.outcome == unbroken.outcome
    assert trained + len(study.engine.trained) == len(unbroken.engine.trained)


def clock_of(study, seconds_a_pass=1.0):
    """Return a clock that goes on with each pass of the study."""
    return lambda: seconds_a_pass * study.listener.passes


def test_when_the_time_is_up_no_trial_begins_and_those_in_training_end(make_study):
    study = make_study()
    assert study.run(100, seconds=3, clock=clock_of(study)) == "the time of 3 s is up"
    trials = study.record.trials()
    assert max(trial.first_pass for trial in trials) == 2
    assert tally(trials).running == 0
    assert [budget[:] for budget in study.record.budgets()] == [(0, 100), (3, 0)]
    before = study.outcome
    assert study.run(100, seconds=0) == "the time of 0 s is up"
    assert study.outcome == before


def test_a_study_whose_time_was_up_goes_on_with_the_next_pass(make_study):
    study = make_study()
    study.run(30, seconds=3, clock=clock_of(study))
    passes, before = study.listener.passes, study.outcome
    assert study.run(30) == "30 of 30 trials finished"
    assert study.outcome[: len(before)] == before
    assert {trial.first_pass for trial in study.record.trials()[len(before) :]} >= {passes}


def test_a_study_that_dies_after_its_time_was_up_goes_on_when_it_is_run_again(make_study):
    for pruner in ("none", "halving"):
        for every in (None, 2):
            study = make_study(every=every, pruner=pruner)
            with pytest.raises(DiedError):
                study.run(30, seconds=3, clock=clock_of(study), at={4: Fate(0).write})
            assert study.run(30) == "30 of 30 trials finished", (pruner, every)


def test_more_trials_than_before_begin_with_the_next_pass(make_study):
    study = make_study()
    study.run(10)
    passes, before = study.listener.passes, study.outcome
    assert study.run(5) == "10 trials finished, 5 asked for"
    assert study.outcome == before
    assert study.run(25) == "25 of 25 trials finished"
    assert study.outcome[:10] == before
    assert min(trial.first_pass for trial in study.record.trials()[10:]) == passes
    assert [budget[:] for budget in study.record.budgets()] == [
        (0, 10),
        (passes, 5),
        (passes, 25),
    ]
    assert study.engine.trained[0][0] == 10
    again = MemoryStudy(study.config, study.record)
    again.run(25)
    assert again.engine.trained == []


def failing(numbers, epoch=1):
    """Return a script in which the trials with these numbers diverge in an epoch."""

    def script(training, at):
        if training.number in numbers and at == epoch:
            return DivergedError(at, "the train cost is nan")
        return landscape(training, at)

    return script


def test_a_diverged_trial_is_failed_and_another_one_takes_its_place(make_study):
    study = make_study(script=failing({0, 3, 11}, epoch=2), pruner="none")
    study.run(12)
    trials = study.record.trials()
    failed = [trial for trial in trials if trial.status == Status.FAILED]
    assert [trial.number for trial in failed] == [0, 3, 11]
    assert tally(trials).finished == 12
    for trial in failed:
        assert (trial.epochs, trial.weights_digest) == (1, None)
        assert "diverged in epoch 2" in trial.reason
    assert study.mirror.latest[3].status == Status.FAILED


def test_ten_trials_in_a_row_that_fail_end_the_study_for_good(make_study):
    unbroken = make_study(script=failing(range(3, 13)))
    with pytest.raises(SweepError, match=r"10 trials in a row failed.*nan.*new study"):
        unbroken.run(40)
    for stopped in range(unbroken.listener.passes):
        study = make_study(script=unbroken.script)
        with pytest.raises(DiedError):
            study.run(40, at={stopped: Fate(0).write})
        for _ in range(2):
            with pytest.raises(SweepError, match="in a row"):
                study.run(40)
            assert study.outcome == unbroken.outcome


def test_ten_failures_with_a_trial_among_them_that_goes_on_are_no_row(make_study):
    study = make_study(script=failing({*range(9), *range(10, 19), *range(20, 29)}), slots=40)
    assert study.run(30) == "30 of 30 trials finished"


QUEUED = {
    "l2": 0.001,
    "learning_rate": 0.02,
    "decay_period": 7,
    "batch_size": 100,
    "flip_probability": 0.25,
}


def test_queued_settings_run_next_after_the_baseline_and_lacks_are_proposed(make_study):
    plain = make_study()
    plain.run(10)
    study = make_study(queue=[QUEUED, {"l2": 0.002, "batch_size": 200}, {}])
    study.run(10)
    baseline, whole, partial, empty, *others = sorted(study.record.trials(), key=lambda t: t.index)
    assert baseline.params == plain.record.trials()[0].params
    assert (whole.number, whole.params) == (0, QUEUED)
    proposed = plain.record.trials()[2].params
    assert (partial.number, partial.params) == (1, {**proposed, "l2": 0.002, "batch_size": 200})
    assert (empty.number, empty.params) == (2, plain.record.trials()[3].params)
    assert [trial.number for trial in [baseline, *others]] == list(range(3, 10))
    assert study.record.queued() == []


def test_what_is_queued_while_a_study_runs_is_tried_at_the_next_occasion(make_study):
    study = make_study()
    study.run(20, at={0: lambda: study.record.enqueue(QUEUED)})
    (queued,) = (trial for trial in study.record.trials() if trial.params == QUEUED)
    assert (queued.number, queued.index, queued.first_pass) == (8, 8, 1)


def test_a_queued_setting_that_cannot_be_tried_is_refused_and_the_study_goes_on(make_study):
    bad = [
        ({"learning_rates": 0.1}, "learning_rates"),
        ({**QUEUED, "momentum": 0.9}, "momentum"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"decay_period": 2.5}, "decay_period"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": 64}, "batch_size"),
        ({"l2": 7.0}, "l2"),
        ({"l2": None}, "l2"),
    ]
    for stopped in (None, 0, 1):
        study = make_study(queue=[params for params, _ in bad] + [QUEUED])
        if stopped is not None:
            with pytest.raises(DiedError):
                study.run(12, at={stopped: Fate(0).write})
        assert study.run(12) == "12 of 12 trials finished"
        assert list(study.record.refused) == list(range(len(bad)))
        for (_, name), reason in zip(bad, study.record.refused.values(), strict=True):
            assert name in reason
        assert study.record.trials()[0].params == QUEUED
        if stopped is None:
            assert len(study.listener.warnings) == len(bad)
            assert "trial 2" in study.listener.warnings[2]
            assert "-1" in study.listener.warnings[2]


def test_whole_numbers_of_a_queued_setting_are_taken_as_what_the_axis_has(make_study):
    study = make_study(queue=[{**QUEUED, "decay_period": 7.0, "flip_probability": 0}])
    study.run(8)
    params = study.record.trials()[0].params
    assert params == {**QUEUED, "flip_probability": 0.0}
    assert [type(params[name]) for name in ("decay_period", "flip_probability")] == [int, float]


def test_trials_of_other_programs_take_numbers_and_nothing_else(make_study):
    study = make_study(foreign=2)
    study.run(20, at={1: study.record.add_foreign})
    trials = study.record.trials()
    assert tally(trials).finished == 20
    assert [trial.index for trial in trials] == list(range(20))
    assert [trial.number for trial in trials][:2] == [2, 3]
    assert len({trial.number for trial in trials}) == 20
    again = MemoryStudy(study.config, study.record)
    again.run(20)
    assert again.engine.trained == []


# Deaths


def total_writes(study, trials):
    """Return how many writes the study makes that nobody interrupts."""
    fate = Fate()
    study.run(trials, fate=fate)
    return fate.writes


def check_deaths(make_study, moments, trials=14, **changes):
    """Let a study die in place of some writes, and see that it ends as the unbroken one."""
    unbroken = make_study(**changes)
    unbroken.run(trials)
    for last in moments:
        study, fate = make_study(**changes), Fate(last)
        with pytest.raises(DiedError):
            study.run(trials, fate=fate)
        study.run(trials)
        assert study.outcome == unbroken.outcome, last
        assert study.checkpoints.kept == {}
        latest = study.mirror.latest
        assert [outcome(latest[number]) for number in sorted(latest)] == unbroken.outcome


SCENES = [
    {"every": 1},
    {"every": None},
    {"every": 3, "sampler": "tpe", "slots": 4},
    {"every": 2, "queue": [QUEUED, {"l2": -1}, {"l2": 0.5}], "foreign": 2},
    {"every": 2, "script": failing({2, 5, 9}, epoch=2), "pruner": "hyperband"},
]


def test_a_study_that_dies_at_a_write_ends_as_the_unbroken_one(make_study):
    for scene in SCENES:
        writes = total_writes(make_study(**scene), 14)
        assert writes > 40
        check_deaths(make_study, [0, 1, writes - 1, *range(2, writes, 1 + writes // 8)], **scene)


@pytest.mark.slow
def test_a_study_that_dies_at_any_write_ends_as_the_unbroken_one(make_study):
    for scene in SCENES:
        check_deaths(make_study, range(total_writes(make_study(**scene), 14)), **scene)


def test_a_study_that_dies_again_and_again_ends_as_the_unbroken_one(make_study):
    unbroken = make_study(slots=4)
    unbroken.run(20)
    for gap in (3, 7, 16):
        study, deaths = make_study(slots=4), 0
        while True:
            try:
                study.run(20, fate=Fate(gap + deaths))
            except DiedError:
                deaths += 1
            else:
                break
        assert deaths > 3
        assert study.outcome == unbroken.outcome


# The checkpoint


class EveryPass(Checkpoints):
    """Due after every pass."""

    def is_due(self):
        return True


def remove(path, earlier):
    del earlier
    path.unlink()


def cut(path, earlier):
    del earlier
    path.write_bytes(path.read_bytes()[:-100])


def fill_with_zeros(path, earlier):
    del earlier
    path.write_bytes(bytes(path.stat().st_size))


def make_older(path, earlier):
    path.write_bytes(earlier)


def change(text, other):
    def damage(path, earlier):
        del earlier
        arrays = read_arrays(path)
        about = arrays["about"].tobytes().replace(text.encode(), other.encode())
        write_arrays(path, {**arrays, "about": np.frombuffer(about, np.uint8)})

    return damage


DAMAGES = {
    remove: None,
    cut: "begin anew",
    fill_with_zeros: "begin anew",
    make_older: None,
    change('"study_id": "mine"', '"study_id": "that"'): None,
    change('"kernels": "', '"kernels": "9'): "begin anew",
    change('"times"', '"tines"'): "begin anew",
}


def test_a_checkpoint_that_is_of_no_use_costs_epochs_and_nothing_else(make_study, tmp_path):
    unbroken = make_study()
    unbroken.run(14)
    path, warnings = tmp_path / "checkpoints/s.npz", []
    for damage, warning in DAMAGES.items():
        study, earlier = make_study(), []
        warnings.clear()
        study.checkpoints = EveryPass(path, "mine", warnings.append)
        with pytest.raises(DiedError):
            study.run(14, at={2: lambda: earlier.append(path.read_bytes()), 6: Fate(0).write})  # noqa: B023
        trained = len(study.engine.trained)
        damage(path, earlier[0])
        study.checkpoints = EveryPass(path, "mine", warnings.append)
        study.run(14)
        assert study.outcome == unbroken.outcome
        assert trained + len(study.engine.trained) > len(unbroken.engine.trained)
        assert len(warnings) == (warning is not None), warnings
        assert all(warning in text for text in warnings)
        assert list(path.parent.iterdir()) == []


def test_a_checkpoint_holds_all_of_a_trial_to_the_bit(tmp_path):
    checkpoints = EveryPass(tmp_path / "new/s.npz", "mine", lambda _: None)
    draws = np.random.default_rng(0)
    state = LaneState(draws.random((3, 4), np.float32), draws.random(3, np.float32))
    progress = Progress(
        state=state,
        curves={"val/loss": [0.1, 1 / 3]},
        times=[1_700_000_000_000, 1_700_000_000_001],
        images={"codes": draws.integers(-127, 127, (2, 12)).astype(np.int8)},
    )
    assert checkpoints.load() == {}
    checkpoints.save({7: progress})
    (number, kept), *others = checkpoints.load().items()
    assert (number, others) == (7, [])
    assert (kept.curves, kept.times) == (progress.curves, progress.times)
    assert kept.state.weights.tobytes() == state.weights.tobytes()
    assert kept.state.bias.tobytes() == state.bias.tobytes()
    assert kept.images["codes"].tobytes() == progress.images["codes"].tobytes()
    checkpoints.forget()
    checkpoints.forget()
    assert checkpoints.load() == {}


def test_whatever_stands_in_the_place_of_a_checkpoint_is_never_an_error(tmp_path):
    path, warnings = tmp_path / "s.npz", []
    checkpoints = Checkpoints(path, "mine", warnings.append)
    state = LaneState(np.ones((3, 4), np.float32), np.zeros(3, np.float32))
    checkpoints.save({7: Progress(state=state, curves={"val/loss": [1.0]}, times=[1])})
    whole, arrays = path.read_bytes(), read_arrays(path)
    about = json.loads(arrays["about"].tobytes())
    abouts = [
        {},
        [],
        None,
        7,
        {**about, "trials": None},
        {**about, "trials": ["7"]},
        {**about, "trials": {"seven": about["trials"]["7"]}},
        {**about, "trials": {"7": {}}},
        {**about, "trials": {"7": []}},
        {**about, "trials": {"8": about["trials"]["7"]}},
        {name: value for name, value in about.items() if name != "bits"},
    ]
    contents = [b"", b"no zip file", bytes(1000), b"PK\x05\x06" + bytes(18)]
    contents += [whole[: len(whole) * share // 10] for share in range(1, 10)]
    for other in abouts:
        text = np.frombuffer(json.dumps(other).encode(), np.uint8)
        write_arrays(path, {**arrays, "about": text})
        contents.append(path.read_bytes())
    for lost in arrays:
        write_arrays(path, {n: a for n, a in arrays.items() if n != lost})
        contents.append(path.read_bytes())
    for content in contents:
        path.write_bytes(content)
        warnings.clear()
        assert checkpoints.load() == {}
        assert len(warnings) == 1
        assert str(path) in warnings[0]
    for place in range(0, len(whole), 13):
        flipped = bytearray(whole)
        flipped[place] ^= 4
        path.write_bytes(flipped)
        for progress in checkpoints.load().values():  # e.g. of a date
            assert progress.state.weights.tobytes() == state.weights.tobytes()
            assert progress.curves == {"val/loss": [1.0]}


def test_a_checkpoint_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    checkpoints = Checkpoints(tmp_path / "file" / "s.npz", "mine", lambda _: None)
    with pytest.raises(StoreUnreachableError, match=r"checkpoint cannot be written.*again"):
        checkpoints.save({})


def test_a_checkpoint_is_due_after_two_seconds_and_later_where_it_is_slow(tmp_path):
    for taken, pause in ((0.0, 2.0), (0.05, 2.0), (0.5, 10.0)):
        now = [100.0]

        def clock(now=now, taken=taken):
            now[0] += taken
            return now[0] - taken

        checkpoints = Checkpoints(tmp_path / "s.npz", "mine", lambda _: None, clock)
        now[0] = 101.99
        assert not checkpoints.is_due()
        checkpoints.save({})
        written = now[0] - taken
        now[0] = written + pause - 0.01
        assert not checkpoints.is_due()
        now[0] = written + pause
        assert checkpoints.is_due()


# What disagrees


def test_a_record_that_disagrees_with_the_scheduler_is_refused(make_study):
    def disagreeing(change, *, stop=None, trials=14):
        study = make_study(slots=16)
        if stop is None:
            study.run(trials)
        else:
            with pytest.raises(DiedError):
                study.run(trials, at={stop: Fate(0).write})
        change(study)
        before = study.outcome
        with pytest.raises(SweepError, match=r"cannot be replayed: .*new study") as refused:
            study.run(trials)
        assert study.outcome == before
        return str(refused.value)

    def begun_later(study):
        study.record.replace(replace(study.record.trials()[9], first_pass=7))

    assert "trial 9" in disagreeing(begun_later)

    def better(study):
        pruned = study.record.trials()
        trial = next(t for t in pruned if t.status == Status.PRUNED and t.epochs == 1)
        curves = {name: [value + 1 for value in curve] for name, curve in trial.curves.items()}
        study.record.replace(replace(trial, curves=curves))

    assert "would now" in disagreeing(better)

    def complete(study):
        trial = next(t for t in study.record.trials() if t.status == Status.PRUNED)
        study.record.replace(replace(trial, status=Status.COMPLETE))

    assert "was complete" in disagreeing(complete)

    def checkpoint_beyond_an_end(study):
        number, progress = next(
            (n, p) for n, p in study.checkpoints.kept.items() if n and len(p.times) == 3
        )
        curves = {name: [0.0, *curve[1:]] for name, curve in progress.curves.items()}
        study.checkpoints.kept[number] = replace(progress, curves=curves)

    assert disagreeing(checkpoint_beyond_an_end, stop=2)
