import math

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mlflow.entities import Metric
from sqlalchemy import text

from sweep.tracking.news import Point
from sweep.tracking.points import BATCH, ROWS, log_points

KEYS = ("val/loss", "train/loss")
VALUES = st.sampled_from([0.5, -1.0, 0.0, -0.0, 1e300, 5e-324, math.nan, math.inf, -math.inf])
POINTS = st.lists(
    st.builds(
        Point,
        key=st.sampled_from(KEYS),
        value=VALUES,
        timestamp=st.integers(1000, 1002),
        step=st.integers(-1, 2),
    ),
    max_size=8,
)
COLUMNS = "key, value, timestamp, step, is_nan"


def new_run(tracker):
    return tracker.client.create_run(tracker.experiment_id).info.run_id


def store_of(tracker):
    return tracker.client._tracking_client.store


def tables(tracker, run_id):
    """Return the rows of both of MLflow's tables."""
    with store_of(tracker).engine.connect() as connection:
        return [
            connection.execute(
                text(f"SELECT {COLUMNS} FROM {table} WHERE run_uuid = :run ORDER BY {COLUMNS}"),  # noqa: S608 - our own words
                {"run": run_id},
            ).all()
            for table in ("metrics", "latest_metrics")
        ]


def by_mlflow(tracker, run_id, points):
    tracker.client.log_batch(run_id, metrics=[Metric(*point) for point in points])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(POINTS, min_size=1, max_size=3))
@example([[Point("val/loss", math.nan, 1000, 1), Point("val/loss", 0.0, 1000, 1)]])
@example([[Point("val/loss", 0.0, 1000, 1), Point("val/loss", math.nan, 1000, 1)]])
@example([[Point("val/loss", 0.5, 1001, 1), Point("val/loss", 1e300, 1000, 1)]])
@example([[Point("val/loss", 0.5, 1000, 2)], [Point("val/loss", -1.0, 1002, 1)]])
def test_both_tables_come_to_hold_what_mlflow_itself_would_write(tracker, batches):
    ours, theirs = new_run(tracker), new_run(tracker)
    for points in batches:
        log_points(tracker.client, {ours: points})
        by_mlflow(tracker, theirs, points)
    assert tables(tracker, ours) == tables(tracker, theirs)


def test_the_points_of_many_runs_are_written_in_several_statements_and_one_transaction(
    tracker, monkeypatch
):
    runs = [new_run(tracker) for _ in range(3)]
    points = {
        run: [Point("val/loss", n * i, 1000, i) for i in range(ROWS)]
        + [Point(f"of {i}", float(i), 1000, 0) for i in range(ROWS)]
        for n, run in enumerate(runs)
    }
    store, sessions = store_of(tracker), []
    make = store.ManagedSessionMaker
    monkeypatch.setattr(
        store, "ManagedSessionMaker", lambda **how: sessions.append(how) or make(**how)
    )
    log_points(tracker.client, points)
    assert sessions == [{"read_only": False}]
    for run in runs:
        written, latest = tables(tracker, run)
        assert sorted(row[:4] for row in written) == sorted(
            (point.key, point.value, point.timestamp, point.step) for point in points[run]
        )
        assert len(latest) == ROWS + 1


def test_a_value_that_cannot_be_written_leaves_none_of_its_letter(tracker):
    run = new_run(tracker)
    points = [Point("val/loss", 1.0, 1000, step) for step in range(ROWS)]
    with pytest.raises(Exception, match="FOREIGN KEY"):
        log_points(tracker.client, {run: points, "no such run": points})
    assert tables(tracker, run) == [[], []]


def test_the_same_points_again_change_nothing(tracker):
    run = new_run(tracker)
    points = [Point("val/loss", value, 1000, 1) for value in (1.0, math.nan, math.inf)]
    log_points(tracker.client, {run: points})
    before = tables(tracker, run)
    log_points(tracker.client, {run: points})
    assert tables(tracker, run) == before
    assert len(before[0]) == 3


@pytest.mark.parametrize("dialect", [None, "mysql"])
def test_a_store_that_is_no_such_database_gets_batches_that_it_takes(tracker, monkeypatch, dialect):
    runs = {new_run(tracker): [Point("val/loss", 0.5, 1000, i) for i in range(n)] for n in (1, 950)}
    batches = []

    def log_batch(run_id, metrics, *, synchronous):
        assert synchronous
        batches.append((run_id, [tuple(vars(metric).values())[:4] for metric in metrics]))

    monkeypatch.setattr(tracker.client, "log_batch", log_batch)
    if dialect is None:
        monkeypatch.setattr(tracker.client._tracking_client.__class__, "store", object())
    else:
        monkeypatch.setattr(store_of(tracker).engine.dialect, "name", dialect)
    log_points(tracker.client, runs)
    one, many = runs
    assert [(run, len(batch)) for run, batch in batches] == [(one, 1), (many, BATCH), (many, 50)]
    assert [value for run, batch in batches for value in batch] == [
        tuple(point) for points in runs.values() for point in points
    ]
