"""Studies from Python: what `import sweep` shows, and what the commands call."""

from __future__ import annotations

import operator
import os
import sys
import warnings
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sweep.config import (
    CLASS_WEIGHTS,
    EPOCHS,
    LEAST_DRAWS,
    LEAST_FOLDS,
    LOSSES,
    NORMALISATIONS,
    TRAIN_CURVES,
    normalisations_of,
)
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search_space import RULES, axes_of
from sweep.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd  # type: ignore[import-untyped]
    from numpy.typing import ArrayLike

    from sweep.analysis import (
        Comparison,
        Confirmation,
        HeldOutResult,
        Plan,
        Session,
        SingleResult,
        Verdict,
    )
    from sweep.archive import Exported
    from sweep.config import DataFiles, StudyConfig
    from sweep.data import Prepared, Source
    from sweep.search import StudyRecord, TrialRecord
    from sweep.search_space import Space
    from sweep.tracking import Tracker
    from sweep_model.classifier import LinearClassifier

AnyPath: TypeAlias = str | Path
Folder: TypeAlias = AnyPath | Workspace | None
Data: TypeAlias = "AnyPath | DataFiles | Sequence[ArrayLike] | Mapping[str, ArrayLike]"
"""A name, a file, a file and what goes with it, arrays `(X, y)`, or arrays by names."""


def run(
    study: str | None = None,
    *,
    trials: int | None = None,
    data: Data | None = None,
    loss: str | None = None,
    space: Space | AnyPath | Mapping[str, object] | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    objective: str | None = None,
    train_curve: str | None = None,
    class_weight: str | None = None,
    slots: int | None = None,
    val_size: int | None = None,
    folds: int | None = None,
    few_shot: int | None = None,
    draws: int | None = None,
    split_seed: int | None = None,
    normalise: str | Sequence[str] | None = None,
    data_dir: AnyPath | None = None,
    like: str | None = None,
    timeout: float | None = None,
    workers: int | None = None,
    ray: str | None = None,
    folder: Folder = None,
    tracking_uri: str | None = None,
    progress: bool = False,
) -> Study:
    """Search for the best setting, or go on, until a study has so many finished trials.

    What is left out is as the study records it; in a new study it is as in the study that it is
    `like`, or as `sweep run --help` says. The same call again adds what is missing to `trials`,
    also after an interruption, and changes nothing that is there.

    Parameters
    ----------
    study : its name; DATA-LOSS unless given.
    trials : complete and pruned ones in total; 50.
    data, data_dir, val_size, split_seed, normalise : the rows, see `load_data`; several ways to
        normalise them, e.g. `("standardise", "unit")`, are searched.
    folds : of a cross-validation, in place of `val_size` validation rows; 5 where neither is given
        and there are few rows.
    few_shot, draws : train on so many rows of each class, drawn so many times (5): a trial is a
        training on each draw, and its results are their means.
    loss : `softmax` or `bce`, one binary cross-entropy per class.
    space : where to search: a Space, a TOML file, or some axes by name, e.g.
        `{"l2": "1e-4:1e-1:log", "batch_size": [50, 100], "decay_period": 10}`.
    epochs : passes over the training rows; 50.
    seed : of every random draw; 0.
    sampler, pruner, objective, train_curve, class_weight, slots : as in `sweep run --help`.
    timeout : seconds after which no further trial begins.
    workers : threads; they change no number.
    ray : a Ray cluster to train on, which changes no number either: `auto`, `HOST:PORT` or `local`.
    folder : where `mlruns/` lies; the working folder, as it is at the time of the call.
    tracking_uri : where MLflow keeps the runs; MLFLOW_TRACKING_URI, or `mlruns/mlflow.db`.
    progress : whether to show progress on stderr.

    Raises
    ------
    SweepError
        Something that you can put right, said in one line; also where Ctrl-C, which is heard in the
        main thread, has stopped the study.

    """
    from sweep.analysis import run_study
    from sweep.terminal import watching
    from sweep.timings import Timings
    from sweep.tracking import RemoteMirror

    workspace, timings = _workspace(folder), Timings()
    _check_address(workspace, tracking_uri)
    plan = plan_run(
        study,
        trials=trials,
        data=data,
        loss=loss,
        space=space,
        epochs=epochs,
        seed=seed,
        sampler=sampler,
        pruner=pruner,
        objective=objective,
        train_curve=train_curve,
        class_weight=class_weight,
        slots=slots,
        val_size=val_size,
        folds=folds,
        few_shot=few_shot,
        draws=draws,
        split_seed=split_seed,
        normalise=normalise,
        data_dir=data_dir,
        like=like,
        folder=workspace,
    )
    with RemoteMirror(plan.study, plan.experiment, workspace, uri=tracking_uri) as mirror:
        with timings.part("data"):
            config, rows = plan.settle()
        for notice in plan.notices if progress else rows.notices:
            _tell(notice, shown=progress)
        with watching(config, total=plan.trials, shown=progress) as listener:
            session = run_study(
                config,
                rows,
                workspace,
                mirror,
                trials=plan.trials,
                listener=listener,
                timings=timings,
                seconds=timeout,
                workers=_whole("workers", workers, 1),
                ray=ray,
            )
    studied = Study(session.study, data=data, data_dir=data_dir, tracking_uri=tracking_uri)
    studied.session = session
    return studied


