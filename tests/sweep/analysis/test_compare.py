import json
from dataclasses import replace
from itertools import count

import comparisons
import numpy as np
import pytest
from doubles import NoStore

from sweep.analysis.compare import (
    caveats,
    check_comparable,
    common_metric,
    compare_studies,
    describe_search,
    differences_of,
    log_comparison,
    stored_comparison,
)
from sweep.analysis.runs import pending_files
from sweep.analysis.selection import fetch_classifier, selected_trial
from sweep.analysis.test_set import evaluate_on_test_rows
from sweep.data import open_source
from sweep.errors import SweepError
from sweep.search.record import CONFIRMATION, TEST_OPENINGS
from sweep.tracking import CLASSIFIER
from sweep.workspace import Workspace
from sweep_model.classifier import LinearClassifier
from sweep_model.losses import LOSSES

GOOD = np.eye(3, 4)
"""Each class of the rows has a feature of its own."""
BAD = np.roll(GOOD, 1, axis=0)
UNFLIPPED = {"flip_probability": 0.0}
NO_STORE = NoStore()


@pytest.fixture(scope="session")
def source(tiny_npz):
    return open_source(str(tiny_npz))


@pytest.fixture
def make_answered(plan_tiny, tmp_path, make_study, make_trial):
    """Return a function that makes a study of three complete trials, the second the best.

    `weights` (3, 4) are what that one ended with.
    """
    numbers = count()

    def make(weights, *trials, **changes):
        plan = plan_tiny(Workspace(tmp_path), **{"study": f"tiny-{next(numbers)}", **changes})
        config, data = plan.settle()
        classifier = LinearClassifier(
            weights=np.asarray(weights, dtype=np.float32),
            bias=np.zeros(3, dtype=np.float32),
            standardiser=data.standardiser,
            loss=LOSSES[config.loss],
            image_shape=None,
            class_names=data.class_names,
        )
        best = make_trial(
            1,
            [0.5, 0.9],
            params={"l2": 0.01, **UNFLIPPED},
            weights_digest=classifier.digest,
            metrics={"final/train_accuracy": 0.95},
        )
        first = make_trial(0, [0.5, 0.7], params=UNFLIPPED)
        last = make_trial(2, [0.5, 0.8], params={"l2": 0.02, **UNFLIPPED})
        study = make_study(config, trials or [first, best, last])
        path = pending_files(study, 1) / CLASSIFIER
        path.parent.mkdir(parents=True)
        classifier.save(path)
        return study

    return make


@pytest.fixture
def studies(make_answered):
    """Return a softmax study with good weights and a bce study with bad ones."""
    return [
        make_answered(GOOD, study="softmax"),
        make_answered(BAD, study="bce", loss="bce"),
    ]


@pytest.fixture
def comparison(studies, source):
    return compare_studies(studies, source, NO_STORE)


def confirm(study, trial, values):
    confirmation = comparisons.confirmation((trial, 0.9, values), baseline=(0.5,) * len(values))
    study.set_attribute(CONFIRMATION, confirmation.record())
    return confirmation


# Which studies may be compared


def test_studies_that_differ_in_all_but_their_rows_may_be_compared(make_study, make_config):
    first = make_study(make_config(study="a"))
    moved = replace(first.config.data, source="/elsewhere/tiny.npz", directory="/elsewhere")
    changes = {"loss": "bce", "epochs": 9, "seed": 4, "objective": "val-loss"}
    unit = replace(moved, normalise="unit")  # of the same rows all the same
    others = [make_config(study="b", data=moved, **changes), make_config(study="c", data=unit)]
    check_comparable([first, *map(make_study, others)])


def test_it_takes_two_different_studies(make_study, make_config):
    a, b = (make_study(make_config(study=name)) for name in "ab")
    for studies in ([a], [a, a], [a, b, a]):
        with pytest.raises(SweepError, match="two or more different studies: got a"):
            check_comparable(studies)


def test_studies_of_different_rows_are_refused_with_what_differs(make_study, make_config):
    one, alike = make_study(make_config(study="a")), make_study(make_config(study="b"))
    for number, (changes, difference) in enumerate(
        (
            ({"data_digest": "e" * 64}, "data digest dddddddddddd -> eeeeeeeeeeee"),
            ({"split_digest": "6" * 64}, "split digest 555555555555 -> 666666666666"),
            ({"name": "huge"}, "name tiny -> huge"),
        )
    ):
        data = replace(one.config.data, **changes)
        other = make_study(make_config(study=f"c{number}", loss="bce", data=data))
        with pytest.raises(SweepError) as refused:
            check_comparable([one, alike, other])
        assert f"studies 'a' and 'c{number}' are of different rows" in str(refused.value)
        assert difference in str(refused.value)


