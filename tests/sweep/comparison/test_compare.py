import json
import math
import shutil

import numpy as np
import pytest

from sweep.comparison.compare import compare, differences_of, stored_comparison
from sweep.comparison.figures import FIGURES
from sweep.errors import StoreUnreachableError, SweepError
from sweep.study import attributes
from sweep.study.champion import fetch_classifier
from sweep.study.confirmation import Confirmation, Confirmed
from sweep.study.material import reopen_source
from sweep.study.opening import load_study
from sweep.study.passes import Budget
from sweep.study.results import chosen_trial
from sweep.study.sealed_test import evaluate_on_test_rows
from sweep.study.storage import create_storage
from sweep.tracking.tracker import Tracker

NAMES = ("tiny-softmax", "tiny-bce")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return where the stores of two trained studies are kept once the first test made them."""
    return tmp_path_factory.mktemp("trained") / "mlruns"


@pytest.fixture
def studies(tiny_study, trained, no_figures, monkeypatch):
    """Return a softmax and a bce study of three trials each, for each test anew."""
    del no_figures
    monkeypatch.setattr("sweep.comparison.run.FIGURES", {})
    if trained.exists():
        shutil.copytree(trained, "mlruns", dirs_exist_ok=True)
        return [load_study(name, create_storage()) for name in NAMES]
    loops = [tiny_study(loss=name.removeprefix("tiny-"), study_name=name) for name in NAMES]
    for loop in loops:
        loop.run(Budget(3))
    shutil.copytree("mlruns", trained)
    return [loop.study for loop in loops]


@pytest.fixture
def tracker(studies):
    return Tracker(studies[0].settings.data.name)


@pytest.fixture
def source(studies):
    return reopen_source(studies[0].settings.data)


@pytest.fixture
def comparison(studies, source, tracker):
    return compare(studies, source, tracker)


def test_every_number_is_that_of_the_chosen_trials_own_weights(
    comparison, studies, source, tracker
):
    rows = source.test()
    for study, answers in zip(studies, comparison.answers, strict=True):
        trial = chosen_trial(study)
        classifier = fetch_classifier(study, trial, tracker)
        held_out = evaluate_on_test_rows(classifier, source)
        assert (answers.study, answers.trial) == (study.name, trial.number)
        assert answers.weights_digest == classifier.digest
        assert (answers.test.value, answers.test.low, answers.test.high) == (
            held_out.accuracy,
            held_out.low,
            held_out.high,
        )
        predicted = classifier.predict(rows.rows)
        for i, counts in enumerate(answers.confusion):
            assert counts == [
                int(((rows.labels == i) & (predicted == j)).sum()) for j in range(len(counts))
            ]
        assert answers.train_accuracy == trial.user_attrs[attributes.CURVES]["train/accuracy"][-1]
        assert answers.val.value == trial.user_attrs[attributes.CURVES]["val/accuracy"][-1]


def test_the_pair_is_compared_row_by_row(comparison, studies, source, tracker):
    rows = source.test()
    right = [
        fetch_classifier(study, chosen_trial(study), tracker).predict(rows.rows) == rows.labels
        for study in studies
    ]
    (difference,) = comparison.differences
    assert difference.paired.first_only == (right[0] & ~right[1]).sum()
    assert difference.paired.second_only == (right[1] & ~right[0]).sum()
    assert difference.paired.rows == comparison.test_rows == len(rows.labels)


def test_a_confirmed_setting_comes_with_its_mean_on_fresh_seeds(studies, source, tracker):
    number = chosen_trial(studies[0]).number
    confirmed = Confirmed(trial=number, search=0.9, values=[0.5, 0.6, 0.7])
    confirmation = Confirmation(
        metric="val/accuracy",
        direction="maximize",
        epochs=2,
        seeds=[1, 2, 3],
        finished=3,
        trials=[confirmed],
        baseline=Confirmed(trial=-1, search=math.nan, values=[0.5, 0.5, 0.5]),
    )
    studies[0].optuna.set_user_attr(attributes.CONFIRMATION, confirmation.record())
    first, second = compare(studies, source, tracker).answers
    assert (first.seeds, first.confirmed_mean) == (3, pytest.approx(0.6))
    assert first.confirmed_error == confirmed.standard_error
    assert first.grounds == "confirmed on 3 fresh seeds"
    assert (second.seeds, second.confirmed_mean, second.confirmed_error) == (0, None, None)


def test_a_bce_has_its_sigmoids_normalised_too(comparison):
    softmax, bce = comparison.answers
    assert [each.name for each in softmax.outputs] == ["softmax"]
    assert [each.name for each in bce.outputs] == ["sigmoid", "sigmoid, normalised"]


def test_the_openings_of_the_test_rows_are_counted_for_each_study(studies, source, tracker):
    assert [each.openings for each in compare(studies, source, tracker).answers] == [1, 1]
    assert [each.openings for each in compare(studies, source, tracker).answers] == [2, 2]
    for study in studies:
        assert len(study.optuna.user_attrs[attributes.TEST_OPENINGS]) == 2


def test_the_run_has_metrics_parameters_figures_and_the_record(comparison, studies, tracker):
    (run,) = tracker.runs(role="compare")
    assert (run.info.run_id, run.info.status) == (comparison.run_id, "FINISHED")
    metrics, tags = run.data.metrics, run.data.tags
    for answers in comparison.answers:
        assert metrics[f"test_accuracy/{answers.study}"] == answers.test.value
        assert metrics[f"train_test_gap/{answers.study}"] == pytest.approx(answers.gap)
        assert run.data.params[f"{answers.study}.trial"] == str(answers.trial)
        assert float(run.data.params[f"{answers.study}.l2"]) == answers.setting["l2"]
        points = tracker.client.get_metric_history(
            comparison.run_id, f"expected_best/{answers.study}"
        )
        assert [(point.step, point.value) for point in points] == list(
            enumerate(answers.search.best_of.expected, start=1)
        )
    assert metrics["p_value/tiny-softmax-vs-tiny-bce"] == comparison.differences[0].p_value
    assert "calibration_error_sigmoid_normalised/tiny-bce" in metrics
    assert tags["sweep.sentence"] == comparison.sentence
    assert tags["sweep.studies"] == "tiny-softmax, tiny-bce"
    assert tags["sweep.test_digest"] == comparison.test_digest
    assert tags["mlflow.note.content"].startswith(comparison.sentence)
    assert kept_record(comparison, tracker) == json.loads(json.dumps(comparison.record()))
    assert not tracker.runs(role="compare", **studies[0].tags)  # it is no study's own


def kept_record(comparison, tracker):
    from mlflow.artifacts import load_dict

    uri = tracker.client.get_run(comparison.run_id).info.artifact_uri
    return load_dict(f"{uri}/comparison/comparison.json")


def test_every_figure_is_logged(source, tracker, studies, monkeypatch):
    drawn = []
    monkeypatch.setattr("sweep.comparison.run.FIGURES", FIGURES)
    monkeypatch.setattr("sweep.tracking.run.Run.figure", lambda _, __, path: drawn.append(path))
    compare(studies, source, tracker)
    assert drawn == [f"figures/{name}.png" for name in FIGURES]


def test_a_comparison_is_found_again_in_any_order(comparison, studies):
    again = [load_study(study.name, study.storage) for study in reversed(studies)]
    assert stored_comparison(again) == comparison


def test_the_last_comparison_counts(comparison, studies, source, tracker):
    later = compare(studies, source, tracker)
    assert stored_comparison(studies) == later != comparison


def test_no_comparison_is_found_before_one_was_made(studies):
    assert stored_comparison(studies) is None
    assert stored_comparison([]) is None


def test_a_comparison_of_other_studies_is_not_found(comparison, studies):
    del comparison
    assert stored_comparison(studies[:1]) is None


def test_a_comparison_is_out_of_date_once_another_trial_is_the_chosen_one(
    comparison, studies, monkeypatch
):
    assert stored_comparison(studies) == comparison
    others = {study.name: study.trials()[chosen_trial(study).number - 1] for study in studies}
    monkeypatch.setattr("sweep.comparison.compare.find_chosen", lambda study: others[study.name])
    assert stored_comparison(studies) is None


def test_where_weights_are_gone_nothing_is_opened(studies, source, tracker):
    number = chosen_trial(studies[1]).number
    (run,) = tracker.runs(role="trial", trial=number, **studies[1].tags)
    tracker.client.delete_run(run.info.run_id)
    with pytest.raises(SweepError, match=r"of 'tiny-bce': the weights .* are gone"):
        compare(studies, source, tracker)
    for study in studies:
        assert attributes.TEST_OPENINGS not in study.optuna.user_attrs
    assert not tracker.runs(role="compare")


def test_where_there_are_no_test_rows_nothing_is_begun(studies, tracker, tiny_npz, tmp_path):
    from sweep.data import open_source

    with np.load(tiny_npz) as whole:
        np.savez(tmp_path / "bare.npz", X=whole["X"], y=whole["y"])
    with pytest.raises(SweepError, match="holds no test rows"):
        compare(studies, open_source(str(tmp_path / "bare.npz")), tracker)
    assert not tracker.runs(role="compare")


def test_a_study_without_a_complete_trial_is_refused(studies, source, tracker, tiny_study):
    empty = tiny_study(study_name="empty").study
    with pytest.raises(SweepError, match="'empty' has no complete trial yet"):
        compare([*studies, empty], source, tracker)
    assert not tracker.runs(role="compare")


def test_a_run_that_breaks_off_is_ended_as_failed(studies, source, tracker, monkeypatch):
    def fail(*_):
        raise StoreUnreachableError("gone")

    monkeypatch.setattr("sweep.comparison.compare.log_comparison", fail)
    with pytest.raises(StoreUnreachableError):
        compare(studies, source, tracker)
    (run,) = tracker.runs(role="compare")
    assert run.info.status == "FAILED"
    assert stored_comparison(studies) is None


def test_three_studies_are_compared_in_every_pair(studies, source, tracker, tiny_study):
    third = tiny_study(study_name="third", seed=5)
    third.run(Budget(2))
    found = compare([*studies, third.study], source, tracker)
    assert [(each.first, each.second) for each in found.differences] == [
        ("tiny-softmax", "tiny-bce"),
        ("tiny-softmax", "third"),
        ("tiny-bce", "third"),
    ]
    assert "finished trials 3 -> 2" in " ".join(found.cautions)


def test_all_pairs_hold_together():
    rng = np.random.default_rng(1)
    right = {name: rng.random(400) < share for name, share in (("a", 0.7), ("b", 0.6), ("c", 0.6))}
    found = differences_of(right)
    assert {round(each.paired.level, 6) for each in found} == {round(1 - 0.05 / 3, 6)}
    for each in found:
        assert each.paired.p_value <= each.p_value <= min(1, 3 * each.paired.p_value)
    (alone,) = differences_of({name: right[name] for name in "ab"})
    assert alone.paired.level == 0.95
    assert alone.p_value == alone.paired.p_value
    assert found[0].paired.high - found[0].paired.low > alone.paired.high - alone.paired.low
