"""The recorded problems hold what they say, and their command makes them again."""

import numpy as np
import problems
import pytest

from sweep.search_space import DEFAULT_SPACES

SETTINGS = 3


@pytest.fixture(scope="module")
def recorded():
    return problems.load()


def test_small_and_large_data_are_recorded_with_both_losses(recorded):
    names = {f"{data}-{loss}" for data in problems.DATA for loss in DEFAULT_SPACES}
    assert {problem.name for problem in recorded} <= names
    both = [{p.data for p in recorded if p.loss == loss} for loss in DEFAULT_SPACES]
    assert len(both[0] & both[1]) >= 7


def test_the_facts_of_each_problem_fit_together(recorded):
    for problem in recorded:
        assert len(problem.class_counts) == problem.classes
        assert problem.class_counts.sum() == problem.rows
        assert (np.diff(problem.eigenvalues) <= 0).all()
        assert problem.trace <= problem.features * (1 + 1e-5)
        assert problem.eigenvalues.sum() <= problem.trace * (1 + 1e-9)
        assert problem.eigenvalues[0] ** 2 <= problem.squares <= problem.trace**2


def test_curves_are_whole_until_a_training_diverges(recorded):
    for problem in recorded:
        shape = (len(problem.settings), problems.EPOCHS)
        diverged = np.isnan(problem.select.accuracy)
        assert (np.diff(diverged.astype(int), axis=1) >= 0).all()
        for curves in (problem.select, problem.judge):
            assert curves.accuracy.shape == curves.loss.shape == shape
            assert (np.isnan(curves.accuracy) == diverged).all()
            assert (np.isnan(curves.loss) == diverged).all()
            assert ((curves.accuracy >= 0) & (curves.accuracy <= 1) | diverged).all()
        if problem.averaged is not None:
            assert (np.isnan(problem.averaged) == diverged).all()


def test_settings_come_from_the_spaces_that_they_say(recorded):
    for problem in recorded:
        space = problems.default_space(problem.loss, images=problem.images)
        assert list(problem.kinds).count(problems.DEFAULT) == problems.DEFAULTS
        assert problem.kinds[0] == problems.BASELINE
        for setting, kind in zip(problem.settings, problem.kinds, strict=True):
            if kind == problems.DEFAULT:
                assert setting.keys() == space.check(setting).keys()


def test_the_command_makes_a_problem_again():
    (problem,) = problems.load(["digits-softmax"])
    data = problems.DATA["digits"](None)
    settings, kinds = problems.draw_settings(
        problem.name, problem.loss, images=True, wides=data.wides
    )
    assert settings == problem.settings
    assert kinds == list(problem.kinds)
    trainer, epochs = problems.Trainer(data, problem.loss), 10
    for fact, value in trainer.facts().items():
        assert np.allclose(getattr(problem, fact), value, atol=1e-6), fact
    curves = trainer.train(settings[:SETTINGS], epochs=epochs)
    right = curves["averaged_right"] - problem.averaged[:SETTINGS, :epochs] * problem.select_rows
    assert (abs(right) < 3).all()  # another BLAS rounds differently
    loss = problem.judge.loss[:SETTINGS, :epochs]
    assert np.allclose(curves["judge_loss"], loss, rtol=1e-2)