def plan_run(
    study: str | None = None,
    *,
    folder: Folder = None,
    data: Data | None = None,
    data_dir: AnyPath | None = None,
    space: Space | AnyPath | Mapping[str, object] | None = None,
    **options: Any,
) -> Plan:
    """Return what `run` with the same arguments would do."""
    from sweep.analysis import plan_study

    least = {
        "trials": 1,
        "val_size": 1,
        "folds": LEAST_FOLDS,
        "few_shot": 1,
        "draws": LEAST_DRAWS,
        "split_seed": 0,
        "slots": 1,
        "epochs": 1,
        "seed": 0,
    }
    whole = {name: _whole(name, options.get(name), low) for name, low in least.items()}
    return plan_study(
        _workspace(folder),
        study,
        data=_named(data),
        data_dir=_path(data_dir),
        axes=None if space is None else axes_of(space),
        **{**options, **whole},
    )


def open_study(
    name: str,
    *,
    data: Data | None = None,
    data_dir: AnyPath | None = None,
    folder: Folder = None,
    tracking_uri: str | None = None,
) -> Study:
    """Open a study of a folder by its name.

    `data` and `data_dir` say where its rows lie, unless that is where they were; they must be the
    same, which their digest tells.
    """
    from sweep.search import open_study

    record = open_study(name, _workspace(folder))
    return Study(record, data=data, data_dir=data_dir, tracking_uri=tracking_uri)


def list_studies(
    folder: Folder = None, *, tracking_uri: str | None = None, progress: bool = False
) -> list[Study]:
    """Open all studies of a folder that can be read, in the order of their names."""
    from sweep.search import open_storage, recorded_studies

    workspace = _workspace(folder)
    records, unreadable = recorded_studies(open_storage(workspace), workspace)
    for error in unreadable:
        _tell(str(error), shown=progress)
    return [Study(record, tracking_uri=tracking_uri) for record in records]


