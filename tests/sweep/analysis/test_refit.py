import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sweep
from sweep import open_study
from sweep.analysis import fetch_classifier, find_refit, refit
from sweep.data import all_development_rows, open_source
from sweep.errors import SweepError
from sweep.search import training_of
from sweep.search.record import REFITS, TEST_OPENINGS
from sweep.tracking import Tracker
from sweep.tracking.champion import champion_run
from sweep_model.losses import LOSSES
from sweep_model.reference import train
from sweep_model.training import Rows


@pytest.fixture
def study(run_tiny, workspace):
    """Return a finished study of three trials of two epochs in a workspace, MLflow and all."""
    run_tiny(trials=3)
    return open_study("tiny-softmax", folder=workspace)


def test_a_refit_is_what_the_reference_makes_of_all_development_rows(study, tiny_npz):
    result = study.test(refit=True)
    trial = study.best
    ended = find_refit(study.record, trial)
    assert set(ended.curves) == {"train/loss", "train/cost", "train/accuracy"}
    assert not any("val" in name for name in ended.metrics)
    classifier = study.classifier()
    dataset = open_source(str(tiny_npz)).development()
    mean, deviation = dataset.rows.mean(axis=0), dataset.rows.astype(np.float64).std(axis=0)
    np.testing.assert_allclose(classifier.standardiser.mean, mean, rtol=1e-5)
    order = replace_order(dataset)
    rows = ((dataset.rows - mean) / deviation).astype(np.float32)
    training = training_of(study.config, trial, None)
    *_, (_, weights, bias) = train(
        Rows(rows[order], dataset.labels[order]), {}, training, loss=LOSSES["softmax"], classes=3
    )
    np.testing.assert_allclose(classifier.weights, weights, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(classifier.bias, bias, rtol=1e-3, atol=1e-5)
    right = classifier.predict(open_source(str(tiny_npz)).test().rows)
    assert result.accuracy == (right == open_source(str(tiny_npz)).test().labels).mean()


def replace_order(dataset):
    """The order in which rows are held: the sample that curves are of comes first."""
    from sweep.data.dataset import SAMPLE, stratified_sample

    return np.concatenate(stratified_sample(dataset.labels, SAMPLE))


def test_it_is_the_champion_counted_and_not_trained_twice(study, workspace):
    trial, tracker = study.best, Tracker("tiny", workspace)
    before = fetch_classifier(study.record, trial, tracker)
    study.test(refit=True)
    (run,) = tracker.runs(role="refit")
    assert champion_run(tracker, "tiny-softmax") == run.info.run_id
    assert "test/accuracy" in run.data.metrics
    assert study.classifier().digest == run.data.tags["sweep.weights_digest"] != before.digest
    assert study.classifier(trial.number).digest == before.digest
    (opening,) = study.record.attribute(TEST_OPENINGS)
    assert (opening["trial"], opening["refit"]) == (trial.number, True)

    def never():
        raise AssertionError("it is on record")

    assert refit(study.record, trial, never) == find_refit(study.record, trial)
    study.sync()
    assert champion_run(tracker, "tiny-softmax") == run.info.run_id
    study.report(workspace.root / "report.md")
    assert "trained again on training and validation rows" in (
        workspace.root / "report.md"
    ).read_text("utf-8")
    study.export(workspace.root / "study.zip")


def test_data_without_test_rows_get_the_champion_alone(workspace, tmp_path, invoke, monkeypatch):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "bare.npz", X=rng.normal(size=(60, 4)), y=np.arange(60) % 3)
    study = sweep.run("bare", data=tmp_path / "bare.npz", folder=workspace, trials=2, epochs=2)
    with pytest.raises(SweepError, match="holds no test rows"):
        study.test()
    assert study.record.attribute(REFITS) is None
    assert study.test(refit=True) is None
    (run,) = study.tracker.runs(role="refit")
    assert champion_run(study.tracker, "bare") == run.info.run_id
    assert study.classifier().digest == find_refit(study.record, study.best).weights_digest
    assert study.record.attribute(TEST_OPENINGS) is None
    monkeypatch.chdir(workspace.root)
    said = invoke("test", "bare", "--refit")
    assert (said.exit_code, said.stderr) == (0, "")
    assert "not tested, since the data have no test rows" in said.stdout
    assert "That model is the champion now" in said.stdout
    told = json.loads(invoke("test", "bare", "--refit", "--json").stdout)
    assert (told["refit"], told["openings"], told["rows"]) == (True, 0, 0)


def test_a_run_says_that_another_trial_than_the_one_trained_again_is_the_champion(
    study, tiny_npz, invoke, monkeypatch
):
    monkeypatch.chdir(study.record.workspace.root)
    best, data = study.best, study.config.data
    other = next(trial for trial in study.record.trials() if trial.number != best.number)
    rows = all_development_rows(data, open_source(str(tiny_npz)), data.normalise)
    refit(study.record, other, lambda: rows)
    said = invoke("run", study.name).stdout
    (line,) = [line for line in said.splitlines() if line.startswith("champion: ")]
    assert f"trial {best.number} now, no longer trial {other.number}" in line
    assert f"`sweep test {study.name} --refit`" in line
    refit(study.record, best, lambda: rows)
    assert "champion: " not in invoke("run", study.name).stdout


