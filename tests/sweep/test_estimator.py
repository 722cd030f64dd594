"""`SweepClassifier`: scikit-learn's own checks, and the bits of the study that it runs."""

import pickle
import subprocess
import sys
import tempfile
from copy import deepcopy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import sweep
from sweep import SweepClassifier
from sweep_model.classifier import LinearClassifier
from sweep_model.losses import BCE

SHORT = {"trials": 3, "epochs": 10, "workers": 1}


@pytest.fixture(scope="module")
def blobs():
    """Return 120 rows of 4 features and their labels, words of three classes."""
    rows, labels = make_blobs(120, 4, centers=3, cluster_std=3.0, random_state=0)
    return 10 + 5 * rows, np.array(["owl", "ant", "cat"])[labels]


@pytest.fixture(scope="module")
def two(blobs):
    rows, labels = blobs
    return rows[labels != "ant"], labels[labels != "ant"]


@parametrize_with_checks([SweepClassifier(**SHORT), SweepClassifier(**SHORT, loss="bce")])
@pytest.mark.filterwarnings("ignore")  # which the checks look at where they matter
def test_scikit_learns_own_checks_hold(estimator, check):
    check(estimator)


@pytest.mark.usefixtures("in_workspace")
def test_weights_are_those_of_the_study_on_the_command_line(invoke, blobs, tmp_path):
    rows, labels = blobs
    np.savez(tmp_path / "arrays.npz", X=rows, y=labels)
    many = {
        "loss": "bce",
        "folds": 3,
        "class_weight": {"owl": 2, "cat": 0.1},
        "normalise": "unit",
        "space": {"batch_size": [20, 40]},
        "seed": 7,
    }
    other = "--loss bce --folds 3 --class-weight 1,0.1,2 --objective val-weighted-accuracy"
    for name, options, words in (
        ("one", {"val_size": 30}, "--val-size 30"),
        ("many", many, f"{other} --normalise unit --set batch_size=20,40 --seed 7"),
        ("ways", {"normalise": ("unit", "none")}, "--normalise unit,none"),
    ):
        fitted = SweepClassifier(**SHORT, **options).fit(rows, labels)
        command = f"run {name} --data {tmp_path / 'arrays.npz'} --trials 3 --epochs 10 {words}"
        assert invoke(*command.split()).exit_code == 0
        study = sweep.open_study(name)
        assert fitted.classifier_.digest == study.classifier().digest
        assert (fitted.best_trial_, fitted.best_params_) == (study.best.number, study.best.params)
        assert fitted.best_score_ == study.best.last(study.config.metric)
        assert fitted.trials_.equals(study.trials())
        assert fitted.classifier_.class_names == ("ant", "cat", "owl")


def test_a_study_in_a_folder_is_there_afterwards_and_is_the_same(workspace, two):
    rows, labels = two[0], np.where(two[1] == "owl", 2.0, 1.0)
    kept = SweepClassifier(**SHORT, folder=workspace.root, study="probe").fit(rows, labels)
    apart = SweepClassifier(**SHORT).fit(rows, labels)
    assert kept.classifier_.digest == apart.classifier_.digest
    study = sweep.open_study("probe", data=(rows, labels), folder=workspace.root)
    assert study.trials().equals(kept.trials_)
    assert study.reproduce().holds
    assert len(kept.set_params(trials=4).fit(rows, labels).trials_) == 4
    with pytest.raises(sweep.SweepError, match="data digest"):
        kept.fit(rows[:-1], labels[:-1])