class Study:
    """A study on record, as `run`, `open_study` and `list_studies` return it.

    Attributes
    ----------
    record : what Optuna's store holds of it.
    session : how the run that returned it went; None for one that was opened.

    """

    def __init__(
        self,
        record: StudyRecord,
        *,
        data: Data | None = None,
        data_dir: AnyPath | None = None,
        tracking_uri: str | None = None,
    ) -> None:
        self.record = record
        self.session: Session | None = None
        self._data, self._data_dir, self._uri = data, _path(data_dir), tracking_uri

    def __repr__(self) -> str:
        from sweep.search import tally

        return f"<sweep.Study {self.name!r}: {tally(self.record.trials())}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    @property
    def config(self) -> StudyConfig:
        """All that decides its trials."""
        return self.record.config

    @property
    def best(self) -> TrialRecord:
        """The selected trial: the winner of `confirm` or, until then, the best by the objective.

        It has `number`, `params`, `curves` by metric and epoch, and `last(metric)`. SweepError
        where no trial is complete.
        """
        from sweep.analysis import selected_trial

        return selected_trial(self.record)

    def trials(self) -> pd.DataFrame:
        """Return a row for each trial by its number: status, epochs, last values, setting.

        Accuracies are fractions of the rows, losses are in nats; of a pruned trial they are those
        of its last epoch.
        """
        import pandas as pd

        from sweep.search import describe

        rows = [describe(trial) for trial in self.record.trials()]
        return pd.DataFrame(rows).set_index("trial") if rows else pd.DataFrame()

    def classifier(self, trial: int | None = None) -> LinearClassifier:
        """Return the model of the selected trial, or of another, as it was after its last epoch.

        A selected trial that was tested with `refit` has the model of that.

        `predict(X)` takes rows (n, d) as they were given, not standardised, images flattened in
        channel, row, column order; it returns class numbers (n,).
        """
        from sweep.analysis import fetch_classifier, find_refit

        wanted = self._trial(trial)
        if trial is None:
            wanted = find_refit(self.record, wanted) or wanted
        return fetch_classifier(self.record, wanted, self.tracker)

    def confirm(
        self, *, top: int = 5, seeds: int = 10, ray: str | None = None, progress: bool = False
    ) -> Confirmation:
        """Train the best trials on fresh seeds; the best mean becomes the selected trial.

        What is on record is not trained again: more `seeds` later add the missing ones. Where
        MLflow is away, `sync` tells it later. `ray` is as in `run`.
        """
        from sweep.analysis import Confirming
        from sweep.terminal import watching_passes
        from sweep.timings import Timings

        data, tracker = self._rows()[0], self._reach(progress=progress)
        top, seeds = _whole("top", top, 1) or top, _whole("seeds", seeds, 2) or seeds
        confirming = Confirming(
            self.record,
            data,
            top=top,
            seeds=seeds,
            timings=Timings(),
            ray=ray,
            warned=partial(_tell, shown=progress),
        )
        with watching_passes(confirming.passes, shown=progress) as on_epoch:
            confirmation = confirming.run(on_epoch)
        if tracker is not None:
            try:
                self.sync(progress=progress)
            except SweepError as error:
                _tell(f"{error}; `sweep sync {self.name}` sends it later", shown=progress)
        return confirmation

    def reproduce(
        self,
        trial: int | None = None,
        *,
        tolerance: float = 1e-3,
        ray: str | None = None,
        progress: bool = False,
    ) -> Verdict:
        """Train the selected trial again, or another, and compare every curve point and weight.

        `verdict.holds` says whether it came out the same: `verdict.matches` is `bit for bit`,
        `within tolerance` (a relative difference) or `no`. `ray` is as in `run`.
        """
        from sweep.analysis import reproduce_trial
        from sweep.terminal import watching_epochs

        original = self._trial(trial)
        data, tracker = self._rows(original)[0], self._reach(progress=progress)
        with watching_epochs(max(1, original.epochs), shown=progress) as on_epoch:
            return reproduce_trial(
                self.record,
                original,
                data,
                tracker,
                tolerance=tolerance,
                on_epoch=on_epoch,
                ray=ray,
                warned=partial(_tell, shown=progress),
            )

    def test(self, *, refit: bool = False, progress: bool = False) -> HeldOutResult | None:
        """Open the test rows for the selected trial; the study counts how often.

        The search never sees these rows. The more often they are looked at, the less they tell.
        With `refit` its setting is trained again on training and validation rows, which makes the
        model that is tested, registered as `champion` and returned by `classifier` from then on.
        Where the data have no test rows, that is all, and None is returned. With `few_shot` it is
        trained again on each draw: the result is the mean over the models.

        Raises
        ------
        SweepError
            There are no test rows, and no `refit` is asked for.

        """
        from sweep.analysis import draw_models, open_test_rows, refuse_without_test_rows
        from sweep.analysis import refit as refit_trial
        from sweep.data import all_development_rows

        trial, few_shot = self.best, self.config.data.few_shot
        if refit and few_shot:
            raise SweepError(
                f"study {self.name!r} has found a setting for {few_shot} rows a class, not for all "
                "rows: leave --refit out, or run a study without --few-shot"
            )
        data, source = self._rows(trial)
        if not refit:
            refuse_without_test_rows(source)
        draws = draw_models(self.record, trial, data) if few_shot else []
        if refit:
            normalise = self.config.normalise_of(trial.params)
            rows = partial(all_development_rows, self.config.data, source, normalise)
            trial = refit_trial(self.record, trial, rows)
            self.sync(progress=progress)
            if not source.has_test:
                return None
        return open_test_rows(self.record, trial, source, self.tracker, refit=refit, draws=draws)[0]

    def predict(self, file: AnyPath | DataFiles, out: AnyPath) -> int:
        """Write label and probabilities of each row of a file; return how many rows there are.

        `file` is one that `run` takes, of rows as they were given, not standardised; labels in it
        are ignored. What `DataFiles` does not say, `label` and `names`, is as in the study's own
        file; columns of a table are taken by that one's names while it is there. `out` is a .csv or
        an .npz, and not `file`. The model is that of `classifier`.
        """
        from sweep.analysis import check_out, write_predictions
        from sweep.config import DataFiles
        from sweep.data import read_features

        files = file if isinstance(file, DataFiles) else DataFiles(str(file))
        check_out(Path(out), Path(files.data).expanduser())
        own = self.config.data.files or files
        rows = read_features(
            DataFiles(files.data, label=files.label or own.label, names=files.names or own.names),
            self.config.data,
        )
        write_predictions(self.classifier(), rows, Path(out))
        return len(rows)

    def report(self, out: AnyPath | None = None, *, file_format: str | None = None) -> Path:
        """Write what was found into a file, STUDY-report.html unless named; return its path."""
        from sweep.report import write_report

        return write_report([self.record], {self.name: self.tracker}, _path(out), file_format).path

    def sync(self, *, progress: bool = False) -> int:
        """Send MLflow what it lacks; return how many runs, besides the study's own."""
        from sweep.analysis import sync_study

        return sync_study(self.record, self.tracker, partial(_tell, shown=progress))

    def export(self, out: AnyPath | None = None) -> Exported:
        """Write the study into a file, STUDY.zip unless named, or into a folder."""
        from sweep.archive import export_study

        file = Path(out or "")
        if os.path.isdir(file):  # noqa: PTH112 - False where the name is none
            file /= f"{self.name}.zip"
        elif file.suffix.lower() != ".zip":
            raise SweepError(f"{file}: an archive ends in .zip; name one, or a folder, with --out")
        return export_study(self.record, self.tracker, file)

    @cached_property
    def tracker(self) -> Tracker:
        """The connection to MLflow."""
        from sweep.tracking import Tracker

        return Tracker(self.config.data.name, self.record.workspace, uri=self._uri)

    def _reach(self, *, progress: bool) -> Tracker | None:
        """Return the connection to MLflow; None, and a warning, where its server is away."""
        try:
            return self.tracker
        except StoreUnreachableError as error:
            later = f"the command goes on, and `sweep sync {self.name}` tells MLflow later"
            _tell(f"{error}; {later}", shown=progress)
            return None

    def _trial(self, number: int | None) -> TrialRecord:
        return self.best if number is None else self.record.trial(number)

    def _rows(self, trial: TrialRecord | None = None) -> tuple[Prepared, Source]:
        """Read the rows of the study or of one trial again, and check that they are the same."""
        from sweep.data import reopen_data, reopen_source

        _check_address(self.record.workspace, self._uri)
        source = reopen_source(self.config.data, self._data_dir, _named(self._data))
        normalise = None if trial is None else self.config.normalise_of(trial.params)
        return reopen_data(self.config.data, source, normalise), source


