"""Trainings on a few rows of each class, drawn some times."""

import json
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest
from sklearn.metrics import f1_score

from sweep import compare, import_study, open_study
from sweep.cli.run import run
from sweep.config import run_command
from sweep.data import choose_data, open_source, reopen_data
from sweep.data.dataset import Split, prepare, split_rows
from sweep.engine import LocalEngine, open_engine
from sweep.errors import SweepError
from sweep.search import training_of
from sweep.timings import Timings
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES
from sweep_model.reference import train
from sweep_model.training import Rows, Training

DRAWS, SHOTS = 3, 4


@pytest.fixture
def split(image_npz):
    """Return a function that draws few rows of 60 images of three classes."""
    source = open_source(str(image_npz))

    def split(**options):
        given = {"few_shot": SHOTS, "draws": DRAWS, **options}
        return split_rows(source, source.development(), **given)

    return split


@pytest.fixture
def labels(image_npz):
    return open_source(str(image_npz)).development().labels


def test_a_draw_has_as_many_training_rows_of_each_class_and_depends_on_its_number(split, labels):
    drawn = split()
    assert drawn.draws.shape == (DRAWS, 3 * SHOTS)
    for rows in drawn.draws:
        assert labels[rows].tolist() == [0] * SHOTS + [1] * SHOTS + [2] * SHOTS
        assert np.isin(rows, drawn.train).all()
        assert len(set(rows)) == len(rows)
    assert len({tuple(rows) for rows in drawn.draws}) == DRAWS
    more, other = split(draws=5), split(split_seed=1)
    assert np.array_equal(more.draws[:DRAWS], drawn.draws)
    assert not np.array_equal(other.draws, drawn.draws)
    assert len({each.digest for each in (drawn, more, other, split(few_shot=5))}) == 4
    assert len(split(draws=None).draws) == 5
    assert split(few_shot=16).draws.shape == (DRAWS, 48)


