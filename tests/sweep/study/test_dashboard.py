import json

import pytest

from sweep.errors import SweepError
from sweep.figures.style import PALE, result_colours
from sweep.layout import LayoutChoice
from sweep.study import dashboard
from sweep.study.dashboard import RUN_COLOUR, colour_runs, ensure_pair_view, ensure_view
from sweep.study.ending import Ending
from sweep.study.passes import Budget
from sweep.study.results import ending, ranked
from sweep.tracking.run import Run
from sweep.tracking.saved_view import TAG


@pytest.fixture
def loop(tiny_study):
    return tiny_study()


def views(loop):
    """Return the state of each view of the experiment, by its key."""
    tags = loop.tracker.client.get_experiment(loop.tracker.experiment_id).tags
    return {
        name.removeprefix(TAG): json.loads(json.loads(value)["state"])
        for name, value in tags.items()
        if name.startswith(TAG)
    }


def scattered(state):
    """Return what the scatter charts have along x."""
    return [c["xaxis"]["key"] for c in state["compareRunCharts"] if c["type"] == "SCATTER"]


def test_a_study_has_its_dashboard_from_its_first_trial_on(loop, no_figures, monkeypatch):
    del no_figures
    seen = []
    monkeypatch.setattr(loop, "_run_trials", lambda *_: seen.extend(views(loop)) or "done")
    loop.run(Budget(1))
    assert seen == [f"sweep-{loop.study.identity}"]


def test_the_key_is_that_of_the_view(loop):
    key = ensure_view(loop.tracker, loop.study)
    assert list(views(loop)) == [key]


def test_the_end_of_a_study_puts_the_most_important_parameters_first(loop):
    key = ensure_view(loop.tracker, loop.study)
    assert scattered(views(loop)[key])[:2] == ["log10_l2", "log10_learning_rate"]
    ensure_view(loop.tracker, loop.study, {"decay_period": 0.9, "batch_size": 0.1})
    assert scattered(views(loop)[key])[:2] == ["decay_period", "batch_size"]


def test_going_on_with_a_study_keeps_what_is_known_of_it(loop):
    key = ensure_view(loop.tracker, loop.study, ["decay_period", "l2"])
    ensure_view(loop.tracker, loop.study)
    assert scattered(views(loop)[key])[:2] == ["decay_period", "log10_l2"]


def test_with_an_untested_mlflow_nothing_is_written(loop, tiny_study, monkeypatch):
    other = tiny_study(study_name="other")
    monkeypatch.setattr(dashboard, "untested_mlflow", lambda: "4.0.0")
    assert ensure_view(loop.tracker, loop.study) is None
    assert ensure_pair_view(loop.tracker, (loop.study, other.study)) is None
    assert views(loop) == {}


def test_a_pair_leaves_out_the_trials_of_all_other_studies(tiny_study, no_figures):
    del no_figures
    first, second, third = (tiny_study(study_name=name) for name in ("one", "two", "three"))
    for each in (first, second, third):
        each.run(Budget(1))
    key = ensure_pair_view(first.tracker, (first.study, second.study))
    runs = first.tracker.client.search_runs(
        [first.tracker.experiment_id], views(first)[key]["searchFilter"]
    )
    assert sorted(run.data.tags["sweep.study"] for run in runs) == ["one", "two"]


def test_a_study_is_not_laid_beside_itself(loop):
    with pytest.raises(SweepError, match="'tiny-softmax' and 'tiny-softmax' are one study"):
        ensure_pair_view(loop.tracker, (loop.study, loop.study))


def test_studies_of_different_data_are_not_laid_side_by_side(loop, tiny_study, tiny_npz, tmp_path):
    elsewhere = tmp_path / "huge.npz"
    elsewhere.write_bytes(tiny_npz.read_bytes())
    other = tiny_study(data=str(elsewhere))
    with pytest.raises(SweepError) as refused:
        ensure_pair_view(loop.tracker, (loop.study, other.study))
    assert str(refused.value) == (
        "'tiny-softmax' is a study on tiny, 'huge-softmax' one on huge: MLflow lays only runs of "
        "one experiment side by side; open each with `sweep ui STUDY`"
    )


def test_the_better_a_trial_the_darker_its_runs_and_what_is_not_complete_is_grey(
    tiny_study, no_figures
):
    del no_figures
    four = LayoutChoice(slots=4, width=2, workers=2)
    loop = tiny_study(layout=four, sampler="tpe", pruner="median", epochs=4)
    loop.run(Budget(16))
    colour_runs(loop.tracker, loop.study)
    runs = loop.tracker.runs(role="trial")
    colours = {int(run.data.tags["sweep.trial"]): run.data.tags[RUN_COLOUR] for run in runs}

    def light(colour):
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    complete = [trial.number for trial in ranked(loop.study) if ending(trial) == Ending.COMPLETE]
    shades = [light(colours.pop(number)) for number in complete]
    assert len(set(shades)) > 1
    assert shades[0] == min(shades)
    assert shades[-1] == max(shades)
    assert set(colours.values()) == {PALE}


def test_colours_that_are_right_are_not_written_again(loop, no_figures, monkeypatch):
    del no_figures
    loop.run(Budget(2))
    colour_runs(loop.tracker, loop.study)
    monkeypatch.setattr(loop.tracker.client, "set_tag", None)
    colour_runs(loop.tracker, loop.study)


def test_each_study_of_an_experiment_has_a_hue_of_its_own(tiny_study, no_figures):
    del no_figures
    loops = [tiny_study(study_name=name) for name in ("one", "two")]
    for loop in loops:
        loop.run(Budget(2))
        colour_runs(loop.tracker, loop.study)
    best = {
        run.data.tags["sweep.study"]: run.data.tags[RUN_COLOUR]
        for loop in loops
        for run in loop.tracker.runs(role="trial", study=loop.study.name)
        if int(run.data.tags["sweep.trial"]) == ranked(loop.study)[0].number
    }
    assert best == {"one": result_colours(2)[0], "two": result_colours(2, family=1)[0]}


def test_the_hue_of_a_study_stays_when_another_begins(tiny_study, no_figures):
    del no_figures
    first = tiny_study(study_name="one")
    first.run(Budget(2))

    def colours():
        colour_runs(first.tracker, first.study)
        runs = first.tracker.runs(role="trial", study="one")
        return {run.info.run_id: run.data.tags[RUN_COLOUR] for run in runs}

    before = colours()
    tiny_study(study_name="two").run(Budget(1))
    assert colours() == before


def test_a_trial_in_training_has_no_colour_yet(loop):
    run = Run.create(
        loop.tracker, "trial-000", tags={"role": "trial", "trial": 0, **loop.study.tags}
    )
    colour_runs(loop.tracker, loop.study)
    assert RUN_COLOUR not in loop.tracker.client.get_run(run.id).data.tags
