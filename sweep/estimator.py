"""A study as a scikit-learn classifier: `fit` searches, and predicts with the selected trial."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sweep.analysis import run_in_memory
from sweep.config import CLASS_WEIGHTS, EPOCHS, LOSSES, NORMALISATIONS, OBJECTIVES, TRIALS
from sweep.data import MAX_NAME
from sweep.io import scratch_folder
from sweep.study import Study, plan_run, run
from sweep.terminal import watching
from sweep.workspace import Workspace
from sweep_model.losses import BCE, SOFTMAX, normalised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from sweep.search_space import Space
    from sweep.study import AnyPath
    from sweep_model import Floats, Labels
    from sweep_model.classifier import LinearClassifier


class SweepClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # untyped
    """A linear classifier whose hyperparameters `fit` searches, for scikit-learn.

    Its weights are those of the study that `sweep run` makes of the same arrays and options, bit
    for bit. Without a `folder` nothing is written and MLflow is not used.

    Parameters
    ----------
    loss : `softmax` or `bce`, one binary cross-entropy per class.
    trials, epochs : settings that are tried, and passes over the rows of those that are not given
        up early.
    folds, val_size : parts that are held out in turn, or rows that validate; one of them, or
        neither, as in `sweep run`.
    objective : what is best, e.g. `val-balanced-accuracy`. None: `val-accuracy` or, where weights
        are given by label, `val-weighted-accuracy`.
    class_weight : how much a row counts in training: None, `balanced`, or weights by label, of
        which only the ratios count.
    normalise : `standardise`, `unit` (rows of length sqrt(d)) or `none`; several are searched.
    space : where to search, as in `sweep.run`.
    seed : of every random draw.
    workers : threads; they change no number. None: one for each core.
    folder, study : where `mlruns/` is to keep the study, and its name there. A study of a folder
        is of one data set: leave them out in a cross-validation.
    verbose : whether to show progress on stderr.

    Attributes
    ----------
    classes_ : (k,) labels.
    coef_, intercept_ : (k, d) and (k,), of two classes (1, d) and (1,); float64. The decision
        function of rows as they are given; with `unit`, of rows of length 1.
    classifier_ : the model of the selected trial; `save` writes it.
    best_trial_, best_params_, best_score_ : its number, setting, and objective at its end.
    trials_ : a DataFrame with a row for each trial, as `Study.trials`.
    n_features_in_, feature_names_in_ : the latter where X has names of columns.

    """

    def __init__(
        self,
        *,
        loss: str = LOSSES[0],
        trials: int = TRIALS,
        epochs: int = EPOCHS,
        folds: int | None = None,
        val_size: int | None = None,
        objective: str | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        normalise: str | Sequence[str] = NORMALISATIONS[0],
        space: Space | AnyPath | Mapping[str, object] | None = None,
        seed: int = 0,
        workers: int | None = None,
        folder: AnyPath | None = None,
        study: str | None = None,
        verbose: bool = False,
    ) -> None:
        self.loss, self.trials, self.epochs = loss, trials, epochs
        self.folds, self.val_size, self.objective = folds, val_size, objective
        self.class_weight, self.normalise, self.space = class_weight, normalise, space
        self.seed, self.workers = seed, workers
        self.folder, self.study, self.verbose = folder, study, verbose

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's name
        """Search on rows X (n, d) with labels y (n,), two classes or more.

        Raises
        ------
        ValueError
            Rows or labels are refused.
        SweepError
            An option is refused, or every trial failed.

        """
        X, y = validate_data(self, X, y, ensure_min_samples=2)  # noqa: N806
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(
                f"y must have two classes or more: got one class, {self.classes_.tolist()[0]!r}; "
                "add rows of another"
            )
        study, self.classifier_ = self._search(
            {"X": X, "y": numbers, "class_names": _names(self.classes_)}
        )
        best = study.best
        self.best_trial_, self.best_params_ = best.number, dict(best.params)
        self.best_score_ = best.last(study.config.metric)
        self.trials_ = study.trials()
        self.coef_, self.intercept_ = _of_given_rows(self.classifier_)
        return self

    def decision_function(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Scores (n, k) of rows (n, d); of two classes the log-odds (n,) of the second."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False).astype(np.float64)
        if self.classifier_.standardiser.unit:
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            rows /= np.where(lengths > 0, lengths, 1)
        scores: Floats = rows @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.coef_) == 1 else scores

    def predict(self, X: ArrayLike) -> Labels:  # noqa: N803
        """Labels (n,) of rows (n, d)."""
        scores = self.decision_function(X)
        numbers = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        labels: Labels = self.classes_[numbers]
        return labels

    def predict_proba(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Probabilities (n, k) of rows (n, d); sigmoids of bce are divided by their sum."""
        scores = self.decision_function(X)
        if scores.ndim == 1:
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        else:
            scores = normalised(scores, self.classifier_.loss)
        return SOFTMAX.probabilities(scores)

    def _search(self, data: Mapping[str, Any]) -> tuple[Study, LinearClassifier]:
        """Return the study of these arrays, and the selected trial's model."""
        names = ("trials", "loss", "space", "epochs", "seed", "val_size", "folds", "normalise")
        options = {name: getattr(self, name) for name in names}
        options |= {"data": data, **self._weighing(data["y"])}
        with ExitStack() as left:
            if self.folder is not None:
                study = run(
                    self.study,
                    **options,
                    folder=self.folder,
                    workers=self.workers,
                    progress=self.verbose,
                )
                return study, study.classifier()
            workspace = Workspace(left.enter_context(scratch_folder()))
            plan = plan_run(self.study, **options, folder=workspace)
            config, rows = plan.settle()
            listener = left.enter_context(watching(config, total=plan.trials, shown=self.verbose))
            record, classifier = run_in_memory(
                config,
                rows,
                workspace,
                trials=plan.trials,
                listener=listener,
                workers=self.workers,
            )
            return Study(record), classifier

    def _weighing(self, numbers: Labels) -> dict[str, str]:
        """Return class weights as a study takes them, and the objective that goes with them."""
        weight, objective = self.class_weight, OBJECTIVES[0]
        if weight is not None and not isinstance(weight, str):
            labels = self.classes_[numbers]
            weights = compute_class_weight(dict(weight), classes=self.classes_, y=labels)
            weight, objective = ",".join(map(repr, weights.tolist())), "val-weighted-accuracy"
        return {
            "class_weight": weight or CLASS_WEIGHTS[0],
            "objective": self.objective or objective,
        }


def _names(classes: Labels) -> list[str]:
    """Return what the study calls the classes: labels as it reads them, or numbers."""
    given = classes.astype(np.int64) if classes.dtype.kind == "f" else classes  # they are whole
    names = [str(label) for label in given.tolist()]
    fit = all(name.isprintable() and 0 < len(name) <= MAX_NAME for name in names)
    return names if fit and len(set(names)) == len(names) else list(map(str, range(len(names))))


def _of_given_rows(classifier: LinearClassifier) -> tuple[Floats, Floats]:
    """Return weights and biases for rows that are not standardised; of two classes, the log-odds.

    The sigmoids of bce see two classes as two problems of opposite sign, of which this is the mean.
    """
    coef = classifier.weights * classifier.standardiser.factor
    intercept = classifier.bias - coef @ classifier.standardiser.mean
    if len(coef) > 2:  # noqa: PLR2004 - a score for each class
        return coef, intercept
    share = 0.5 if classifier.loss == BCE else 1.0
    return share * (coef[1:] - coef[:1]), share * (intercept[1:] - intercept[:1])
