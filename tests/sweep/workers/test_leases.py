"""Leases: the budget is exact, and every trial has one worker at a time, or none."""

import random
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta

import pytest
from optuna.trial import TrialState

from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.workers.lease import LeaseLostError
from sweep.workers.leases import MOST_DEATHS

pytestmark = pytest.mark.slow

PATIENCE = 60.0
COMPLETE, ERROR, PRUNED = Ending.COMPLETE, Ending.ERROR, Ending.PRUNED


def known(how, reason=""):
    return {attributes.ENDING: str(how), attributes.REASON: reason}


def end(leases, lease, how=COMPLETE, values=(0.5,)):
    leases.finish(lease, how, values, known(how))


def claimed(leases, free, **options):
    return list(leases.claim(free, **options).leases)


@pytest.mark.parametrize("seed", range(2))
def test_claims_in_any_order_give_the_budget_and_replace_what_failed(begun, seed):
    rng = random.Random(seed)  # noqa: S311 - an order, no secret
    one = begun(trials=8)
    workers = [one.leases(f"worker-{k}") for k in range(3)]
    training, over, failed = [], False, 0
    while not over:
        leases = rng.choice(workers)
        claim = leases.claim(rng.randrange(4))
        training += [(leases, lease) for lease in claim.leases]
        over = claim.over
        assert not (over and training)
        rng.shuffle(training)
        for owner, lease in [training.pop() for _ in range(rng.randrange(len(training) + 1))]:
            how = rng.choice([COMPLETE, COMPLETE, PRUNED, ERROR])
            failed += how == ERROR
            end(owner, lease, how)
    states = one.states()
    assert len(states) - states.count("FAIL") == 8
    assert states.count("FAIL") == failed > 0
    assert [trial.number for trial in one.study.trials()] == list(range(8 + failed))
    assert workers[0].claim(5).leases == []


def test_a_worker_that_claims_nothing_does_not_take_an_open_study_for_done(begun):
    leases = begun(trials=1).leases("a")
    assert not leases.claim(0).over
    (lease,) = claimed(leases, 3)
    assert not leases.claim(0).over
    end(leases, lease)
    assert leases.claim(0).over


def test_a_grid_ends_with_its_points_even_if_one_of_them_failed(begun):
    leases = begun(trials=100).leases("a")
    first = claimed(leases, 2, positions=3)
    end(leases, first[0], ERROR)
    (last,) = claimed(leases, 9, positions=3)
    assert last.number == 2
    for lease in (first[1], last):
        end(leases, lease)
    assert leases.claim(9, positions=3).over


def test_a_silent_worker_loses_its_trial_after_the_grace_and_not_before(begun):
    one = begun(trials=1, grace=60.0)
    dead, heir = one.leases("dead"), one.leases("heir")
    (lease,) = claimed(dead, 1)
    proposed = one.proposed(1)
    dead.begin(lease, proposed, {attributes.SLOT: 0})
    dead.beat({lease: [0.5, 0.6]})
    assert one.study.trials()[0].intermediate_values == {1: 0.5, 2: 0.6}
    one.silence(50)
    assert claimed(heir, 1) == []
    one.silence(15)
    (taken,) = claimed(heir, 1)
    assert (taken.number, taken.worker, taken.attempt, taken.deaths) == (0, "heir", 2, 1)
    (trial,) = one.study.trials()
    assert trial.intermediate_values == {}
    heir.begin(taken, one.proposed(2), {attributes.SLOT: 1})
    (trial,) = one.study.trials()
    assert trial.params == proposed.params
    assert trial.user_attrs[attributes.SLOT] == 1
    assert claimed(heir, 1) == []


def test_a_trial_without_a_heartbeat_is_taken_over_one_grace_after_somebody_noticed(begun):
    one = begun(trials=1)
    leases = one.leases("heir")
    claimed(one.leases("dead"), 1)
    one.hush(0)
    assert claimed(leases, 1) == []
    one.silence(59)
    assert claimed(leases, 1) == []
    one.silence(2)
    (taken,) = claimed(leases, 1)
    assert (taken.number, taken.attempt, taken.deaths) == (0, 2, 1)


def test_a_trial_that_nobody_leased_is_taken_over_as_well(begun):
    one = begun(trials=1)
    one.study.optuna.ask()
    leases = one.leases("heir")
    assert claimed(leases, 1) == []
    one.silence(61)
    (taken,) = claimed(leases, 1)
    assert (taken.number, taken.attempt, taken.deaths) == (0, 1, 1)


