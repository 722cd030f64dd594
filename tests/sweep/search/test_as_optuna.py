"""Trials as Optuna's own, as figures and importance want them."""

from optuna.trial import TrialState

from sweep.search.as_optuna import as_optuna, at_first_rung, first_rung


def test_the_first_rung_is_that_of_the_pruner_or_the_last_epoch(make_config):
    for changes, expected in (
        ({"epochs": 50}, 2),
        ({"epochs": 50, "eta": 4}, 1),
        ({"epochs": 50, "pruner": "hyperband"}, 2),
        ({"epochs": 50, "pruner": "none"}, 50),
        ({"epochs": 2}, 1),
        ({"epochs": 1}, 1),
    ):
        assert first_rung(make_config(**changes)) == expected, changes


def trials(make_trial):
    return [
        make_trial(0, [0.1, 0.2, 0.4]),
        make_trial(1, [0.3, 0.1], status="pruned"),
        make_trial(2, [0.5], status="failed"),
        make_trial(3, [], status="failed"),
        make_trial(4, [0.2, 0.3], status="running"),
    ]


def test_trials_are_shown_as_they_ended(make_config, make_trial):
    given = trials(make_trial)
    shown = as_optuna(make_config(), given)
    states = ["COMPLETE", "PRUNED", "FAIL", "FAIL", "RUNNING"]
    assert [trial.state for trial in shown] == [TrialState[name] for name in states]
    assert [trial.value for trial in shown] == [0.4, None, None, None, None]
    assert shown[1].intermediate_values == {1: 0.3, 2: 0.1}
    assert [trial.params for trial in shown] == [trial.params for trial in given]
    assert shown[0].datetime_start.timestamp() == given[0].began / 1000
    assert shown[4].datetime_complete is None


def test_at_the_first_rung_all_that_reached_it_have_their_value_there(make_config, make_trial):
    shown = at_first_rung(make_config(epochs=50), trials(make_trial))
    assert [trial.number for trial in shown] == [0, 1, 4]
    assert {trial.state for trial in shown} == {TrialState.COMPLETE}
    assert [trial.value for trial in shown] == [0.2, 0.1, 0.3]
    losses = at_first_rung(make_config(epochs=50, objective="val-loss"), trials(make_trial))
    assert [round(trial.value, 6) for trial in losses] == [0.8, 0.9, 0.7]
