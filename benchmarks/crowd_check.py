"""Whether a shared study has just its budget, and MLflow each point of it once.

Nothing here is shared with `sweep doctor`, which looks for the same: an oracle of its own.
"""

from __future__ import annotations

from collections import Counter


def disagreements(
    name: str, storage: str, tracking_uri: str, trials: int
) -> tuple[Counter[str], list[str]]:
    """Compare both stores to the last point; return what was counted, and what is wrong."""
    from mlflow import MlflowClient
    from optuna.trial import TrialState

    from sweep.study import attributes
    from sweep.study.opening import load_study
    from sweep.study.results import ending
    from sweep.study.storage import open_storage

    study = load_study(name, open_storage(storage))
    client = MlflowClient(tracking_uri)
    known = study.trials()
    counted: Counter[str] = Counter(trials=len(known))
    wrong = []
    states = Counter(trial.state.name for trial in known)
    if states["COMPLETE"] + states["PRUNED"] != trials or states["RUNNING"]:
        wrong.append(f"a budget of {trials} gave {dict(states)}")
    if [trial.number for trial in known] != list(range(len(known))):
        wrong.append("the trials' numbers have gaps")
    experiment = client.get_experiment_by_name("digits")
    query = f"tags.`sweep.study_id` = '{study.identity}' and tags.`sweep.role` = 'trial'"
    runs = client.search_runs([experiment.experiment_id], query, max_results=10_000)
    by_trial: dict[int, list] = {trial.number: [] for trial in known}
    for run in runs:
        by_trial[int(run.data.tags["sweep.trial"])].append(run)
    for trial in known:
        counted["attempts"] += trial.user_attrs[attributes.LEASE]["attempt"]
        counted["deaths"] += trial.user_attrs[attributes.LEASE]["deaths"]
        how, found = ending(trial), by_trial[trial.number]
        if len(found) != 1 or how is None or found[0].info.status != how.mlflow_status:
            statuses = [run.info.status for run in found]
            wrong.append(f"trial {trial.number}: {trial.state.name}, its runs {statuses}")
            continue
        for metric, curve in trial.user_attrs.get(attributes.CURVES, {}).items():
            history = client.get_metric_history(found[0].info.run_id, metric)
            points = sorted((point.step, point.value) for point in history)
            counted["points"] += len(points)
            if points != list(enumerate(curve, start=1)):
                wrong.append(f"trial {trial.number}: {metric} has other points than the record")
        reported = trial.intermediate_values
        if trial.state == TrialState.COMPLETE and len(reported) != study.settings.epochs:
            wrong.append(f"trial {trial.number}: {len(reported)} values were reported")
    counted["runs"] = len(runs)
    return counted, wrong
