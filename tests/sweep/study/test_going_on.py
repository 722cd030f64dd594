"""A study that was killed, at whatever moment, is in the end the one that nobody touched."""

from itertools import count
from pathlib import Path
from random import Random

import pytest

from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.listener import Listener
from sweep.study.passes import Budget
from sweep.study.results import ending

pytestmark = pytest.mark.usefixtures("no_figures")

TRIALS = Budget(13)


class DiesAfter(Listener):
    """Ends as a process does that is killed after some passes: nothing more is written."""

    def __init__(self, passes, mortal):
        self.passes, self.mortal = passes, mortal

    def pass_ended(self, training):
        del training
        self.passes -= 1
        if self.passes == 0:
            self.mortal.dies()


@pytest.fixture(scope="module")
def told():
    """Keep what both stores say of the unbroken study: it takes as long as any other."""
    return []


@pytest.fixture
def unbroken(image_study, in_optuna, in_mlflow, told):
    if not told:
        loop = image_study("unbroken")
        loop.run(TRIALS)
        how = {ending(trial) for trial in loop.study.trials()}
        assert how == {Ending.COMPLETE, Ending.PRUNED}
        told += [in_optuna(loop), in_mlflow(loop)]
    return told


@pytest.fixture
def checkpoints(monkeypatch):
    """Return a function that has a checkpoint made every so many passes; with None, never."""

    def every(passes):
        numbers = count(1)
        monkeypatch.setattr(
            "sweep.study.keeper.Keeper.is_due",
            lambda _: passes is not None and next(numbers) % passes == 0,
        )

    return every


@pytest.fixture
def every_other_pass(checkpoints):
    checkpoints(2)


@pytest.fixture
def is_unbroken(unbroken, in_optuna, in_mlflow):
    def check(loop):
        optuna, mlflow = unbroken
        assert in_optuna(loop) == optuna
        found = in_mlflow(loop)
        assert found.keys() == mlflow.keys()
        for name, run in mlflow.items():
            for part in run:
                assert found[name][part] == run[part], (name, part)

    return check


@pytest.fixture
def dies(mortal):
    """Return a function that runs a study and tells whether it died."""

    def run(loop):
        try:
            loop.run(TRIALS)
        except mortal.error:
            return True
        return False

    return run


@pytest.fixture
def killed_after(image_study, mortal, dies):
    """Return a function that runs the study for some passes and tells whether it died then."""

    def run(passes):
        loop = image_study()
        loop.listener = DiesAfter(passes, mortal)
        died = dies(loop)
        mortal.until(None)
        return died

    return run


def finished(loop):
    loop.run(TRIALS)
    return loop


@pytest.mark.slow
@pytest.mark.parametrize("often", [(1, 1), (2, 1), (None, 4)])
def test_a_study_killed_at_every_pass_is_the_unbroken_one(
    image_study, killed_after, checkpoints, is_unbroken, often
):
    every, step = often
    checkpoints(every)
    passes = 1
    while killed_after(passes):
        passes += step
    assert passes > 8
    is_unbroken(image_study())


def test_a_study_that_is_made_safe_at_every_moment_loses_no_epoch(
    image_study, killed_after, monkeypatch
):
    monkeypatch.setattr("sweep.study.keeper.SECONDS", 0)
    assert killed_after(5)
    loop = image_study()
    at = loop.listener.epochs = []
    monkeypatch.setattr(loop.listener, "epoch_ended", lambda *given: at.append(given[:2]))
    left = [trial.number for trial in loop.study.trials() if not trial.state.is_finished()]
    finished(loop)
    assert all((number, 1) not in at for number in left)
    assert {trial.user_attrs[attributes.ATTEMPT] for trial in loop.study.trials()} == {1}


def test_a_study_without_a_checkpoint_begins_its_unfinished_trials_anew(
    image_study, killed_after, monkeypatch
):
    monkeypatch.setattr("sweep.study.keeper.SECONDS", 1e9)
    assert killed_after(5)
    left = {t.number for t in image_study().study.trials() if not t.state.is_finished()}
    loop = finished(image_study())
    attempts = {t.number: t.user_attrs[attributes.ATTEMPT] for t in loop.study.trials()}
    assert {number for number, attempt in attempts.items() if attempt == 2} == left
    assert set(attempts.values()) == {1, 2}


def remove(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def fill_with_zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("damage", [remove, cut, fill_with_zeros])
def test_a_checkpoint_that_is_lost_or_damaged_costs_epochs_and_nothing_else(
    image_study, killed_after, checkpoints, is_unbroken, damage
):
    checkpoints(1)
    assert killed_after(5)
    (path,) = Path("mlruns/checkpoints").iterdir()
    damage(path)
    is_unbroken(finished(image_study()))
    assert not path.exists()


def test_nothing_is_left_on_disk_of_a_study_that_is_done(image_study, killed_after, checkpoints):
    checkpoints(1)
    assert killed_after(5)
    assert list(Path("mlruns/checkpoints").iterdir())
    finished(image_study())
    assert [*Path("mlruns/checkpoints").iterdir(), *Path("mlruns/outbox/broken").iterdir()] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("every_other_pass")
def test_a_study_killed_between_any_two_writes_is_the_unbroken_one(
    image_study, mortal, dies, is_unbroken, seed
):
    lasts = Random(seed)  # noqa: S311 - moments, not secrets
    deaths, loop = 0, image_study()
    mortal.until(20)
    while dies(loop):
        deaths += 1
        mortal.until(lasts.randrange(5, 40) if deaths < 9 else None)
        loop = image_study()
    assert deaths > 3
    is_unbroken(loop)


def test_what_an_empty_mlflow_store_lacks_of_a_study_is_told_to_it_anew(
    image_study, killed_after, checkpoints, in_both_stores, in_optuna
):
    checkpoints(1)
    assert killed_after(5)
    forget_runs(image_study())
    assert killed_after(1)  # before anything but the beginning was told anew
    checkpoints(None)
    assert killed_after(7)
    forget_runs(image_study())
    assert killed_after(7)
    loop = finished(image_study())
    in_both_stores(loop.study, loop.tracker)
    whole = image_study("unbroken")
    assert in_optuna(loop) == in_optuna(finished(whole))
    whole = [
        run.data.tags.get("sweep.whole")
        for run in loop.tracker.runs(role="trial", **loop.study.tags)
    ]
    assert whole == ["True"] * 13


def forget_runs(loop):
    for run in loop.tracker.runs():
        loop.tracker.client.delete_run(run.info.run_id)
