from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from sweep.analysis import (
    fetch_classifier,
    find_selected,
    pending_files,
    reproduce_trial,
    selected_trial,
    trial_key,
    trial_state,
)
from sweep.analysis.selection import register_champion
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search.trials import best_trial
from sweep.tracking import Mirror, champion_run
from sweep_model.classifier import LinearClassifier


@pytest.fixture
def searched(make_study, make_config, search, tiny_data):
    """Return a study of two complete trials whose files wait for MLflow."""
    config = make_config(study="tiny-softmax", epochs=1, slots=1, sampler="random", pruner="none")
    return search(make_study(config), tiny_data, 2)


@pytest.fixture
def mirror(tracker):
    return Mirror(tracker)


@pytest.fixture
def study(searched, mirror, tiny_data):
    """Return the same study once MLflow has all of it."""
    for trial in searched.trials():
        mirror.update(trial_state(searched, trial, tiny_data))
        assert not pending_files(searched, trial.number).exists()
    return searched


def kept_file(study, mirror):
    run = mirror.tracker.client.get_run(mirror.run_id(trial_key(study, 0)))
    return Path(urlsplit(run.info.artifact_uri).path) / "classifier" / "classifier.npz"


def change(path):
    changed = LinearClassifier.load(path)
    changed.weights.setflags(write=True)
    changed.weights[0, 0] += np.float32(0.5)
    changed.save(path)
    return changed


def test_a_study_without_a_complete_trial_answers_with_none_and_says_what_helps(
    make_study, make_config, make_trial
):
    failed = [make_trial(n, [], status="failed") for n in range(3)]
    for name, trials, remedy in (
        ("running", [make_trial(0, [0.5], status="running")], "go on with `sweep run running`"),
        ("failed", failed, r"all 3 failed; begin a new one.*narrower space"),
    ):
        study = make_study(make_config(study=name), trials)
        assert find_selected(study) is None
        with pytest.raises(SweepError, match=remedy):
            selected_trial(study)


def test_the_weights_fetched_are_the_recorded_ones_wherever_they_are(
    searched, tracker, mirror, tiny_data
):
    trial = searched.trial(0)
    for store in (tracker, None):  # they wait here
        assert fetch_classifier(searched, trial, store).digest == trial.weights_digest
    change(pending_files(searched, 0) / "classifier" / "classifier.npz")
    with pytest.raises(SweepError, match="are gone"):
        fetch_classifier(searched, trial, tracker)
    mirror.update(trial_state(searched, searched.trial(1), tiny_data))  # and now they do not
    classifier = fetch_classifier(searched, searched.trial(1), tracker)
    assert classifier.digest == searched.trial(1).weights_digest
    assert classifier.class_names == ("ant", "bee", "cat")
    with pytest.raises(StoreUnreachableError, match="does not answer"):
        fetch_classifier(searched, searched.trial(1), None)


def test_weights_that_are_not_the_recorded_ones_are_refused_with_what_makes_them_anew(
    study, mirror, tracker
):
    path, run_id = kept_file(study, mirror), mirror.run_id(trial_key(study, 0))
    remedy = "`sweep reproduce tiny-softmax --trial 0` makes them anew"

    def refusal():
        with pytest.raises(SweepError) as refused:
            fetch_classifier(study, study.trial(0), tracker)
        assert str(refused.value).endswith(remedy)
        assert refused.value.exit_code == 1
        return str(refused.value)

    changed = change(path)
    assert f"run {run_id} has others, of digest {changed.digest[:12]}" in refusal()
    path.write_bytes(b"not an archive")
    assert "are gone: " in refusal()
    path.unlink()
    assert f"run {run_id} has no classifier/classifier.npz" in refusal()
    tracker.client.delete_run(run_id)
    assert "no run in MLflow has them" in refusal()


def test_lost_weights_are_replaced_by_a_reproduction_of_the_trial(
    study, mirror, tracker, tiny_data
):
    trial = study.trial(0)
    tracker.client.delete_run(mirror.run_id(trial_key(study, 0)))
    reproduce_trial(study, trial, tiny_data, tracker, tolerance=0.0)
    assert fetch_classifier(study, trial, tracker).digest == trial.weights_digest


def test_the_best_trial_is_registered_once_and_a_better_one_takes_over(
    study, mirror, search, tiny_data
):
    assert register_champion(study, mirror) == "models:/tiny-softmax@champion"
    best = best_trial(study.config, study.trials())
    assert champion_run(mirror.tracker, "tiny-softmax") == mirror.run_id(
        trial_key(study, best.number)
    )
    assert register_champion(study, mirror) is None  # it is there
    search(study, tiny_data, 12)
    better = best_trial(study.config, study.trials())
    assert better.number != best.number
    mirror.update(trial_state(study, better, tiny_data))
    assert register_champion(study, mirror) is not None
    run_id = mirror.run_id(trial_key(study, better.number))
    assert champion_run(mirror.tracker, "tiny-softmax") == run_id


def test_a_study_without_a_complete_trial_or_a_run_has_nothing_to_register(
    make_study, make_config, searched, mirror
):
    assert register_champion(searched, mirror) is None  # MLflow has no run of it
    assert register_champion(make_study(make_config(study="empty")), mirror) is None
