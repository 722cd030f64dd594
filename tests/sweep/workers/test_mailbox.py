"""Letters of workers that died: the next worker on their machine sends what counts."""

import pytest

from sweep.study import attributes
from sweep.study.keeper import outbox_folder
from sweep.study.study_run import open_study_run
from sweep.study.training_run import WHOLE
from sweep.study.trial_life import create_trial_run
from sweep.tracking.run import Run
from sweep.workers.mailbox import own_outbox, send_left

pytestmark = pytest.mark.slow


@pytest.fixture
def one(begun):
    """Return a study whose trial 0 a worker called `dead` has finished."""
    shared = begun(trials=2)
    (lease,) = shared.leases("dead").claim(1).leases
    shared.complete("dead", lease, **{attributes.LETTER: 2})
    return shared


@pytest.fixture
def parent(one):
    return open_study_run(one.study, one.tracker(), one.data)


def writes(one, parent, outbox, *, released):
    """Write as a worker would: a run's creation, and its end, which may be held back."""
    tracker = one.tracker()
    tracker.send_by(lambda letter, _: outbox.release(outbox.prepare(letter)))
    run = create_trial_run(one.study, 0, 1, Run(tracker, parent.id))
    run.metrics({"val/loss": 0.25}, 1)
    run.tags({WHOLE: True})
    number = outbox.prepare([run.take_news()])
    if released:
        outbox.release(number)
    return number


def folders():
    place = outbox_folder("shared").parent
    return sorted(path.name for path in place.iterdir()) if place.exists() else []


def points(one):
    return [run.data.metrics for run in one.tracker().runs(role="trial")]


def test_a_worker_whose_letters_are_sent_leaves_nothing_behind(one):
    with own_outbox(one.study, "a"):
        assert folders() == ["shared@a.lock"]
    assert folders() == []
    with pytest.raises(KeyError), own_outbox(one.study, "a"):
        raise KeyError
    assert folders() == []


@pytest.mark.parametrize("released", [True, False])
def test_the_letters_of_a_dead_worker_are_sent_where_they_count(one, parent, released):
    with own_outbox(one.study, "dead") as outbox:
        assert writes(one, parent, outbox, released=released) == 2
    assert folders() == ["shared@dead", "shared@dead.lock"]
    send_left(one.study, one.tracker(), pytest.fail)
    assert points(one) == [{"val/loss": 0.25}]
    assert folders() == []


def test_a_letter_that_no_recorded_end_vouches_for_is_dropped(one, parent):
    with own_outbox(one.study, "another") as outbox:
        writes(one, parent, outbox, released=False)
    send_left(one.study, one.tracker(), pytest.fail)
    assert points(one) == [{}]


def test_the_letters_of_a_living_worker_and_of_other_studies_stay(one, parent):
    with own_outbox(one.study, "dead") as outbox:
        writes(one, parent, outbox, released=True)
        send_left(one.study, one.tracker(), pytest.fail)
        assert len(outbox.waiting()) == 2
    lock = outbox_folder("shared").with_name("shared@dead.lock")
    lock.rename(lock.with_name("shared-too@dead.lock"))
    send_left(one.study, one.tracker(), pytest.fail)
    assert points(one) == []


def test_a_run_that_others_deleted_comes_back_with_the_rest_of_its_letters(one, parent):
    with own_outbox(one.study, "dead") as outbox:
        writes(one, parent, outbox, released=True)
        first, _ = outbox.waiting()
        tracker = one.tracker()
        tracker.deliver(outbox.read(first))
        first.unlink()
        (run,) = tracker.runs(role="trial")
        tracker.client.delete_run(run.info.run_id)
    assert send_left(one.study, one.tracker(), pytest.fail)
    assert points(one) == [{"val/loss": 0.25}]
    assert folders() == []
    assert not send_left(one.study, one.tracker(), pytest.fail)
