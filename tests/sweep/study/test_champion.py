from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.champion import crown_chosen, fetch_classifier, trial_run
from sweep.study.passes import Budget
from sweep.study.reproduce import reproduce
from sweep.study.results import best_trial
from sweep.tracking.champion import champion_run
from sweep_model.linear import LinearClassifier

GONE = (
    "trial 0 of 'tiny-softmax': the weights that it ended with are gone: {}; "
    "`sweep reproduce tiny-softmax --trial 0` makes them anew"
)


@pytest.fixture
def loop(tiny_study, no_figures):
    """Return the loop of a study with one complete trial."""
    del no_figures
    loop = tiny_study()
    loop.run(Budget(1))
    return loop


def fetch(loop):
    return fetch_classifier(loop.study, loop.study.trials()[0], loop.tracker)


def kept_file(loop):
    (run,) = loop.tracker.runs(role="trial")
    return Path(urlsplit(run.info.artifact_uri).path) / "classifier" / "classifier.npz"


def test_the_weights_fetched_are_the_recorded_ones(loop):
    classifier = fetch(loop)
    assert classifier.digest == loop.study.trials()[0].user_attrs[attributes.WEIGHTS_DIGEST]
    assert classifier.class_names == ("0", "1", "2")


def test_weights_that_somebody_changed_are_refused(loop):
    path = kept_file(loop)
    changed = LinearClassifier.load(path)
    changed.weights.setflags(write=True)
    changed.weights[0, 0] += np.float32(0.5)
    changed.save(path)
    with pytest.raises(SweepError) as refused:
        fetch(loop)
    (run,) = loop.tracker.runs(role="trial")
    others = f"run {run.info.run_id} has others, of digest {changed.digest[:12]}"
    assert str(refused.value) == GONE.format(others)


def test_a_file_that_holds_no_weights_is_refused(loop):
    kept_file(loop).write_bytes(b"not an archive")
    with pytest.raises(SweepError, match=r"are gone: .*; `sweep reproduce tiny-softmax --trial 0`"):
        fetch(loop)


def test_a_lost_file_is_named_with_the_command_that_makes_it_anew(loop):
    kept_file(loop).unlink()
    with pytest.raises(SweepError) as refused:
        fetch(loop)
    (run,) = loop.tracker.runs(role="trial")
    assert str(refused.value) == GONE.format(
        f"run {run.info.run_id} has no classifier/classifier.npz"
    )
    assert refused.value.exit_code == 1


def test_a_lost_run_is_replaced_by_a_reproduction_of_the_trial(loop):
    (run,) = loop.tracker.runs(role="trial")
    loop.tracker.client.delete_run(run.info.run_id)
    with pytest.raises(SweepError) as refused:
        fetch(loop)
    assert str(refused.value) == GONE.format("no run in MLflow has them")

    (trial,) = loop.study.trials()
    reproduce(loop.study, trial, loop.data, loop.tracker, tolerance=0.0)
    assert fetch(loop).digest == trial.user_attrs[attributes.WEIGHTS_DIGEST]


def test_a_run_is_looked_up_in_the_store_at_hand(loop):
    (trial,) = loop.study.trials()
    (run,) = loop.tracker.runs(role="trial")
    found = trial_run(loop.study, trial, loop.tracker)
    assert found is not None
    assert found.id == run.info.run_id
    loop.tracker.client.delete_run(run.info.run_id)
    assert trial_run(loop.study, trial, loop.tracker) is None


def test_the_best_trial_is_crowned_once_and_a_better_one_takes_over(loop, monkeypatch):
    crowned = []

    def crown(run, path, classifier, *, name, tags):
        assert tags == loop.study.tags
        crowned.append((run.id, LinearClassifier.load(path).digest == classifier.digest, name))

    monkeypatch.setattr("sweep.study.champion.crown", crown)
    monkeypatch.setattr(
        "sweep.study.champion.champion_run", lambda *_: (crowned or [[None]])[-1][0]
    )
    crown_chosen(loop.study, loop.tracker)
    crown_chosen(loop.study, loop.tracker)
    assert len(crowned) == 1
    loop.run(Budget(8))
    crown_chosen(loop.study, loop.tracker)
    best = best_trial(loop.study.settings, loop.study.trials())
    assert best.number > 0
    (run,) = loop.tracker.runs(role="trial", trial=best.number)
    assert crowned[-1] == (run.info.run_id, True, "tiny-softmax")


def test_a_study_without_a_complete_trial_has_nothing_to_crown(tiny_study):
    loop = tiny_study()
    assert crown_chosen(loop.study, loop.tracker) is None
    assert champion_run(loop.tracker, loop.study.name) is None
