import pytest

from sweep.curves import METRICS
from sweep.layout import Layout
from sweep.settings import DataChoice, Settings
from sweep.space import BASELINES, DEFAULT_SPACES
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.opening import OpenStudy, begin_study
from sweep.study.storage import create_storage

SETTINGS = Settings(
    study="digits-softmax",
    loss="softmax",
    epochs=3,
    seed=0,
    sampler="tpe",
    pruner="median",
    objective="val-accuracy",
    data=DataChoice(
        source="digits",
        directory=None,
        name="digits",
        val_size=300,
        split_seed=0,
        data_digest="d" * 64,
        split_digest="s" * 64,
    ),
    space=DEFAULT_SPACES["softmax"],
    layout=Layout(slots=4, width=4, workers=1),
)


@pytest.fixture
def recorded_study(tmp_path, monkeypatch) -> OpenStudy:
    """Enter a folder with a study whose four trials were written down, not trained."""
    monkeypatch.chdir(tmp_path)
    import optuna

    study = begin_study(SETTINGS, create_storage())
    for number, (ending, accuracies, l2, reason) in enumerate(
        [
            (Ending.COMPLETE, [0.5, 0.7, 0.8], 0.1, ""),
            (Ending.DIVERGED, [], 1.0, "diverged in epoch 1: the [bold] cost is nan"),
            (Ending.COMPLETE, [0.6, 0.8, 0.9], 0.001, ""),
            (Ending.PRUNED, [0.1], 0.01, "epoch 1: val/accuracy 0.1000, behind"),
        ]
    ):
        curves = {metric: [1 - a for a in accuracies] for metric in METRICS}
        setting = optuna.trial.FixedTrial(BASELINES["softmax"] | {"l2": l2})
        SETTINGS.space.suggest(setting)
        study.optuna.add_trial(
            optuna.trial.create_trial(
                state=ending.state,
                value=accuracies[-1] if ending == Ending.COMPLETE else None,
                params=setting.params,
                distributions=setting.distributions,
                user_attrs={
                    attributes.POSITION: number,
                    attributes.SEAT: {"seed": 100 + number},
                    attributes.ENDING: str(ending),
                    attributes.REASON: reason,
                    attributes.CURVES: curves | {"val/accuracy": accuracies},
                    attributes.TRIAL_RUN: f"run{number}",
                },
            )
        )
    return study
