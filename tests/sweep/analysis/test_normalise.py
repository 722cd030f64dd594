"""Studies in which a trial chooses how its rows are normalised, and studies of another one."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler, normalize

import sweep
from sweep import Objective, import_study, load_data, open_study
from sweep.analysis import importances, overview_figures, run_study
from sweep.analysis.confirm import train_in_full
from sweep.analysis.runs import in_full
from sweep.archive.load import STUDY, TRIALS
from sweep.config import NORMALISATIONS
from sweep.data import open_source
from sweep.data.dataset import SAMPLE, split_rows, stratified_folds, stratified_sample
from sweep.doctor.agreement import compare
from sweep.errors import SweepError
from sweep.search import (
    Interrupts,
    Listener,
    Status,
    TrainingLog,
    TrialRecord,
    begin_study,
    create_storage,
    train_alone,
    training_of,
)
from sweep.search_space import BASELINES
from sweep.timings import Timings
from sweep.tracking import Mirror, Tracker
from sweep_model.losses import LOSSES
from sweep_model.reference import train
from sweep_model.training import Rows

ALL = ",".join(NORMALISATIONS)


@pytest.fixture(scope="module")
def study(tmp_path_factory, furnish, plan_tiny):
    """Return a finished study of six trials among the three normalisations, MLflow and all.

    Whatever a test does with it later, its trials stay what they are.
    """
    workspace = furnish(tmp_path_factory.mktemp("choosing"))
    plan = plan_tiny(workspace, normalise=("none", "unit", "standardise"))
    mirror = Mirror(Tracker("tiny", workspace))
    run_study(
        *plan.settle(),
        workspace,
        mirror,
        trials=6,
        workers=1,
        listener=Listener(),
        timings=Timings(),
    )
    return open_study("tiny-softmax", folder=workspace)


@pytest.fixture
def searched(workspace, plan_tiny, search):
    """Return a function that runs a study without MLflow; and its rows."""

    def make(trials, **changes):
        config, data = plan_tiny(workspace, trials, **changes).settle()
        record = begin_study(config, create_storage(workspace), workspace)
        return search(record, data, trials), data

    return make


def normalised(rows, fitted, normalise):
    """Return rows as scikit-learn normalises them, fitted to some."""
    if normalise == "standardise":
        return StandardScaler().fit(fitted).transform(rows)
    return rows if normalise == "none" else normalize(rows) * rows.shape[1] ** 0.5


def reference(config, trial, numbers, tiny_npz, held=None, **changes):
    """Train a trial plainly on these rows; return its weights and bias."""
    dataset = open_source(str(tiny_npz)).development()
    numbers = numbers[np.concatenate(stratified_sample(dataset.labels[numbers], SAMPLE))]
    given = dataset.rows.astype(np.float64)
    rows = normalised(given, given[numbers], config.normalise_of(trial.params))
    training = replace(training_of(config, trial, None), **changes)
    if held is not None:
        training = replace(training, row_weights=(held[numbers] == 0).astype(np.float64))
    *_, (_, weights, bias) = train(
        Rows(rows[numbers].astype(np.float32), dataset.labels[numbers]),
        {},
        training,
        loss=LOSSES["softmax"],
        classes=3,
    )
    return weights, bias


def first_of_each(study):
    trials = study.record.trials()
    return [
        next(t for t in trials if study.config.normalise_of(t.params) == way)
        for way in NORMALISATIONS
    ]


def assert_close(classifier, weights, bias):
    np.testing.assert_allclose(classifier.weights, weights, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(classifier.bias, bias, rtol=1e-3, atol=1e-5)


def test_a_trial_of_each_is_what_the_reference_makes_of_rows_that_scikit_learn_normalised(
    study, tiny_npz
):
    source = open_source(str(tiny_npz))
    split = split_rows(source, source.development())
    test, labels = source.test().rows, source.test().labels
    fitted = source.development().rows[split.train].astype(np.float64)
    for trial in first_of_each(study):
        weights, bias = reference(study.config, trial, split.train, tiny_npz)
        classifier = study.classifier(trial.number)
        assert_close(classifier, weights, bias)
        rows = normalised(test.astype(np.float64), fitted, trial.params["normalise"])
        scores = rows @ weights.T + bias  # it normalises raw rows itself
        np.testing.assert_allclose(classifier.scores(test), scores, rtol=1e-3, atol=1e-4)
        assert (classifier.predict(test) == labels).mean() == (scores.argmax(1) == labels).mean()


def test_the_choice_stands_wherever_a_setting_does(study, tmp_path, tiny_npz):
    record, trial = study.record, study.best
    assert (study.config.data.normalise, str(study.config.space.axes["normalise"])) == (ALL, ALL)
    assert list(trial.params)[-1] == "normalise"
    assert set(study.trials()["normalise"]) == set(NORMALISATIONS)
    assert {each.params["normalise"] for each in record.optuna.trials} == set(NORMALISATIONS)
    for each in record.trials():
        (run,) = study.tracker.runs(role="trial", trial=each.number)
        assert run.data.params["normalise"] == each.params["normalise"]
    (run,) = study.tracker.runs(role="study")
    assert (run.data.params["normalise"], run.data.params["space.normalise"]) == (ALL, ALL)
    assert (
        f"| normalise&emsp; | {', '.join(NORMALISATIONS)}" in run.data.tags["mlflow.note.content"]
    )
    assert compare(record, study.tracker) == []
    assert "one of 3" in study.report(tmp_path / "report.md").read_text("utf-8")
    exported = study.export(tmp_path / "study.zip")
    imported = import_study(exported.file, name="again", data=tiny_npz, folder=tmp_path)
    assert imported.config.differences(study.config) == []
    assert [t.params for t in imported.record.trials()] == [t.params for t in record.trials()]
    assert imported.reproduce().matches == "bit for bit"


def test_commands_train_a_trial_on_its_own_rows(study, tmp_path, tiny_npz):
    for trial in first_of_each(study):
        assert study.reproduce(trial.number).matches == "bit for bit"
    source = open_source(str(tiny_npz))
    dataset = source.development()
    split, every = split_rows(source, dataset), np.arange(len(dataset.rows))
    confirmed = {each.trial: each.values for each in study.confirm(top=6, seeds=2).trials}
    for trial in first_of_each(study):
        seed, fitted = study.config.fresh_seed(1), dataset.rows[split.train].astype(np.float64)
        weights, bias = reference(study.config, trial, split.train, tiny_npz, seed=seed)
        rows = normalised(dataset.rows[split.val], fitted, trial.params["normalise"])
        right = (rows @ weights.T + bias).argmax(axis=1) == dataset.labels[split.val]
        assert confirmed[trial.number][1] == pytest.approx(right.mean())
    assert study.test(refit=True).rows == 9
    assert_close(study.classifier(), *reference(study.config, study.best, every, tiny_npz))
    np.save(tmp_path / "rows.npy", dataset.rows)
    assert study.predict(tmp_path / "rows.npy", tmp_path / "out.csv") == 90


def test_a_pruned_winner_is_trained_to_its_end_on_its_own_rows(searched):
    record, data = searched(8, epochs=6, pruner="halving", sampler="tpe", normalise="unit,none")
    pruned = [trial for trial in record.trials() if trial.status == Status.PRUNED]
    for way in ("unit", "none"):
        trial = next(each for each in pruned if each.params["normalise"] == way)
        train_in_full(record, trial, data, Interrupts())
        whole = in_full(record, trial)
        assert whole.curves["val/loss"][: trial.epochs] == trial.curves["val/loss"]


def test_folds_train_each_trial_on_its_own_rows(plan_tiny, workspace, tiny_npz):
    config, data = plan_tiny(workspace, folds=3, normalise=ALL).settle()
    dataset = open_source(str(tiny_npz)).development()
    every, folds = np.arange(90), stratified_folds(dataset, 3, 0)
    for number, way in enumerate(NORMALISATIONS):
        params = config.space.clip(BASELINES["softmax"]) | {"normalise": way}
        trial = TrialRecord(number=number, index=number, params=params, first_pass=number)
        log = TrainingLog.begun(training_of(config, trial, data), data, "softmax")
        trained = train_alone(config, trial, log, Interrupts(), unfinished="")
        found = [
            reference(config, trial, every, tiny_npz, held=(folds == fold)) for fold in range(3)
        ]
        mean = [np.mean(each, axis=0) for each in zip(*found, strict=True)]
        assert_close(trained.classifier, *mean)


def test_folds_and_refits_of_unit_rows_are_the_references(run_tiny, workspace, tiny_npz):
    run_tiny(trials=2, folds=3, normalise=("unit",))
    study = open_study("tiny-softmax", folder=workspace)
    trial = study.best
    assert "normalise" not in {*trial.params, *study.config.space.axes}
    (run, _) = study.tracker.runs(role="trial")
    assert "normalise" not in run.data.params
    dataset = open_source(str(tiny_npz)).development()
    every, folds = np.arange(90), stratified_folds(dataset, 3, 0)
    found = [
        reference(study.config, trial, every, tiny_npz, held=(folds == fold)) for fold in range(3)
    ]
    assert_close(study.classifier(), *[np.mean(each, axis=0) for each in zip(*found, strict=True)])
    assert study.reproduce().matches == "bit for bit"
    study.test(refit=True)
    assert study.classifier().standardiser.unit
    assert_close(study.classifier(), *reference(study.config, trial, every, tiny_npz))


def test_what_is_said_of_the_space_has_the_choice_among_its_axes(searched):
    record, _ = searched(12, normalise=("standardise", "none"))
    ranking = importances(record)
    assert set(ranking.shares) == set(record.config.space.varied())
    assert "normalise" in ranking.shares
    for figure in overview_figures(record.config, record.trials(), None, ranking).values():
        figure.canvas.draw()


def test_a_study_goes_on_with_what_it_chose_among_and_no_other(study, plan_tiny):
    workspace = study.record.workspace
    again, _ = plan_tiny(workspace, study="tiny-softmax").settle()
    assert again.differences(study.config) == []
    with pytest.raises(SweepError, match=f"normalise {ALL} -> unit; go on"):
        plan_tiny(workspace, normalise="unit").settle()
    like, _ = plan_tiny(workspace, study="b", like="tiny-softmax").settle()
    assert like.data.normalise == ALL
    other, _ = plan_tiny(workspace, study="b", like="tiny-softmax", normalise="unit,none").settle()
    assert str(other.space.axes["normalise"]) == "unit,none"
    same, _ = plan_tiny(workspace, study="b", axes=study.config.space.axes).settle()
    assert same.data.normalise == ALL


def test_an_unknown_one_is_refused_before_anything_is_written(tmp_path, tiny_npz):
    for bad in ("cosine", "unit,unit", "", (), ("unit", 3), 3, "unit,"):
        with pytest.raises(SweepError, match="normalise must be one of standardise, unit, none: g"):
            sweep.run("a", data=tiny_npz, normalise=bad, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_objective_chooses_among_rows_that_were_loaded_in_several_ways(tiny_npz):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = load_data(tiny_npz, normalise=("standardise", "none"))
    study = optuna.create_study(direction="maximize")
    fixed = {"l2": 0.1, "learning_rate": 0.01, "decay_period": 2, "batch_size": 50}
    for way in ("none", "standardise"):
        study.enqueue_trial(fixed | {"flip_probability": 0.0, "normalise": way})
    study.optimize(Objective(rows, epochs=1), n_trials=2)
    alone = Objective(load_data(tiny_npz, normalise="none"), epochs=1)
    assert "normalise" not in alone.space.axes
    raw = optuna.create_study(direction="maximize")
    raw.enqueue_trial(fixed | {"flip_probability": 0.0})
    raw.optimize(alone, n_trials=1)
    assert study.trials[0].value == raw.trials[0].value
    assert study.trials[1].params["normalise"] == "standardise"


def test_an_archive_with_another_choice_is_refused(study, tmp_path):
    import zipfile

    from sweep.archive import read_archive

    exported = study.export(tmp_path / "study.zip").file
    with zipfile.ZipFile(exported) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = next(csv.reader([members[TRIALS].decode().splitlines()[0]]))
    assert "normalise" in head
    for change in ("raw", 3, None):
        record = json.loads(members[STUDY])
        if change is None:
            del record["trials"][1]["params"]["normalise"]
        else:
            record["trials"][1]["params"]["normalise"] = change
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
            for name, content in members.items():
                archive.writestr(name, json.dumps(record) if name == STUDY else content)
        with pytest.raises(SweepError, match=r"study\.json: trials?.*normalise"):
            read_archive(tmp_path / "bad.zip")
