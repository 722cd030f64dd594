import json
from dataclasses import replace

import pytest

from sweep.space import Choices
from sweep.tracking.cards import images, sections
from sweep.tracking.views import IMAGES_HEIGHT, pair_view, study_view

TAGS = {"study": "tiny-softmax", "study_id": "a1"}
OTHER_TAGS = {"study": "tiny-bce", "study_id": "b2"}


def charts(view, kind):
    """Return the charts of a kind."""
    return [card for card in view.state["compareRunCharts"] if card["type"] == kind]


def axes(view):
    """Return what each scatter chart has along x and y."""
    return [(card["xaxis"]["key"], card["yaxis"]["key"]) for card in charts(view, "SCATTER")]


def with_axis(config, axis):
    return replace(config, space=config.space.replace({axis.name: axis}))


@pytest.fixture
def config(make_config):
    return make_config()


@pytest.fixture
def pair(make_config):
    return [(make_config(), TAGS), (make_config(loss="bce"), OTHER_TAGS)]


def test_a_view_is_named_and_keyed_by_its_study(config):
    view = study_view(config, TAGS)
    assert (view.key, view.name) == ("sweep-a1", "tiny-softmax: dashboard")


def test_only_the_trials_of_the_study_are_on_its_page(config):
    assert study_view(config, TAGS).state["searchFilter"] == (
        "tags.`sweep.role` = 'trial' and tags.`sweep.study` = 'tiny-softmax' "
        "and tags.`sweep.study_id` = 'a1'"
    )


@pytest.mark.parametrize(
    ("objective", "key", "ascending"),
    [
        ("val-accuracy", "metrics.`final/val_accuracy`", False),
        ("val-loss", "metrics.`final/val_loss`", True),
    ],
)
def test_the_best_trial_by_the_objective_comes_first(make_config, objective, key, ascending):
    state = study_view(make_config(objective=objective), TAGS).state
    assert (state["orderByKey"], state["orderByAsc"]) == (key, ascending)
    assert key in state["selectedColumns"]


def test_all_trials_are_shown_and_not_the_first_ten(config):
    state = study_view(config, TAGS).state
    assert state["runsHiddenMode"] == "SHOW_ALL"
    assert charts(study_view(config, TAGS), "PARALLEL")[0]["showAllRuns"]


def test_the_parallel_coordinates_have_every_searched_parameter_and_the_result(config):
    (chart,) = charts(study_view(config, TAGS), "PARALLEL")
    assert chart["selectedParams"] == [
        "log10_l2",
        "log10_learning_rate",
        "decay_period",
        "batch_size",
        "flip_probability",
    ]
    assert chart["selectedMetrics"] == ["best/val_accuracy"]


def test_a_parameter_that_is_not_searched_on_a_logarithmic_scale_stays_as_it_is(config):
    choices = with_axis(config, Choices(name="l2", values=(0.0, 0.1)))
    (chart,) = charts(study_view(choices, TAGS), "PARALLEL")
    assert chart["selectedParams"][0] == "l2"


def test_a_parameter_of_one_value_has_no_axis_and_no_column(config):
    fixed = with_axis(config, Choices(name="l2", values=(0.1,)))
    view = study_view(fixed, TAGS)
    assert "l2" not in json.dumps(view.state["selectedColumns"])
    assert charts(view, "PARALLEL")[0]["selectedParams"][0] == "log10_learning_rate"


def test_without_anything_searched_there_are_curves_and_no_empty_section(config):
    for name, axis in config.space.axes.items():
        config = with_axis(config, Choices(name=name, values=(axis.points(2)[0],)))
    view = study_view(config, TAGS)
    assert charts(view, "PARALLEL") == []
    assert view.state["compareRunSections"][0]["name"] == "Learning curves"


def test_the_two_most_important_parameters_have_charts_of_their_own(config):
    ranked = ["decay_period", "learning_rate", "l2"]
    assert axes(study_view(config, TAGS, important=ranked))[:2] == [
        ("decay_period", "best/val_accuracy"),
        ("log10_learning_rate", "best/val_accuracy"),
    ]


def test_before_their_importance_is_known_two_are_shown_and_not_called_important(config):
    view = study_view(config, TAGS)
    assert [x for x, _ in axes(view)[:2]] == ["log10_l2", "log10_learning_rate"]
    assert "important" not in json.dumps(view.state)
    assert "important" in json.dumps(study_view(config, TAGS, important=["l2"]).state)


