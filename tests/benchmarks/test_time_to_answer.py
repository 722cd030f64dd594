import numpy as np
import pytest
from problems import DATA
from time_to_answer import EPOCHS, Contest, Note, Problem, by_numpy, tell, write_rows

from sweep.data import open_source, prepare, split_rows
from sweep_model.hyperparameters import Hyperparameters


def test_the_time_is_that_of_the_first_epoch_near_enough_and_the_answer_is_a_complete_trial():
    notes = [Note(12, 0.5), Note(15, 0.8), Note(13, 0.7), Note(20, 0.75, 0.6), Note(21, 0.7, 0.9)]
    contest = Contest(began=10, ended=30, cut_off=False, notes=notes)
    assert [contest.reached(accuracy) for accuracy in (0.4, 0.7, 0.8, 0.9)] == [2, 3, 5, None]
    assert contest.answer == notes[3]
    assert Contest(began=0, ended=1, cut_off=True, notes=notes[:3]).answer.select == 0


def test_every_contestant_has_the_rows_that_sweep_has(tmp_path):
    file = tmp_path / "digits.npz"
    write_rows(DATA["digits"](None), file)
    problem = Problem.read(file)
    source = open_source(str(file))
    dataset = source.development()
    theirs = prepare(dataset, split_rows(source, dataset), mirrored=False)
    for rows, own in ((problem.training, theirs.training), (problem.select, theirs.validation)):
        np.testing.assert_allclose(rows.rows, own.rows, atol=1e-5)
        np.testing.assert_array_equal(rows.labels, own.labels)
    assert (problem.classes, problem.image_shape) == (10, theirs.image_shape)


def test_a_trainer_is_judged_after_its_last_epoch_alone(tmp_path):
    file = tmp_path / "wine.npz"
    write_rows(DATA["wine"](None), file)
    setting = Hyperparameters(
        l2=0.01, learning_rate=0.1, decay_period=10, batch_size=50, flip_probability=0.0
    )
    results = list(by_numpy(Problem.read(file), setting))
    assert [judge is None for _, judge in results] == [True] * (EPOCHS - 1) + [False]
    assert results[-1] == pytest.approx((1, 1), abs=0.2)


def test_what_is_told_comes_back(tmp_path):
    tell(tmp_path / "log", 0.5)
    tell(tmp_path / "log", 0.6, 0.7)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split(", ", 1)[1] for line in lines] == ["0.5, null]", "0.6, 0.7]"]