def test_a_trial_that_was_given_back_is_taken_at_once_and_nobody_has_died(begun):
    one = begun(trials=2)
    first, second = one.leases("first"), one.leases("second")
    mine = claimed(first, 2)
    first.release(mine)
    assert one.leases("other").alive() == set()
    taken = claimed(second, 2)
    assert [(lease.number, lease.attempt, lease.deaths) for lease in taken] == [
        (0, 2, 0),
        (1, 2, 0),
    ]
    first.release(mine)  # said twice, and too late
    assert second.beat(dict.fromkeys(taken, ())) == set()


def test_a_trial_that_ended_cannot_be_given_back(begun):
    one = begun(trials=1)
    leases = one.leases("a")
    (lease,) = claimed(leases, 1)
    end(leases, lease)
    leases.release([lease])
    assert one.study.trials()[0].user_attrs[attributes.LEASE]["worker"] == "a"


def test_a_trial_is_given_up_after_four_deaths_and_another_takes_its_place(begun):
    one = begun(trials=1)
    for death in range(MOST_DEATHS):
        leases = one.leases(f"dead-{death}")
        claim = leases.claim(1)
        (lease,) = claim.leases
        assert (lease.number, lease.deaths, claim.given_up) == (0, death, [])
        leases.begin(lease, one.proposed(death), {})
        one.silence(61)
    claim = one.leases("heir").claim(1)
    assert claim.given_up == [0]
    assert [other.number for other in claim.leases] == [1]
    given_up, _ = one.study.trials()
    assert given_up.state == TrialState.FAIL
    assert given_up.user_attrs[attributes.REASON] == "4 workers died with it"
    assert given_up.user_attrs[attributes.ENDING] == "error"
    # The last of its workers only slept.
    assert leases.beat({lease: [0.5]}) == {lease}
    with pytest.raises(LeaseLostError):
        end(leases, lease)
    assert one.study.trials()[0].intermediate_values == {}


def test_a_late_worker_cannot_begin_report_or_finish(begun):
    one = begun(trials=1)
    late, heir = one.leases("late"), one.leases("heir")
    (lease,) = claimed(late, 1)
    one.silence(61)
    (taken,) = claimed(heir, 1)
    message = "^lease lost on trial 0: another worker has taken it over$"
    with pytest.raises(LeaseLostError, match=message):
        late.begin(lease, one.proposed(0), {})
    with pytest.raises(LeaseLostError, match=message):
        end(late, lease)
    assert late.beat({lease: [0.1]}) == {lease}
    (trial,) = one.study.trials()
    assert (trial.state, trial.params, trial.intermediate_values) == (TrialState.RUNNING, {}, {})
    assert heir.beat({taken: [0.7]}) == set()
    assert one.study.trials()[0].intermediate_values == {1: 0.7}


def test_one_worker_that_takes_its_own_trial_again_has_lost_the_first_lease(begun):
    one = begun(trials=1)
    leases = one.leases("a")
    (lease,) = claimed(leases, 1)
    one.silence(61)
    (again,) = claimed(leases, 1)
    assert leases.beat({lease: (), again: ()}) == {lease}


def test_finishing_twice_is_as_good_as_once(begun):
    one = begun(trials=1)
    leases = one.leases("a")
    (lease,) = claimed(leases, 1)
    leases.beat({lease: [0.1]})
    end(leases, lease, COMPLETE, [0.1, 0.2])
    (trial,) = one.study.trials()
    end(leases, lease, COMPLETE, [0.1, 0.2])
    assert trial.intermediate_values == {1: 0.1, 2: 0.2}
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.2)
    assert one.study.trials() == [trial]


def test_a_finished_trial_is_alive_until_it_is_forgotten(begun):
    one = begun(trials=2)
    leases = one.leases("a")
    mine = claimed(leases, 2)
    for lease in mine:
        end(leases, lease)
    assert one.leases("b").alive() == {0, 1}
    one.silence(61)
    assert one.leases("b").alive() == set()
    assert leases.beat(dict.fromkeys(mine, (0.5,))) == set()
    assert one.leases("b").alive() == {0, 1}
    leases.forget(mine[:1])
    assert leases.beat(dict.fromkeys(mine, (0.5,))) == set()
    assert one.leases("b").alive() == {1}