def test_an_archive_has_the_refit_which_is_the_champion_elsewhere(
    study, tmp_path, tiny_npz, furnish
):
    study.test(refit=True)
    study.export(tmp_path / "study.zip")
    (tmp_path / "b").mkdir()
    there = furnish(tmp_path / "b")
    again = sweep.import_study(tmp_path / "study.zip", data=tiny_npz, folder=there)
    assert find_refit(again.record, again.best) == find_refit(study.record, study.best)
    assert again.classifier().digest == study.classifier().digest
    number = study.best.number
    assert again.classifier(number).digest == study.classifier(number).digest
    again.sync()
    (run,) = again.tracker.runs(role="refit")
    assert champion_run(again.tracker, "tiny-softmax") == run.info.run_id
    with zipfile.ZipFile(tmp_path / "study.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    record = json.loads(members["study.json"])
    for changes, says in (
        ({"refit.npz": None}, "it lacks refit.npz"),
        ({"refit.npz": members["model.npz"]}, "refit.npz is not the model that trial"),
        ({"refit": None}, "it holds refit.npz, and no trial is complete on all rows"),
        ({"refit": record["refit"] | {"index": 7}}, "refit must be trial"),
        ({"refit": record["trials"][0]}, "curves must be of train/"),
    ):
        files = {name: part for name, part in changes.items() if name == "refit.npz"}
        if not files:
            files = {"study.json": json.dumps(record | changes)}
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
            for name, content in (members | files).items():
                if content is not None:
                    archive.writestr(name, content)
        with pytest.raises(SweepError, match=says):
            sweep.import_study(tmp_path / "bad.zip", name="c", data=tiny_npz, folder=there)


def test_one_that_diverges_is_refused_and_leaves_nothing(study, tiny_npz):
    trial = replace(study.best, params={**study.best.params, "learning_rate": 1e30, "l2": 1.0})
    data = study.config.data
    rows = all_development_rows(data, open_source(str(tiny_npz)), data.normalise)
    with pytest.raises(SweepError, match=r"diverged in epoch 1.*`sweep test tiny-softmax`"):
        refit(study.record, trial, lambda: rows)
    assert study.record.attribute(REFITS) is None


def test_predictions_are_those_of_the_classifier(study, tmp_path, tiny_npz):
    rows = np.load(tiny_npz)["X_test"]
    np.save(tmp_path / "rows.npy", rows)
    classifier = study.classifier()
    for file in (tmp_path / "rows.npy", tiny_npz):
        for out in ("out.npz", "out.csv"):
            given = rows if file.suffix == ".npy" else np.load(tiny_npz)["X"]
            assert study.predict(file, tmp_path / out) == len(given)
            expected = classifier.probabilities(given)
            if out.endswith("npz"):
                with np.load(tmp_path / out) as found:
                    np.testing.assert_array_equal(found["probabilities"], expected)
                    labels = found["labels"].tolist()
            else:
                head, *lines = (tmp_path / out).read_text().splitlines()
                assert head == "label,0,1,2"
                labels = [line.split(",")[0] for line in lines]
                found = np.array([line.split(",")[1:] for line in lines], np.float32)
                np.testing.assert_array_equal(found, expected)
            assert labels == [str(label) for label in classifier.predict(given)]


def test_rows_to_predict_lie_in_any_file_that_a_study_is_of_and_labels_are_ignored(
    study, tmp_path, tiny_npz
):
    rows, labels = np.load(tiny_npz)["X"], np.load(tiny_npz)["y"]
    expected = study.classifier().probabilities(rows)
    columns = {f"f{number}": rows[:, number] for number in range(4)}
    (tmp_path / "parts").mkdir()
    np.save(tmp_path / "parts" / "part-0.npy", rows[:50])
    np.save(tmp_path / "parts" / "part-1.npy", rows[50:])
    np.savez(tmp_path / "named.npz", features=rows, y=labels.astype(str))
    header = {"X": {"dtype": "F32", "shape": rows.shape, "data_offsets": [0, rows.nbytes]}}
    head = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(
        len(head).to_bytes(8, "little") + head + rows.astype("<f4").tobytes()
    )
    table = pd.DataFrame(columns)
    table.assign(species=labels).to_parquet(tmp_path / "a.parquet")
    table.assign(note="text").to_csv(tmp_path / "a.csv", index=False)
    for name, parts in (
        ("parts", {}),
        ("named.npz", {"names": {"X": "features"}}),
        ("a.safetensors", {}),
        ("a.parquet", {"label": "species"}),
        ("a.csv", {}),
    ):
        file = sweep.DataFiles(str(tmp_path / name), **parts)
        assert study.predict(file, tmp_path / "out.npz") == 90
        with np.load(tmp_path / "out.npz") as found:
            np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-6)
    with pytest.raises(SweepError, match=r"must hold X: got features, y; --map X=NAME names it"):
        study.predict(tmp_path / "named.npz", tmp_path / "out.npz")
    with pytest.raises(SweepError, match=r"\(n, 4\), got shape \(90, 5\)"):
        study.predict(tmp_path / "a.parquet", tmp_path / "out.npz")


