import json
from dataclasses import replace

import pytest

from sweep.errors import SweepError
from sweep.figures.style import PALE, result_colours
from sweep.search import dashboard
from sweep.search.dashboard import RUN_COLOUR, colour_runs, ensure_pair_view, ensure_view
from sweep.search.study_run import study_state, trial_state
from sweep.tracking.mirror import Mirror
from sweep.tracking.saved_view import TAG


@pytest.fixture
def begin(make_study, make_config, make_trial, tracker, tiny_data):
    """Return a function that puts a study with two complete trials in both stores."""

    def begin(name="tiny-softmax", trials=None, began=1000):
        if trials is None:
            trials = [make_trial(n, [value], began=began) for n, value in enumerate([0.5, 0.7])]
        study = make_study(make_config(study=name), trials)
        mirror = Mirror(tracker)
        mirror.update(study_state(study, trials, None, note=""))
        for trial in trials:
            mirror.update(trial_state(study, trial, tiny_data))
        return study

    return begin


def views(tracker):
    """Return the state of each view of the experiment, by its key."""
    tags = tracker.client.get_experiment(tracker.experiment_id).tags
    return {
        name.removeprefix(TAG): json.loads(json.loads(value)["state"])
        for name, value in tags.items()
        if name.startswith(TAG)
    }


def scattered(state):
    """Return what the scatter charts have along x."""
    return [c["xaxis"]["key"] for c in state["compareRunCharts"] if c["type"] == "SCATTER"]


def colours_of(tracker, study):
    """Return the colours of a study's trials, by number."""
    runs = tracker.runs(role="trial", **study.tags)
    return {int(run.data.tags["sweep.trial"]): run.data.tags.get(RUN_COLOUR) for run in runs}


def test_the_end_of_a_study_puts_the_most_important_parameters_first(make_study, tracker):
    study = make_study()
    key = ensure_view(tracker, study)
    assert list(views(tracker)) == [key]
    assert scattered(views(tracker)[key])[:2] == ["log10_l2", "log10_learning_rate"]
    ensure_view(tracker, study, {"decay_period": 0.9, "batch_size": 0.1})
    assert scattered(views(tracker)[key])[:2] == ["decay_period", "batch_size"]
    ensure_view(tracker, study)  # going on with it
    assert scattered(views(tracker)[key])[:2] == ["decay_period", "batch_size"]


def test_with_an_untested_mlflow_nothing_is_written(make_study, make_config, tracker, monkeypatch):
    pair = make_study(), make_study(make_config(study="other"))
    monkeypatch.setattr(dashboard, "untested_mlflow", lambda: "4.0.0")
    assert ensure_view(tracker, pair[0]) is None
    assert ensure_pair_view(tracker, pair) is None
    assert views(tracker) == {}


def test_a_pair_leaves_out_the_trials_of_all_other_studies(begin, tracker):
    first, second, _ = (begin(name) for name in ("one", "two", "three"))
    key = ensure_pair_view(tracker, (first, second))
    search_filter = views(tracker)[key]["searchFilter"]
    runs = tracker.client.search_runs([tracker.experiment_id], search_filter)
    assert {run.data.tags["sweep.study"] for run in runs} == {"one", "two"}
    assert {run.data.tags["sweep.role"] for run in runs} == {"trial"}


def test_only_two_studies_of_the_same_data_are_laid_side_by_side(make_study, make_config, tracker):
    study = make_study()
    with pytest.raises(SweepError, match="'tiny-softmax' and 'tiny-softmax' are one study"):
        ensure_pair_view(tracker, (study, study))
    data = replace(make_config().data, name="huge")
    other = make_study(make_config(study="huge-softmax", data=data))
    with pytest.raises(SweepError, match="is a study on tiny, 'huge-softmax' one on huge"):
        ensure_pair_view(tracker, (study, other))


def test_the_better_a_trial_the_darker_its_run_and_what_is_not_complete_is_grey(
    begin, make_trial, tracker
):
    study = begin(
        trials=[
            make_trial(0, [0.5]),
            make_trial(1, [0.9], status="pruned"),
            make_trial(2, [0.7]),
            make_trial(3, [0.1], status="failed"),
            make_trial(4, [0.6]),
            make_trial(5, [0.6], status="running"),
        ]
    )
    colour_runs(tracker, study)
    darkest, middle, lightest = result_colours(3)
    assert colours_of(tracker, study) == {
        0: lightest,
        1: PALE,
        2: darkest,
        3: PALE,
        4: middle,
        5: None,
    }

    def light(colour):
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    assert light(darkest) < light(middle) < light(lightest)


def test_colours_that_are_right_are_not_written_again(begin, tracker, monkeypatch):
    study = begin()
    colour_runs(tracker, study)
    monkeypatch.setattr(tracker.client, "set_tag", None)
    colour_runs(tracker, study)


def test_each_study_of_an_experiment_has_a_hue_of_its_own_which_stays(begin, tracker):
    one = begin("one")
    colour_runs(tracker, one)
    before = colours_of(tracker, one)
    two = begin("two", began=2000)
    for study in (two, one):
        colour_runs(tracker, study)
    assert colours_of(tracker, one) == before
    assert before[1] == result_colours(2)[0]
    assert colours_of(tracker, two)[1] == result_colours(2, family=1)[0]