def test_what_cannot_be_drawn_is_refused(split):
    for options, says in (
        ({"few_shot": 17}, r"--few-shot 17: images has 16 training rows of class '0'; ask for few"),
        ({"folds": 5}, "--folds 5 does not go with --few-shot 4"),
        ({"few_shot": None}, "--draws 3 goes with --few-shot K"),
        ({"few_shot": 0}, "few_shot must be 1 or more"),
        ({"draws": 1}, "draws from 2 to 100: got 4 and 1"),
    ):
        with pytest.raises(SweepError, match=says):
            split(**options)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_trial_is_the_mean_of_what_the_reference_makes_of_each_draw(
    image_npz, make_config, split, loss
):
    source = open_source(str(image_npz))
    dataset, drawn = source.development(), split()
    data = prepare(dataset, drawn, mirrored=True)
    pixels = prepare(dataset, Split(drawn.train, drawn.val))  # standardised by the same rows
    one = Training(
        hyperparameters=Hyperparameters(
            l2=0.01, learning_rate=0.05, decay_period=2, batch_size=5, flip_probability=0.3
        ),
        epochs=3,
        seed=7,
        number=2,
    )
    expected = []
    for rows in drawn.draws:
        own = Rows(pixels.standardiser.apply(dataset.rows[rows]), dataset.labels[rows])
        sets = {"train": own, "val": pixels.validation}
        options = {"loss": LOSSES[loss], "classes": 3, "image_shape": dataset.image_shape}
        expected.append(list(train(own, sets, one, further=("macro_f1",), **options)))
    config = make_config(loss=loss, objective="val-macro-f1", lanes=2)
    with open_engine(config, data, timings=Timings(), workers=1) as engine:
        engine.start("a", one)
        engine.start("b", replace(one, hyperparameters=replace(one.hyperparameters, batch_size=7)))
        for epoch in range(3):
            found = engine.run_pass()["a"].evaluations
            outcomes = [each[epoch] for each in expected]
            for name in ("train", "val"):
                for quantity in ("loss", "cost", "accuracy"):
                    theirs = [getattr(r.evaluations[name], quantity) for r, *_ in outcomes]
                    ours = getattr(found[name], quantity)
                    assert ours == pytest.approx(fmean(theirs), rel=1e-4)
                    if name == "val" and quantity != "cost":
                        spread = found["val"].further[f"{quantity}_sd"]
                        assert spread == pytest.approx(stdev(theirs), rel=1e-3, abs=1e-6)
        state = engine.states(["a"])["a"]
    for weights, bias, (_, own, own_bias) in zip(state.weights, state.bias, outcomes, strict=True):
        turned = data.training.basis.turn_back(weights)
        np.testing.assert_allclose(turned, own, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(bias, own_bias, rtol=1e-3, atol=1e-5)
    scores = [pixels.validation.rows @ own.T + bias for _, own, bias in outcomes]
    f1 = [f1_score(pixels.validation.labels, s.argmax(axis=1), average="macro") for s in scores]
    assert found["val"].further["macro_f1"] == pytest.approx(fmean(f1))


@pytest.fixture
def study(run_tiny, workspace):
    """Return a finished study of three trials on three draws of four rows a class."""
    run_tiny(trials=3, few_shot=SHOTS, draws=DRAWS)
    return open_study("tiny-softmax", folder=workspace)


def test_a_study_of_draws_does_what_a_study_does(study, workspace, tmp_path, tiny_npz):
    data, trial = study.config.data, study.best
    assert (data.few_shot, data.draws, data.folds, data.val_size) == (SHOTS, DRAWS, 0, 18)
    assert len(trial.curves["val/accuracy_sd"]) == 2
    assert trial.metrics["val_at_end/accuracy"] == pytest.approx(trial.last("val/accuracy"))
    assert trial.metrics["val_at_end/accuracy_sd"] == pytest.approx(trial.last("val/accuracy_sd"))
    verdict = study.reproduce()
    assert (verdict.matches, verdict.points) == ("bit for bit", 16)
    assert study.confirm(top=1, seeds=2).winner.trial == trial.number
    study.report(workspace.root / "report.md")
    assert "3 draws of 4 rows a class" in (workspace.root / "report.md").read_text("utf-8")
    study.export(tmp_path / "study.zip")
    imported = import_study(tmp_path / "study.zip", name="again", data=tiny_npz, folder=tmp_path)
    assert imported.config.data.draws == DRAWS
    assert imported.best.curves == trial.curves


def test_test_rows_judge_the_model_of_each_draw(study, workspace, tiny_npz):
    config, trial, source = study.config, study.best, open_source(str(tiny_npz))
    result, expected = study.test(), []
    dataset, rows = source.development(), source.test()
    drawn = split_rows(source, dataset, **config.data.split)
    for numbers in drawn.draws:  # each draw by itself, to the same bits
        data = prepare(dataset, Split(drawn.train, drawn.val), mirrored=True)
        apart = prepare(dataset, replace(drawn, draws=np.array([numbers])), mirrored=True)
        training = training_of(config, trial, data)
        with LocalEngine.of_study(config, apart, workers=1, timings=Timings()) as engine:
            engine.start(0, training)
            for _ in range(config.epochs):
                engine.run_pass()
            state = engine.states([0])[0]
        scores = data.standardiser.apply(rows.rows) @ state.weights.T + state.bias
        expected.append(float((scores.argmax(axis=1) == rows.labels).mean()))
    assert result.draws == expected
    assert result.accuracy == pytest.approx(fmean(expected))
    assert result.estimate.sd == pytest.approx(stdev(expected))
    assert result.low <= result.accuracy <= result.high
    assert result.metrics()["test/accuracy_sd"] == result.estimate.sd
    study.report(workspace.root / "report.md")
    assert "standard deviation" in (workspace.root / "report.md").read_text("utf-8")
    study.export(workspace.root / "study.zip")
    again = import_study(workspace.root / "study.zip", name="b", data=tiny_npz, folder=workspace)
    assert again.record.attribute("sweep.test_openings") == study.record.attribute(
        "sweep.test_openings"
    )


def test_a_setting_for_few_rows_is_not_one_for_all_and_draws_are_not_compared(study, run_tiny):
    with pytest.raises(SweepError, match="for 4 rows a class, not for all rows: leave --refit out"):
        study.test(refit=True)
    run_tiny(trials=1, loss="bce", few_shot=SHOTS, draws=DRAWS)
    other = open_study("tiny-bce", folder=study.record.workspace)
    with pytest.raises(SweepError, match="a model for each of 3 draws of 4 rows a class"):
        compare(study, other)


def test_what_is_shown_says_how_draws_differ(in_workspace, tiny_npz, invoke):
    del in_workspace
    options = ["--few-shot", 4, "--draws", 3, "--val-size", 18, "--trials", 2, "--epochs", 2]
    done = invoke("run", "few", "--data", tiny_npz, *options)
    assert done.exit_code == 0, done.output
    assert "3 draws of 4 rows a class: a trial is a training on each, 18 rows validate" in (
        done.stderr
    )
    assert "95 % interval on 18 rows; the mean of 3 draws of 4 rows a class, +- " in done.stdout
    assert "tiny, 3 draws of 4 rows a class" in invoke("show", "few").stdout
    assert "between draws (95 % interval, 9 rows)" in invoke("test", "few").stdout
    told = json.loads(invoke("test", "few", "--json").stdout)
    assert len(told["draws"]) == 3
    assert set(told["further"]["macro_f1"]) == {"value", "low", "high", "sd"}
    assert invoke("run", "few", "--trials", 3).stdout.startswith("study few: 3 of 3 trials")
    refused = invoke("run", "few", "--few-shot", 5, "--draws", 3)
    assert (refused.exit_code, "split digest" in refused.stderr) == (1, True)
    shown = invoke("run", "more", "--like", "few", "--dry-run").stdout
    assert "data tiny: 3 draws of 4 rows a class, 18 validation rows" in shown


def test_the_command_of_a_study_draws_the_same_rows(image_npz, make_config):
    choice, data = choose_data(
        open_source(str(image_npz)), val_size=12, split_seed=3, few_shot=2, draws=4, mirrored=True
    )
    command = run_command(make_config(data=choice), 5)
    assert "--val-size 12 --few-shot 2 --draws 4 --split-seed 3" in command
    context = run.make_context("run", command.split()[2:])
    assert (context.params["few_shot"], context.params["draws"]) == (2, 4)
    again = reopen_data(choice, open_source(str(image_npz)))
    assert np.array_equal(again.training.rows, data.training.rows)
    assert (again.draws, again.size) == (4, 6)