def compare(*studies: Study, progress: bool = False) -> Comparison:
    """Compare the selected trials of studies on the same test rows, which is counted for each.

    `comparison.sentence` says which is better, or that no difference is shown.
    """
    from sweep.analysis import check_comparable, compare_studies, log_comparison

    records = [study.record for study in studies]
    check_comparable(records)  # before the rows are read, which takes its time
    source, tracker = studies[0]._rows()[1], studies[0].tracker  # noqa: SLF001 - a friend
    comparison = compare_studies(records, source, tracker)
    try:
        log_comparison(comparison, records, tracker)
    except StoreUnreachableError as error:  # what it found stands on record all the same
        _tell(f"{error}; the figures of the comparison are not logged", shown=progress)
    return comparison


def import_study(
    file: AnyPath, *, name: str | None = None, data: AnyPath | None = None, folder: Folder = None
) -> Study:
    """Record a study that `Study.export` wrote; `data` is where its own data file lies here."""
    from sweep.archive import import_study, read_archive

    archive = read_archive(Path(file))
    return Study(import_study(archive, _workspace(folder), name=name, data=_path(data)))


def load_data(
    data: Data = "auto",
    *,
    data_dir: AnyPath | None = None,
    val_size: int | None = None,
    folds: int | None = None,
    split_seed: int = 0,
    normalise: str | Sequence[str] = NORMALISATIONS[0],
) -> Prepared:
    """Return training and validation rows, standardised by the training rows, for `Objective`.

    `data` is `digits`, `cifar10`, a file with `X` and `y`, `DataFiles`, arrays `(X, y)`, or `auto`:
    CIFAR-10 where it lies ready, else digits. `data_dir` is where CIFAR-10 lies. `.training` and
    `.validation` have `.rows` (n, d) in float32 and `.labels` (n,). The test rows are not among
    them. `normalise`: `standardise`, `unit` (each row to the length sqrt(d)) or `none`; where there
    are several, `Objective` chooses among them.

    Few rows are parted into 5 folds unless `val_size` rows are asked for, as by `run`: then both
    are all rows, and `.folds` (n,) says which fold holds each of them out.
    """
    from sweep.data import open_source, prepare, split_rows

    source = open_source(_named(data), _path(data_dir))
    dataset = source.development()
    split = split_rows(
        source,
        dataset,
        val_size=_whole("val_size", val_size, 1),
        folds=_whole("folds", folds, LEAST_FOLDS),
        split_seed=split_seed,
    )
    return prepare(dataset, split, normalise=normalise)