def test_the_studys_own_names_and_label_are_known(workspace, tmp_path, tiny_npz):
    rows, labels = np.load(tiny_npz)["X"], np.load(tiny_npz)["y"]
    table = pd.DataFrame(rows, columns=list("abcd")).assign(species=labels)
    table.to_csv(tmp_path / "rows.csv", index=False)
    np.savez(tmp_path / "named.npz", features=rows, y=labels)
    for name, parts in (
        ("rows.csv", {"label": "species"}),
        ("named.npz", {"names": {"X": "features"}}),
    ):
        data = sweep.DataFiles(str(tmp_path / name), **parts)
        options = {"trials": 1, "epochs": 1, "val_size": 18}
        study = sweep.run(Path(name).stem, data=data, folder=workspace, **options)
        assert study.predict(tmp_path / name, tmp_path / "out.csv") == 90
        assert study.predict(tiny_npz, tmp_path / "out.csv") == 90


def test_columns_are_taken_by_name_while_the_studys_table_is_there(workspace, tmp_path, tiny_npz):
    rows, labels = np.load(tiny_npz)["X"].astype(float), np.load(tiny_npz)["y"]
    table = pd.DataFrame(rows, columns=list("abcd")).assign(species=labels)
    table.to_csv(tmp_path / "rows.csv", index=False)
    table[list("dcba")].to_parquet(tmp_path / "turned.parquet")
    table.assign(e=1).to_csv(tmp_path / "more.csv", index=False)
    table.drop(columns="b").to_csv(tmp_path / "fewer.csv", index=False)
    table.rename(columns={"c": "z"}).to_csv(tmp_path / "other.csv", index=False)
    data = sweep.DataFiles(str(tmp_path / "rows.csv"), label="species")
    study = sweep.run("named", data=data, folder=workspace, trials=1, epochs=1, val_size=18)
    out, turned = tmp_path / "out.npz", rows[:, ::-1]
    classifier = study.classifier()

    def predicted():
        study.predict(tmp_path / "turned.parquet", out)
        with np.load(out) as found:
            return found["probabilities"]

    np.testing.assert_array_equal(predicted(), classifier.probabilities(rows))
    out.unlink()
    for name, said in (
        ("more.csv", "must have no columns but those of the study: got one called e; leave"),
        ("fewer.csv", "must have the columns that the study was trained on: got none called b; ad"),
        ("other.csv", "must have the columns that the study was trained on: got none called c; ad"),
    ):
        with pytest.raises(SweepError, match=said):
            study.predict(tmp_path / name, out)
        assert not out.exists()
    table[["d", "a", "b", "c", "species"]].to_csv(tmp_path / "rows.csv", index=False)
    np.testing.assert_array_equal(predicted(), classifier.probabilities(turned))  # another table
    (tmp_path / "rows.csv").unlink()
    np.testing.assert_array_equal(predicted(), classifier.probabilities(turned))


def test_predictions_never_replace_the_rows(study, tmp_path, tiny_npz):
    (tmp_path / "link.npz").symlink_to(tiny_npz)
    before = tiny_npz.read_bytes()
    for file, out in ((tiny_npz, tiny_npz), (tmp_path / "link.npz", tiny_npz), (tiny_npz, "link")):
        with pytest.raises(SweepError, match="--out must not be the file of the rows: got "):
            study.predict(file, tmp_path / "link.npz" if out == "link" else out)
    assert tiny_npz.read_bytes() == before


def test_rows_that_the_model_does_not_take_get_a_line_and_leave_no_file(study, tmp_path):
    np.save(tmp_path / "wide.npy", np.zeros((3, 9)))
    np.save(tmp_path / "huge.npy", np.array([[0, 0, 0, 0], [0, 1e300, 0, -1e300]]))
    np.save(tmp_path / "objects.npy", np.array([{}, 3], object))
    np.savez(tmp_path / "nameless.npz", features=np.zeros((3, 4)))
    (tmp_path / "torn.npz").write_bytes(b"PK")
    for name, out, says in (
        ("wide.npy", "out.csv", r"rows must be \(n, 4\), got shape \(3, 9\)"),
        ("huge.npy", "out.csv", r"1 of 2 rows are not, the first in row 1: 1e\+300 is its largest"),
        ("objects.npy", "out.csv", "objects.npy"),
        ("nameless.npz", "out.csv", "must hold X"),
        ("torn.npz", "out.csv", "torn.npz"),
        ("missing.npy", "out.csv", "no such file"),
        ("rows.txt", "out.csv", r"digits or a file: \.npz"),
        ("wide.npy", "out.txt", "must end in .csv or .npz"),
    ):
        with pytest.raises(SweepError, match=says):
            study.predict(tmp_path / name, tmp_path / out)
        assert not (tmp_path / out).exists()