def test_every_worker_that_joins_gets_the_next_number(begun):
    one = begun()
    assert [one.leases(name).join() for name in "abc"] == [0, 1, 2]


class Fast(type):
    def __instancecheck__(cls, one):
        return isinstance(one, datetime)


class FastClock(datetime, metaclass=Fast):
    """The clock of a worker that is an hour ahead."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(hours=1)


@pytest.mark.parametrize("store", ["file", "database"])
def test_a_worker_whose_clock_is_an_hour_off_changes_nothing(begun, store, request, monkeypatch):
    address = None if store == "file" else request.getfixturevalue("fresh_database")
    one = begun(trials=2, address=address)
    right, fast = one.leases("right"), one.leases("fast")
    (mine,) = claimed(right, 1)
    before = one.heartbeats()[0]
    with monkeypatch.context() as patch:
        patch.setattr("sweep.workers.heartbeat_rows.datetime", FastClock)
        patch.setattr("sweep.workers.leases.datetime", FastClock)
        clock = time.time
        patch.setattr("time.time", lambda: clock() + 3600)
        theirs = claimed(fast, 2)
        assert [lease.number for lease in theirs] == [1]
        fast.beat(dict.fromkeys(theirs, ()))
    assert timedelta(0) <= one.heartbeats()[1] - before < timedelta(minutes=30)
    assert right.beat({mine: ()}) == set()
    one.silence(61, 1)
    assert [lease.number for lease in claimed(right, 2)] == [1]


CLAIMERS = """
import os, sys, traceback
from sweep.study.ending import Ending
from sweep.study.opening import load_study
from sweep.study.storage import open_storage
from sweep.workers.leases import Leases
import psycopg, sqlalchemy, alembic.config, optuna.storages

def work(number):
    leases = Leases(load_study("shared", open_storage(sys.argv[1])), f"worker-{number}")
    while True:
        claim = leases.claim(1 + number % 3)
        for lease in claim.leases:
            failed = lease.number % 10 == 7
            how = Ending.ERROR if failed else Ending.COMPLETE
            known = {"sweep:ending": str(how), "sweep:reason": ""}
            leases.beat({lease: [0.1]})
            leases.finish(lease, how, [0.1, 0.2], known)
            leases.forget([lease])
        if claim.over:
            return

children = []
for number in range(8):
    child = os.fork()
    if not child:
        try:
            work(number)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(child)
sys.exit(max(os.waitpid(child, 0)[1] for child in children) != 0)
"""


def test_eight_processes_that_claim_at_once_keep_the_budget(begun, fresh_database):
    one = begun(trials=80, address=fresh_database)
    done = subprocess.run(
        [sys.executable, "-c", CLAIMERS, fresh_database],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    trials = one.study.trials()
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert one.states().count("COMPLETE") == 80
    assert one.states().count("FAIL") == len(trials) - 80 == 9  # 7, 17, ... 87
    assert len({trial.user_attrs[attributes.LEASE]["worker"] for trial in trials}) > 1
    assert {trial.user_attrs[attributes.LEASE]["attempt"] for trial in trials} == {1}


def waits_for_a_lock(postgres, address):
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return postgres.query(address.rpartition("/")[2], query) == [(1,)]


@pytest.mark.parametrize("what", ["beats", "ends"])
def test_a_worker_that_is_heard_of_just_in_time_keeps_its_trial(
    begun, postgres, fresh_database, what
):
    one = begun(trials=1, address=fresh_database)
    slow, heir = one.leases("slow"), one.leases("heir")
    (lease,) = claimed(slow, 1)
    one.silence(61)
    claims = []
    with slow._transaction() as session:
        slow._held(session, lease)
        other = threading.Thread(target=lambda: claims.append(heir.claim(1)))
        other.start()
        deadline = time.monotonic() + PATIENCE
        while not waits_for_a_lock(postgres, fresh_database):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        from sweep.workers import heartbeat_rows, rows

        if what == "beats":
            heartbeat_rows.write(session, [lease.trial_id], heartbeat_rows.clock(session))
        else:
            rows.locked_trial(session, lease.trial_id).state = TrialState.COMPLETE
    other.join(PATIENCE)
    (claim,) = claims
    assert list(claim.leases) == []
    assert claim.over == (what == "ends")
    assert slow.beat({lease: ()}) == set()
