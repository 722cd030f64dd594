import json
from dataclasses import replace

import pytest

from sweep.errors import SweepError
from sweep.search_space import Choices
from sweep.tracking import colour_runs, dashboard, ensure_pair_view, ensure_view
from sweep.tracking.dashboard import IMAGES_HEIGHT, pair_view, study_view
from sweep.tracking.mirror import Mirror, RunState
from sweep.tracking.undocumented import RUN_COLOUR, VIEW

TAGS = {"study": "tiny-softmax", "study_id": "a1"}
OTHER_TAGS = {"study": "tiny-bce", "study_id": "b2"}


def charts(view, kind):
    """Return the charts of a kind."""
    return [card for card in view.state["compareRunCharts"] if card["type"] == kind]


def axes(view):
    """Return what each scatter chart has along x and y."""
    return [(card["xaxis"]["key"], card["yaxis"]["key"]) for card in charts(view, "SCATTER")]


def searched(view):
    """Return what the parallel coordinates have."""
    (chart,) = charts(view, "PARALLEL")
    return chart["selectedParams"]


def with_axis(config, axis):
    return replace(config, space=config.space.replace({axis.name: axis}))


@pytest.fixture(autouse=True)
def _tested_mlflow(monkeypatch):
    monkeypatch.setattr(dashboard, "untested_mlflow", lambda: None)


@pytest.fixture
def config(make_config):
    return make_config()


@pytest.fixture
def pair(make_config):
    return [(make_config(), TAGS), (make_config(loss="bce"), OTHER_TAGS)]


def test_a_page_has_only_the_trials_of_its_study_all_of_them_the_best_first(make_config):
    for objective, key, ascending in (
        ("val-accuracy", "metrics.`final/val_accuracy`", False),
        ("val-loss", "metrics.`final/val_loss`", True),
        ("val-macro-f1", "metrics.`final/val_macro_f1`", False),
        ("val-log-loss", "metrics.`final/val_log_loss`", True),
    ):
        view = study_view(make_config(objective=objective), TAGS)
        assert (view.key, view.name) == ("sweep-a1", "tiny-softmax: dashboard")
        assert (view.state["orderByKey"], view.state["orderByAsc"]) == (key, ascending)
        assert key in view.state["selectedColumns"]
        assert view.state["searchFilter"] == (
            "tags.`sweep.role` = 'trial' and tags.`sweep.study` = 'tiny-softmax' "
            "and tags.`sweep.study_id` = 'a1'"
        )
        assert view.state["runsHiddenMode"] == "SHOW_ALL"
        assert charts(view, "PARALLEL")[0]["showAllRuns"]


def test_what_was_searched_has_axes_on_its_scale_and_what_was_not_has_none(config):
    view = study_view(config, TAGS)
    logarithms = ["log10_l2", "log10_learning_rate"]
    assert searched(view) == [*logarithms, "decay_period", "batch_size", "flip_probability"]
    assert charts(view, "PARALLEL")[0]["selectedMetrics"] == ["best/val_accuracy"]
    choices = with_axis(config, Choices(name="l2", values=(0.0, 0.1)))
    assert searched(study_view(choices, TAGS))[0] == "l2"
    fixed = study_view(with_axis(config, Choices(name="l2", values=(0.1,))), TAGS)
    assert "l2" not in json.dumps(fixed.state["selectedColumns"])
    assert searched(fixed)[0] == "log10_learning_rate"
    for name, axis in config.space.axes.items():
        config = with_axis(config, Choices(name=name, values=(axis.points(2)[0],)))
    nothing = study_view(config, TAGS)
    assert charts(nothing, "PARALLEL") == []
    assert nothing.state["compareRunSections"][0]["name"] == "Learning curves"


def test_the_two_most_important_parameters_have_charts_and_are_called_so_once_it_is_known(config):
    ranked = study_view(config, TAGS, important=["decay_period", "learning_rate", "l2"])
    assert axes(ranked)[:2] == [
        ("decay_period", "best/val_accuracy"),
        ("log10_learning_rate", "best/val_accuracy"),
    ]
    before = study_view(config, TAGS)
    assert [x for x, _ in axes(before)[:2]] == ["log10_l2", "log10_learning_rate"]
    for view, known in ((ranked, True), (before, False)):
        assert ("important" in json.dumps(view.state)) == known


def test_the_curves_are_those_of_validation_and_training_with_losses_on_a_log_scale(config):
    view = study_view(config, TAGS)
    assert [(c["selectedMetricKeys"], c["scaleType"]) for c in charts(view, "LINE")] == [
        (["val/accuracy"], "linear"),
        (["val/loss"], "log"),
        (["train/loss", "val/loss"], "log"),
    ]
    assert ("train/loss", "val/loss") in axes(view)


def test_weight_images_have_room_and_a_slider_and_rows_without_an_image_shape_have_none(
    config, pair
):
    (chart,) = charts(study_view(config, TAGS, image_step=6), "IMAGE")
    assert (chart["imageKeys"], chart["step"]) == (["weights"], 6)
    for view in (study_view(config, TAGS), pair_view(pair)):
        (section,) = (
            each
            for each in view.state["compareRunSections"]
            if each["name"] == "Weights, the best trial last"
        )
        assert section["cardHeight"] == IMAGES_HEIGHT
    unflipped = replace(config, space=config.space.without_flips())
    assert charts(study_view(unflipped, TAGS), "IMAGE") == []