# What is compared


def test_every_number_is_that_of_the_selected_trials_own_weights(comparison, studies, source):
    rows = source.test()
    for study, answers in zip(studies, comparison.answers, strict=True):
        trial = selected_trial(study)
        classifier = fetch_classifier(study, trial, NO_STORE)
        held_out = evaluate_on_test_rows(classifier, source)
        assert (answers.study, answers.trial) == (study.name, trial.number)
        assert answers.weights_digest == classifier.digest
        shown = (answers.test.value, answers.test.low, answers.test.high)
        assert shown == (held_out.accuracy, held_out.low, held_out.high)
        predicted = classifier.predict(rows.rows)
        for i, counts in enumerate(answers.confusion):
            assert counts == [
                int(((rows.labels == i) & (predicted == j)).sum()) for j in range(len(counts))
            ]
        assert answers.train_accuracy == trial.metrics["final/train_accuracy"] == 0.95
        assert answers.val.right == round(0.9 * 18)
    good, bad = (answers.test.value for answers in comparison.answers)
    assert good > bad
    assert [[each.name for each in answers.outputs] for answers in comparison.answers] == [
        ["softmax"],
        ["sigmoid", "sigmoid, normalised"],
    ]


def test_the_accuracy_on_training_rows_may_be_that_of_the_curve(make_answered, make_trial, source):
    one, other = make_answered(GOOD), make_answered(BAD)
    digest = one.trial(1).weights_digest
    bare = make_answered(
        GOOD,
        make_trial(0, params=UNFLIPPED),
        make_trial(1, [0.9], params=UNFLIPPED, weights_digest=digest),
    )
    answers = compare_studies([bare, other], source, NO_STORE).answers[0]
    assert answers.train_accuracy == 0.9


def test_the_pair_is_compared_row_by_row(comparison, studies, source):
    rows = source.test()
    right = [
        fetch_classifier(study, selected_trial(study), NO_STORE).predict(rows.rows) == rows.labels
        for study in studies
    ]
    (difference,) = comparison.differences
    assert difference.paired.first_only == (right[0] & ~right[1]).sum()
    assert difference.paired.second_only == (right[1] & ~right[0]).sum()
    assert comparison.test_rows == len(rows.labels)


def test_pairs_are_judged_together(rng):
    right = {
        name: rng.random(200) < share for name, share in zip("abc", (0.9, 0.8, 0.7), strict=True)
    }
    together = differences_of(right)
    assert [(each.first, each.second) for each in together] == [("a", "b"), ("a", "c"), ("b", "c")]
    for each in together:
        (alone,) = differences_of({name: right[name] for name in (each.first, each.second)})
        assert each.p_value >= alone.p_value
        assert each.paired.low <= alone.paired.low
        assert each.paired.high >= alone.paired.high
        assert each.paired.level == pytest.approx(1 - 0.05 / 3)


def test_a_confirmed_setting_comes_with_its_mean_on_fresh_seeds(studies, source):
    confirmation = confirm(studies[0], 1, (0.5, 0.6, 0.7))
    first, second = compare_studies(studies, source, NO_STORE).answers
    assert (first.seeds, first.confirmed_mean) == (3, pytest.approx(0.6))
    assert first.confirmed_error == confirmation.winner.standard_error
    assert (second.seeds, second.confirmed_mean, second.confirmed_error) == (0, None, None)


def test_the_openings_of_the_test_rows_are_counted_for_each_study(studies, source):
    for times in (1, 2):
        answers = compare_studies(studies, source, NO_STORE).answers
        assert [each.openings for each in answers] == [times, times]
    assert [len(study.attribute(TEST_OPENINGS)) for study in studies] == [2, 2]