def train(
    *,
    data: Data = "auto",
    loss: str = LOSSES[0],
    epochs: int = EPOCHS,
    seed: int = 0,
    train_curve: str = TRAIN_CURVES[0],
    class_weight: str = CLASS_WEIGHTS[0],
    data_dir: AnyPath | None = None,
    val_size: int | None = None,
    folds: int | None = None,
    split_seed: int = 0,
    normalise: str = NORMALISATIONS[0],
    test: bool = False,
    folder: Folder = None,
    tracking_uri: str | None = None,
    progress: bool = False,
    **setting: float,
) -> SingleResult:
    """Train one setting outside any study, and log it as a run.

    Of `setting` (`l2`, `learning_rate`, ...) what is left out is the report's own.
    """
    from sweep.analysis import fill_hyperparameters, refuse_without_test_rows, train_single
    from sweep.data import auto_notice, choose_data, open_source, repeats_notice
    from sweep.search import row_weights
    from sweep.terminal import watching_epochs
    from sweep.tracking import Tracker

    if len(normalisations_of(normalise)) > 1:
        raise SweepError(f"a training has one normalisation: got {normalise!r}; name one of them")
    unknown = sorted(set(setting) - set(RULES))
    if unknown:
        raise SweepError(f"a setting has {', '.join(RULES)}: got {unknown[0]!r}")
    checked = {name: RULES[name].check(name, value) for name, value in setting.items()}
    workspace = _workspace(folder)
    _check_address(workspace, tracking_uri)
    source = open_source(_named(data), _path(data_dir))
    if data == "auto":
        _tell(auto_notice(source, _path(data_dir)), shown=progress)
    if test:
        refuse_without_test_rows(source)
    choice, rows = choose_data(
        source,
        val_size=_whole("val_size", val_size, 1),
        folds=_whole("folds", folds, LEAST_FOLDS),
        split_seed=split_seed,
        normalise=normalise,
        mirrored=True,
    )
    usual = repeats_notice(choice, usual=folds is None) if progress else ""
    for notice in (*([usual] if usual else []), *rows.notices):
        _tell(notice, shown=progress)
    hyperparameters = fill_hyperparameters(checked, loss, rows)
    row_weights(class_weight, rows)  # refuses other than one for each class
    with watching_epochs(epochs, shown=progress) as on_epoch:
        return train_single(
            hyperparameters,
            rows,
            choice,
            Tracker(choice.name, workspace, uri=tracking_uri),
            workspace,
            loss=loss,
            epochs=epochs,
            seed=seed,
            train_curve=train_curve,
            class_weight=class_weight,
            test_source=source if test else None,
            on_epoch=on_epoch,
            warned=partial(_tell, shown=progress),
        )


def _workspace(folder: Folder) -> Workspace:
    """Return where `mlruns/` lies; a later `os.chdir` does not move it."""
    if isinstance(folder, Workspace):
        return folder
    return Workspace(Path(folder or "").expanduser().absolute())


def _named(data: Any) -> Any:
    """Return arrays as they are, and the name of anything else."""
    return str(data) if isinstance(data, Path) else data


def _path(path: AnyPath | None) -> Path | None:
    return None if path is None else Path(path)


def _whole(name: str, value: Any, least: int) -> int | None:
    """Return a whole number, NumPy's too, that is not below `least`; None where none is given."""
    if value is None:
        return None
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise SweepError(f"{name} must be a whole number from {least} on: got {value!r}")
    return number


def _tell(notice: str, *, shown: bool) -> None:
    if shown:
        sys.stderr.write(f"{notice}\n")
    else:
        warnings.warn(notice, stacklevel=3)


def _check_address(workspace: Workspace, uri: str | None) -> None:
    from sweep.tracking import check_address, tracking_uri

    check_address(tracking_uri(uri, workspace))