def test_nothing_is_left_of_a_study_without_a_folder(blobs, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scratch").mkdir()
    SweepClassifier(**SHORT).fit(*blobs)
    assert [path.name for path in tmp_path.rglob("*")] == ["scratch"]


@pytest.mark.slow
def test_mlflow_is_not_imported_without_a_folder():
    program = f"""
import sys
from sweep import SweepClassifier
SweepClassifier(**{SHORT}).fit([[0.0], [1.0]] * 10, [0, 1] * 10)
print([name for name in ("mlflow", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_coefficients_are_of_the_rows_as_they_are_given(blobs, two):
    for rows, labels in (blobs, two):
        for loss in ("softmax", "bce"):
            for normalise in ("standardise", "none", "unit"):
                fitted = SweepClassifier(**SHORT, loss=loss, normalise=normalise).fit(rows, labels)
                given = rows
                if normalise == "unit":
                    given = rows / np.linalg.norm(rows, axis=1, keepdims=True)
                scores = given @ fitted.coef_.T + fitted.intercept_
                assert np.array_equal(scores.squeeze(), fitted.decision_function(rows))
                own = fitted.classifier_.scores(rows)
                if len(fitted.classes_) == 2:
                    own = own[:, 1:] - own[:, :1]
                    own = own / 2 if loss == "bce" else own
                assert np.allclose(scores, own, atol=1e-3)
                assert np.mean(fitted.predict(rows) == labels) > 0.8


def test_probabilities_are_those_of_the_model_and_add_up_to_1(blobs, two):
    rows, labels = blobs
    softmax, bce = (
        SweepClassifier(**SHORT, loss=loss).fit(rows, labels) for loss in ("softmax", "bce")
    )
    assert np.allclose(
        softmax.predict_proba(rows), softmax.classifier_.probabilities(rows), atol=1e-4
    )
    sigmoids = bce.classifier_.probabilities(rows)
    expected = sigmoids / sigmoids.sum(axis=1, keepdims=True)
    assert np.allclose(bce.predict_proba(rows), expected, atol=1e-4)
    binary = SweepClassifier(**SHORT, loss="bce").fit(*two)
    odds = binary.predict_proba(rows)
    assert np.allclose(np.log(odds[:, 1] / odds[:, 0]), binary.decision_function(rows))


def test_it_takes_part_in_pipelines_and_cross_validation(blobs):
    rows, labels = blobs
    steps = make_pipeline(StandardScaler(), SweepClassifier(**SHORT, class_weight="balanced"))
    scores = cross_val_score(steps, rows, labels, cv=3, scoring="neg_log_loss", error_score="raise")
    assert (scores > -0.6).all()
    grid = GridSearchCV(SweepClassifier(**SHORT), {"loss": ["softmax", "bce"]}, cv=2)
    assert grid.fit(rows, labels).best_estimator_.score(rows, labels) > 0.8


def test_labels_may_be_of_any_kind(two):
    rows, labels = two
    second = labels == "owl"
    expected = SweepClassifier(**SHORT).fit(rows, labels).classifier_.digest
    for given in (
        second,
        np.where(second, 7, -3),
        np.where(second, 2.0, 1.0),
        np.array(["b" * 100 if each else "a\n" for each in second], dtype=object),
        np.where(second, "b", ""),
    ):
        fitted = SweepClassifier(**SHORT).fit(rows, given)
        assert fitted.classifier_.digest == expected
        assert set(fitted.predict(rows)) == set(given)


def test_a_class_of_one_row_trains(two):
    rows, labels = two
    fitted = SweepClassifier(**SHORT).fit(rows, ["yak", *labels[1:]])
    assert fitted.classes_.tolist() == ["cat", "owl", "yak"]
    assert fitted.score(rows[1:], labels[1:]) > 0.8


def test_class_weights_are_ratios_and_decide(two):
    rows, labels = two
    plain, heavy, twice, balanced = (
        SweepClassifier(**SHORT, class_weight=weight).fit(rows, labels)
        for weight in (None, {"owl": 1000}, {"owl": 2000, "cat": 2}, "balanced")
    )
    is_owl, taken = labels == "owl", [each.predict(rows) == "owl" for each in (plain, heavy)]
    assert not taken[0][is_owl].all()
    assert taken[1][is_owl].all()
    assert taken[1].sum() > taken[0].sum()
    assert heavy.classifier_.digest == twice.classifier_.digest
    assert plain.classifier_.digest == balanced.classifier_.digest  # as many of each


def test_rows_that_validate_count_by_the_weights_of_their_classes(blobs):
    rows, labels = blobs
    weights = {"ant": 1, "cat": 5, "owl": 0.2}
    fitted = SweepClassifier(**SHORT, val_size=30, class_weight=weights).fit(rows, labels)
    val = sweep.load_data((rows, labels), val_size=30).validation
    scores = val.rows @ fitted.classifier_.weights.T + fitted.classifier_.bias
    right = scores.argmax(axis=1) == val.labels
    counted = np.array([weights[fitted.classes_[label]] for label in val.labels])
    assert fitted.best_score_ == pytest.approx(counted[right].sum() / counted.sum())


def test_a_copy_predicts_the_same(blobs, tmp_path):
    rows, labels = blobs
    fitted = SweepClassifier(**SHORT, loss="bce").fit(rows, labels)
    for copy in (pickle.loads(pickle.dumps(fitted)), deepcopy(fitted)):  # noqa: S301
        assert np.array_equal(copy.predict_proba(rows), fitted.predict_proba(rows))
        assert copy.classifier_.loss == BCE
    fitted.classifier_.save(tmp_path / "model.npz")
    assert LinearClassifier.load(tmp_path / "model.npz").digest == fitted.classifier_.digest
    with pytest.raises(AttributeError):
        clone(fitted).classes_  # noqa: B018


def test_names_of_columns_are_kept(blobs):
    import pandas as pd

    rows, labels = blobs
    table = pd.DataFrame(rows, columns=list("abcd"))
    fitted = SweepClassifier(**SHORT).fit(table, pd.Series(labels))
    assert fitted.feature_names_in_.tolist() == list("abcd")
    assert (
        fitted.classifier_.digest == SweepClassifier(**SHORT).fit(rows, labels).classifier_.digest
    )


def test_small_digits_are_learned_as_the_study_learns_them():
    rows, labels = load_digits(return_X_y=True)
    fitted = SweepClassifier(trials=2, epochs=5, val_size=300).fit(rows[:1000], labels[:1000])
    assert fitted.score(rows[1000:], labels[1000:]) > 0.8


def test_progress_is_shown_where_it_is_asked_for(blobs, capfd):
    SweepClassifier(**SHORT).fit(*blobs)
    assert capfd.readouterr() == ("", "")
    SweepClassifier(**SHORT, verbose=True).fit(*blobs)
    assert "3 of 3 done" in capfd.readouterr().err


def test_what_is_refused_is_one_line(blobs):
    rows, labels = blobs
    for options, error, words in (
        ({"loss": "hinge"}, sweep.SweepError, "loss must be one of"),
        ({"trials": 0}, sweep.SweepError, "trials must be a whole number"),
        ({"class_weight": "heavy"}, sweep.SweepError, "class_weight must be none, balanced"),
        ({"class_weight": {"owl": 0}}, sweep.SweepError, "a number above 0 for each class"),
        ({"class_weight": {"dog": 2, "owl": 1}}, ValueError, "not in class_weight"),
        ({"folds": 100}, sweep.SweepError, "ask for fewer folds"),
    ):
        with pytest.raises(error) as refused:
            SweepClassifier(**SHORT | options).fit(rows, labels)
        assert words in str(refused.value)
    with pytest.raises(ValueError, match="two classes or more: got one class, 'owl'"):
        SweepClassifier(**SHORT).fit(rows, ["owl"] * len(rows))