def test_where_something_is_missing_nothing_is_opened(
    make_study, make_trial, studies, source, tiny_npz, tmp_path
):
    config = studies[0].config
    lost = make_study(replace(config, study="lost"), [make_trial(0, [0.9], params=UNFLIPPED)])
    empty = make_study(replace(config, study="empty"))
    with np.load(tiny_npz) as whole:
        np.savez(tmp_path / "bare.npz", X=whole["X"], y=whole["y"])
    bare = open_source(str(tmp_path / "bare.npz"))
    for other, rows, reason in (
        (lost, source, r"of 'lost': the weights .* are gone"),
        (empty, source, "'empty' has no complete trial yet"),
        (studies[1], bare, "holds no test rows"),
    ):
        with pytest.raises(SweepError, match=reason):
            compare_studies([studies[0], other], rows, NO_STORE)
    assert studies[0].attribute(TEST_OPENINGS) is None


# What is kept


def test_the_last_comparison_is_found_again_in_any_order(studies, source):
    assert stored_comparison(studies) is None
    first = compare_studies(studies, source, NO_STORE)
    assert stored_comparison(studies[::-1]) == first
    later = compare_studies(studies, source, NO_STORE)
    assert stored_comparison(studies) == later != first
    assert stored_comparison(studies[:1]) is None
    assert stored_comparison([]) is None


def test_a_comparison_is_out_of_date_once_another_trial_is_selected(comparison, studies):
    assert stored_comparison(studies) == comparison
    confirm(studies[0], 2, (0.5, 0.6, 0.7))
    assert stored_comparison(studies) is None


def test_the_run_has_metrics_parameters_figures_and_the_record(tracker, comparison, studies):
    from mlflow.artifacts import load_dict

    run_id = log_comparison(comparison, studies, tracker)
    assert log_comparison(comparison, studies, tracker) == run_id
    (run,) = tracker.runs(role="compare")
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    metrics, tags = run.data.metrics, run.data.tags
    for answers in comparison.answers:
        assert metrics[f"test_accuracy/{answers.study}"] == answers.test.value
        assert metrics[f"train_test_gap/{answers.study}"] == pytest.approx(answers.gap)
        assert run.data.params[f"{answers.study}.trial"] == str(answers.trial)
        assert float(run.data.params[f"{answers.study}.l2"]) == answers.setting["l2"]
        points = tracker.client.get_metric_history(run_id, f"expected_best/{answers.study}")
        expected = answers.search.best_of.expected
        assert [(p.step, p.value) for p in points] == list(enumerate(expected, start=1))
    assert metrics["p_value/softmax-vs-bce"] == comparison.differences[0].p_value
    assert "calibration_error_sigmoid_normalised/bce" in metrics
    assert tags["sweep.sentence"] == comparison.sentence
    assert tags["sweep.studies"] == "softmax, bce"
    assert tags["sweep.test_digest"] == comparison.test_digest
    assert tags["sweep.run_key"] == comparison.key
    assert tags["mlflow.note.content"].startswith(comparison.sentence)
    record = load_dict(f"{run.info.artifact_uri}/comparison/comparison.json")
    assert record == json.loads(json.dumps(comparison.record()))
    figures = tracker.client.list_artifacts(run_id, "figures")
    assert len(figures) == 4
    assert not tracker.runs(role="compare", **studies[0].tags)  # it is no study's own


# The searches


@pytest.fixture
def describe(make_study, make_config):
    """Return a function that describes the search of a study with these trials."""

    def describe(*trials, metric="val/accuracy", **changes):
        study = make_study(make_config(**changes), trials)
        return describe_search(study, metric)

    return describe


def test_the_given_first_trial_is_no_draw(describe, make_trial):
    search = describe(*(make_trial(n, [value]) for n, value in enumerate((0.9, 0.4, 0.5))))
    assert search.best_of.trials == 2
    assert search.best_of.expected == pytest.approx([0.45, 0.5])


def test_pruned_and_failed_trials_cost_a_draw_and_never_win(describe, make_trial):
    search = describe(
        make_trial(0, [0.3]),
        make_trial(1, [0.9], status="pruned"),
        make_trial(2, [], status="failed", reason="diverged in epoch 1"),
        make_trial(3, [0.5]),
        make_trial(4, [0.9], status="running"),
    )
    assert (search.complete, search.pruned, search.failed) == (2, 1, 1)
    assert (search.best_of.trials, search.best_of.results) == (3, 1)
    assert search.best_of.expected == [0.5] * 3


def test_of_losses_less_is_better(describe, make_trial):
    trials = [make_trial(n, [1 - loss]) for n, loss in enumerate((1.0, 0.5, 0.7))]
    assert describe(*trials, metric="val/loss").best_of.expected[-1] == 0.5