def test_every_chart_has_a_section_and_an_identity_and_the_pages_own_stand_in_closed_ones(
    config, pair
):
    browsers = {"runsExpanded", "runsPinned", "runsHidden", "runsVisibilityMap"}
    for view in (study_view(config, TAGS), pair_view(pair)):
        cards, laid_out = view.state["compareRunCharts"], view.state["compareRunSections"]
        assert len({card["uuid"] for card in cards}) == len(cards)
        assert len({section["uuid"] for section in laid_out}) == len(laid_out)
        shown = {section["uuid"] for section in laid_out if section["display"]}
        assert {card["metricSectionId"] for card in cards} == shown
        closed = [section["name"] for section in laid_out if not section["display"]]
        assert closed == ["best", "final", "train", "val", "val_accuracy_of", "val_at_end"]
        assert not browsers & view.state.keys()  # which MLflow takes from the browser alone


def test_two_studies_stand_side_by_side_as_groups_of_single_trials(pair, make_config):
    view = pair_view(pair, others=["c3", "d4"])
    assert view.name == "tiny-softmax beside tiny-bce"
    assert view.state["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "sweep.study"}]
    assert view.state["useGroupedValuesInCharts"] is False
    assert view.state["searchFilter"] == (
        "tags.`sweep.role` = 'trial' and tags.`sweep.study_id` != 'c3' "
        "and tags.`sweep.study_id` != 'd4'"
    )
    assert searched(view)[0] == "loss"
    assert ("loss", "best/val_accuracy") in axes(view)
    alike = pair_view([(make_config(), TAGS), (make_config(study="again"), OTHER_TAGS)])
    assert searched(alike)[0] == "log10_l2"
    third = pair_view([pair[0], (make_config(), {"study_id": "b3"})])
    views = [view, pair_view(pair[::-1]), third, study_view(make_config(), TAGS)]
    assert len({each.key for each in views}) == 4


# In MLflow


def views(tracker):
    """Return the state of each view of the experiment, by its key."""
    tags = tracker.client.get_experiment(tracker.experiment_id).tags
    return {
        name.removeprefix(VIEW): json.loads(json.loads(value)["state"])
        for name, value in tags.items()
        if name.startswith(VIEW)
    }


def log(tracker, identity, role, **tags):
    """Let the experiment have a run."""
    key = "-".join(map(str, (identity, role, *tags.values())))
    tags = {"role": role, "study": identity, "study_id": identity, **tags}
    return Mirror(tracker).update(RunState(key=key, name=key, tags=tags, began=1))


def test_the_end_of_a_study_puts_the_most_important_parameters_first(config, tracker):
    for important, first in (
        (None, ["log10_l2", "log10_learning_rate"]),
        ({"decay_period": 0.9, "batch_size": 0.1}, ["decay_period", "batch_size"]),
        (None, ["decay_period", "batch_size"]),  # going on with it
    ):
        key = ensure_view(tracker, config, TAGS, important)
        ((kept, state),) = views(tracker).items()
        assert kept == key
        scatters = [c for c in state["compareRunCharts"] if c["type"] == "SCATTER"]
        assert [c["xaxis"]["key"] for c in scatters][:2] == first


def test_with_an_untested_mlflow_nothing_is_written(pair, tracker, monkeypatch):
    monkeypatch.setattr(dashboard, "untested_mlflow", lambda: "4.0.0")
    assert ensure_view(tracker, *pair[0]) is None
    assert ensure_pair_view(tracker, pair) is None
    assert views(tracker) == {}


def test_a_pair_leaves_out_the_trials_of_all_other_studies(pair, tracker):
    for identity in ("a1", "b2", "c3"):
        log(tracker, identity, "study")
        log(tracker, identity, "trial", trial=0)
    key = ensure_pair_view(tracker, pair)
    search_filter = views(tracker)[key]["searchFilter"]
    runs = tracker.client.search_runs([tracker.experiment_id], search_filter)
    assert {run.data.tags["sweep.study_id"] for run in runs} == {"a1", "b2"}
    assert {run.data.tags["sweep.role"] for run in runs} == {"trial"}


def test_only_two_studies_of_the_same_data_are_laid_side_by_side(pair, make_config, tracker):
    with pytest.raises(SweepError, match="'tiny-softmax' and 'tiny-softmax' are one study"):
        ensure_pair_view(tracker, [pair[0]] * 2)
    data = replace(make_config().data, name="huge")
    other = make_config(study="huge-softmax", data=data), OTHER_TAGS
    with pytest.raises(SweepError, match="is a study on tiny, 'huge-softmax' one on huge"):
        ensure_pair_view(tracker, [pair[0], other])


def test_runs_have_the_colours_that_are_said_and_only_changes_are_written(tracker, monkeypatch):
    runs = [log(tracker, "a1", "trial", trial=number) for number in range(3)]
    other, tags = log(tracker, "b2", "trial", trial=0), {"study_id": "a1"}
    colour_runs(tracker, tags, {0: "#000000", 1: "#ffffff"})
    coloured = [tracker.client.get_run(run).data.tags.get(RUN_COLOUR) for run in [*runs, other]]
    assert coloured == ["#000000", "#ffffff", None, None]
    written = []
    monkeypatch.setattr(tracker.client, "set_tag", lambda *tag: written.append(tag))
    colour_runs(tracker, tags, {0: "#111111", 1: "#ffffff"})
    assert written == [(runs[0], RUN_COLOUR, "#111111")]