def test_the_curves_are_those_of_validation_and_training_with_losses_on_a_log_scale(config):
    view = study_view(config, TAGS)
    assert [(c["selectedMetricKeys"], c["scaleType"]) for c in charts(view, "LINE")] == [
        (["val/accuracy"], "linear"),
        (["val/loss"], "log"),
        (["train/loss", "val/loss"], "log"),
    ]
    assert ("train/loss", "val/loss") in axes(view)


def test_the_weights_have_a_slider_that_stands_where_it_is_said(config):
    (chart,) = charts(study_view(config, TAGS, image_step=6), "IMAGE")
    assert (chart["imageKeys"], chart["step"]) == (["weights"], 6)


def test_rows_without_an_image_shape_get_no_weight_images(config):
    unflipped = replace(config, space=config.space.without_flips())
    assert charts(study_view(unflipped, TAGS), "IMAGE") == []


def test_every_chart_has_a_section_and_an_identity_of_its_own(config, pair):
    for view in (study_view(config, TAGS), pair_view(pair)):
        cards, laid_out = view.state["compareRunCharts"], view.state["compareRunSections"]
        assert len({card["uuid"] for card in cards}) == len(cards)
        assert len({section["uuid"] for section in laid_out}) == len(laid_out)
        shown = {section["uuid"] for section in laid_out if section["display"]}
        assert {card["metricSectionId"] for card in cards} == shown


def test_charts_that_the_page_adds_by_itself_land_in_closed_sections(config):
    closed = [
        section["name"]
        for section in study_view(config, TAGS).state["compareRunSections"]
        if not section["display"]
    ]
    assert closed == ["best", "final", "train", "val", "val_accuracy_of"]


def test_a_section_without_charts_is_left_out():
    state = sections(("empty", 1, 300, []), ("full", 2, 400, [images(1)]))
    first = state["compareRunSections"][0]
    assert (first["name"], first["columns"], first["cardHeight"]) == ("full", 2, 400)


def test_two_studies_stand_side_by_side_as_groups_of_single_trials(pair):
    view = pair_view(pair)
    assert view.name == "tiny-softmax beside tiny-bce"
    assert view.state["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "sweep.study"}]
    assert view.state["useGroupedValuesInCharts"] is False
    assert view.state["searchFilter"] == "tags.`sweep.role` = 'trial'"


def test_the_weights_are_not_said_to_be_of_one_study_since_the_better_stands_first(pair):
    names = [section["name"] for section in pair_view(pair).state["compareRunSections"]]
    assert "Weights, the best trial last" in names


def test_ten_weight_images_fit_into_their_card(config, pair):
    for view in (study_view(config, TAGS), pair_view(pair)):
        (section,) = [
            each for each in view.state["compareRunSections"] if each["name"].startswith("Weights")
        ]
        assert section["cardHeight"] == IMAGES_HEIGHT


def test_a_view_says_nothing_that_mlflow_takes_from_the_browser_alone(config, pair):
    own = {"runsExpanded", "runsPinned", "runsHidden", "runsVisibilityMap", "autoRefreshEnabled"}
    for view in (study_view(config, TAGS), pair_view(pair)):
        assert not own & view.state.keys()


def test_two_losses_are_told_apart_by_an_axis(pair):
    view = pair_view(pair)
    assert charts(view, "PARALLEL")[0]["selectedParams"][0] == "loss"
    assert ("loss", "best/val_accuracy") in axes(view)


def test_two_studies_of_one_loss_need_no_axis_for_it(make_config):
    pair = [(make_config(), TAGS), (make_config(study="again"), OTHER_TAGS)]
    view = pair_view(pair)
    assert charts(view, "PARALLEL")[0]["selectedParams"][0] == "log10_l2"
    assert "loss" not in [x for x, _ in axes(view)]


def test_trials_of_third_studies_are_left_out(pair):
    assert pair_view(pair, others=["c3", "d4"]).state["searchFilter"] == (
        "tags.`sweep.role` = 'trial' and tags.`sweep.study_id` != 'c3' "
        "and tags.`sweep.study_id` != 'd4'"
    )


def test_each_pair_has_a_view_of_its_own(pair, config):
    keys = {
        pair_view(pair).key,
        pair_view(pair[::-1]).key,
        pair_view([pair[0], (config, {"study_id": "b3"})]).key,
        study_view(config, TAGS).key,
    }
    assert len(keys) == 4