def test_only_a_random_sampler_without_a_pruner_draws_independently(describe, make_trial):
    for number, (sampler, pruner, independent) in enumerate(
        (
            ("random", "none", True),
            ("tpe", "none", False),
            ("qmc", "none", False),
            ("random", "halving", False),
        )
    ):
        study = f"tiny-{number}"
        search = describe(make_trial(0, [0.9]), study=study, sampler=sampler, pruner=pruner)
        assert search.drawn_independently is independent, (sampler, pruner)


def test_the_objective_is_the_metric_where_all_studies_share_one_scale(make_config):
    loss, accuracy = make_config(objective="val-loss"), make_config()
    bce = make_config(objective="val-loss", loss="bce")
    for configs, metric in (
        ([loss, replace(loss, study="other")], "val/loss"),
        ([loss, accuracy], "val/accuracy"),
        ([loss, bce], "val/accuracy"),
        ([accuracy, accuracy], "val/accuracy"),
    ):
        assert common_metric(configs) == metric


# Caveats


@pytest.fixture
def caveats_of(make_study, make_config, make_trial, comparison):
    """Return a function that tells the caveats of studies `a` and `b`, of so many trials each."""

    def tell(*, trials=(3, 3), seeds=(9, 9), right=(700, 700), confirmed=(), **changes):
        studies, answers = [], []
        for name, number in zip("ab", trials, strict=True):
            config = make_config(study=name, **(changes if name == "b" else {}))
            study = make_study(config, [make_trial(n, [0.5]) for n in range(number)])
            studies.append(study)
        for study, confirmation in zip(studies, confirmed, strict=False):
            study.set_attribute(CONFIRMATION, confirmation.record())
        for study, each, hits in zip(studies, seeds, right, strict=True):
            share = replace(comparison.best.test, right=hits, rows=1000, value=hits / 1000)
            answers.append(replace(comparison.best, study=study.name, seeds=each, test=share))
        return list(caveats(studies, answers))

    return tell


def test_equal_searches_of_confirmed_settings_need_no_caveat(caveats_of):
    assert caveats_of(loss="bce", seed=7, slots=4) == []


def test_searches_that_differ_are_told(caveats_of):
    (caveat,) = caveats_of(trials=(3, 5), epochs=50, sampler="random")
    assert caveat.startswith("the searches differ (a -> b): ")
    for phrase in ("epochs 6 -> 50", "sampler tpe -> random", "finished trials 3 -> 5"):
        assert phrase in caveat


def test_settings_that_were_not_confirmed_are_told(caveats_of):
    (caveat,) = caveats_of(seeds=(0, 10))
    assert caveat.startswith("not confirmed on fresh seeds: a;")


def test_a_best_trial_at_a_boundary_is_told(make_study, make_config, make_trial, comparison):
    trials = [make_trial(n, [0.1 * n], params={"l2": 10.0 ** (-n / 2)}) for n in range(11)]
    study = make_study(make_config(study="edgy"), trials)
    phrases = list(caveats([study], comparison.answers[:0]))
    assert any(
        each.startswith("edgy: the best lies at a boundary of its space, trials compared after")
        for each in phrases
    )


SMALL = [0.5, 0.502, 0.504, 0.502, 0.5]
LARGE = [0.5, 0.51, 0.52, 0.51, 0.5]
"""Baselines with noise floors of 0.66 and 3.3 points."""


@pytest.mark.parametrize(
    ("baselines", "phrases"),
    [
        ([SMALL, SMALL], []),
        ([SMALL, LARGE], ["differ by less than the noise floor, 3.3"]),
        ([[0.5, 0.6]] * 2, []),  # two seeds tell no noise floor
    ],
)
def test_a_difference_below_the_larger_noise_floor_is_told(caveats_of, baselines, phrases):
    messages = caveats_of(right=(700, 720), confirmed=list(map(made_up, baselines)))
    assert len(messages) == len(phrases)
    assert all(phrase in message for phrase, message in zip(phrases, messages, strict=True))


def test_the_noise_of_a_loss_says_nothing_of_accuracies(caveats_of):
    (caveat,) = caveats_of(confirmed=[made_up([0.5] * 5, metric="val/loss")] * 2)
    assert caveat.endswith("how far accuracies differ by the seed alone is not known")


def made_up(baseline, metric="val/accuracy"):
    values = [0.5] * len(baseline)
    return comparisons.confirmation((0, 0.5, values), baseline=baseline, metric=metric)
