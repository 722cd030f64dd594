from collections import Counter

import pytest
from mlflow.artifacts import list_artifacts

from sweep.study.passes import Budget
from sweep.study.standing import Standing
from sweep.study.study_run import (
    complete_progress,
    log_overview,
    log_progress,
    open_study_run,
)
from sweep.tracking.run import Run


@pytest.fixture
def loop(tiny_study):
    return tiny_study()


def test_a_study_has_one_run_however_often_it_is_opened(loop):
    first = open_study_run(loop.study, loop.tracker, loop.data)
    first.end("KILLED")
    again = open_study_run(loop.study, loop.tracker, loop.data)
    (run,) = loop.tracker.runs(role="study")
    assert first.id == again.id == run.info.run_id
    assert run.info.status == "RUNNING"


def test_the_run_says_what_the_study_searches(loop):
    open_study_run(loop.study, loop.tracker, loop.data)
    (run,) = loop.tracker.runs(role="study", study="tiny-softmax")
    assert run.data.tags["mlflow.runName"] == "tiny-softmax"
    assert run.data.params == {
        "loss": "softmax",
        "epochs": "2",
        "seed": "0",
        "sampler": "random",
        "pruner": "none",
        "objective": "val-accuracy",
        "val_size": "18",
        "split_seed": "0",
        "slots": "1",
        "width": str(loop.study.settings.layout.width),
        "workers": str(loop.study.settings.layout.workers),
        "space.l2": "1e-05:1:log",
        "space.learning_rate": "0.0001:0.1:log",
        "space.decay_period": "2:50:log",
        "space.batch_size": "25,50,100,200,400",
        "space.flip_probability": "0",
    }
    assert run.data.tags["sweep.data_digest"] == loop.study.settings.data.data_digest


def test_another_study_of_the_same_data_has_a_run_of_its_own(tiny_study):
    runs = set()
    for name in ("one", "two"):
        loop = tiny_study(study_name=name)
        runs.add(open_study_run(loop.study, loop.tracker, loop.data).id)
    assert len(runs) == 2


def test_a_study_without_a_complete_trial_has_no_best_yet_and_its_note_says_so(loop):
    run = open_study_run(loop.study, loop.tracker, loop.data)
    log_progress(run, Standing(loop.study.settings, loop.study.trials()))
    log_overview(run, loop.study)
    run.flush()
    (logged,) = loop.tracker.runs(role="study")
    assert "best/val_accuracy" not in logged.data.metrics
    assert "No trial is complete yet." in logged.data.tags["mlflow.note.content"]


def test_the_best_so_far_stands_against_the_finished_trials(loop, no_figures):
    del no_figures
    loop.run(Budget(3))
    (run,) = loop.tracker.runs(role="study")
    history = loop.tracker.client.get_metric_history(run.info.run_id, "best/val_accuracy")
    values = [trial.value for trial in loop.study.trials()]
    assert [(point.step, point.value) for point in history] == [
        (1, values[0]),
        (2, max(values[:2])),
        (3, max(values)),
    ]


def test_a_store_younger_than_the_study_gets_the_whole_history(loop, no_figures):
    del no_figures
    loop.run(Budget(3))
    (old,) = loop.tracker.runs(role="study")
    loop.tracker.client.delete_run(old.info.run_id)
    fresh = open_study_run(loop.study, loop.tracker, loop.data)
    assert fresh.id != old.info.run_id
    for _ in range(2):  # the second time nothing lacks
        complete_progress(fresh, loop.study)
        fresh.flush()
    assert fresh.steps("best/val_accuracy") == {1, 2, 3}


def test_the_figures_over_all_trials_lie_under_figures(loop, no_figures):
    del no_figures
    loop.run(Budget(1))
    run = open_study_run(loop.study, loop.tracker, loop.data)
    drawn = Counter()

    def figure(_, path):
        drawn[path] += 1

    run.figure = figure
    log_overview(run, loop.study)
    assert drawn == {
        f"figures/{name}.png": 1
        for name in ("history", "parallel_coordinates", "slice", "importance")
    }
    assert list_artifacts(run_id=run.id) == []


def test_a_study_run_whose_process_died_as_it_began_is_told_what_it_was_given(loop):
    whole = open_study_run(loop.study, loop.tracker, loop.data)
    expected = loop.tracker.client.get_run(whole.id).data
    loop.tracker.client.delete_run(whole.id)
    Run.create(loop.tracker, loop.study.name, tags={"role": "study", **loop.study.tags})
    again = open_study_run(loop.study, loop.tracker, loop.data)
    found = loop.tracker.client.get_run(again.id).data
    assert found.params == expected.params
    assert found.tags["sweep.data_digest"] == expected.tags["sweep.data_digest"]
    assert found.tags["sweep.environment.numpy"] == expected.tags["sweep.environment.numpy"]
