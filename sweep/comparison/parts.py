"""What a comparison knows of one study: its search, and its chosen trial's answers."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - part of a dataclass
from dataclasses import dataclass
from typing import Any

from sweep.statistics.best_of import BestOf
from sweep.statistics.outputs import Outputs
from sweep.statistics.place import Place
from sweep.statistics.share import Share
from sweep.study.importance import Importance, Importances


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a study's search came to.

    Attributes
    ----------
    sampler, pruner, epochs
        How it searched.
    complete, pruned, diverged
        How many trials ended in each way.
    best_of
        The best of k drawn settings; the first trial of a study is given, not drawn.
    drawn_independently
        Whether the assumptions of `best_of` hold: a random sampler and no pruner.
    importances
        How much each searched hyperparameter decides.
    places
        Where the chosen trial lies in each searched range.

    """

    sampler: str
    pruner: str
    epochs: int
    complete: int
    pruned: int
    diverged: int
    best_of: BestOf
    drawn_independently: bool
    importances: Importances
    places: list[Place]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Search:
        """Read back what `dataclasses.asdict` made."""
        importances = record["importances"]
        parts = {
            "best_of": BestOf(**record["best_of"]),
            "importances": Importances(
                ranked=[Importance(**each) for each in importances["ranked"]],
                alike=[(one, other) for one, other in importances["alike"]],
                reason=importances["reason"],
            ),
            "places": [Place(**each) for each in record["places"]],
        }
        return cls(**{**record, **parts})


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a study's chosen trial answers on the test rows.

    Attributes
    ----------
    study, study_id, loss
        The study.
    trial, grounds, weights_digest
        Its chosen trial, why it is the chosen one, and what it ended with.
    setting
        The trial's hyperparameters.
    seeds, confirmed_mean, confirmed_error
        On how many fresh seeds the setting was confirmed, and its mean objective with the
        standard error; 0 and None where it was not confirmed.
    openings
        How often the test rows have been opened for this study, this comparison included.
    train_accuracy
        On the training rows, as the search recorded it after the last epoch.
    val, test
        Accuracy on validation and test rows.
    per_class
        Accuracy on the test rows of each class; None for a class without.
    confusion
        Entry [i][j]: how many test rows of class i were taken for class j.
    outputs
        What the probabilities said; a bce has them as they are, and normalised.
    search
        How the trial was found.

    """

    study: str
    study_id: str
    loss: str
    trial: int
    grounds: str
    weights_digest: str
    setting: dict[str, float]
    seeds: int
    confirmed_mean: float | None
    confirmed_error: float | None
    openings: int
    train_accuracy: float
    val: Share
    test: Share
    per_class: list[Share | None]
    confusion: list[list[int]]
    outputs: list[Outputs]
    search: Search

    @property
    def gap(self) -> float:
        """Accuracy on the training rows less that on the test rows."""
        return self.train_accuracy - self.test.value

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Answers:
        """Read back what `dataclasses.asdict` made."""
        parts = {
            "val": Share(**record["val"]),
            "test": Share(**record["test"]),
            "per_class": [None if each is None else Share(**each) for each in record["per_class"]],
            "outputs": [Outputs(**each) for each in record["outputs"]],
            "search": Search.from_record(record["search"]),
        }
        return cls(**{**record, **parts})
