"""The record of a study: Optuna's store, read and written by public names.

A trial begins in one transaction, and ends in several of which the last commits it: a trial that is
RUNNING has not ended, whatever else stands with it. What Optuna has no field for stands in one user
attribute. Trials of other programs in the same study carry no such attribute and are left alone.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import uuid4

from sweep.config import StudyConfig
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search.storage import (
    add_trial,
    claim_trial,
    fail_waiting_trial,
    one_transaction,
    open_storage,
    quiet_optuna,
    reaching_store,
    set_intermediate_values,
    set_trial_attribute,
)
from sweep.search.trials import Status, TrialRecord, best_trial, tally
from sweep.search_space import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from sweep.search_space import Axis
    from sweep.workspace import Workspace

TRIAL = "sweep"
"""The user attribute of a trial."""
REFUSED = "sweep:refused"
"""That of a queued trial that cannot be tried; these are the study's:"""
IDENTITY = "sweep:id"
CONFIG = "sweep:config"
BUDGETS = "sweep:budgets"
TEST_OPENINGS = "sweep:test_openings"
CONFIRMATION = "sweep:confirmation"
CONFIRMING = "sweep:confirming"
IN_FULL = "sweep:in_full"
"""Pruned trials that were trained to their end after the search, by number."""
REFITS = "sweep:refits"
"""Selected trials that were trained on training and validation rows, by number."""
COMPARISONS = "sweep:comparisons"
IMPORTANCES = "sweep:importances"
"""Of the trials whose digest stands with them: computing them takes a second."""
IMPORTED = "sweep:imported"
"""SHA-256 of the archive that the study comes from. Without `CONFIG` beside it, an import died."""
OLD_CONFIG = "sweep:settings"
"""What version 0.1 wrote in place of `CONFIG`."""


class Queued(NamedTuple):
    """A setting that a user queued with `enqueue_trial`; it may be part of one."""

    number: int
    params: dict[str, Any]


class Budget(NamedTuple):
    """From a pass on, how many finished trials the study is to have; 0: none may begin."""

    first_pass: int
    trials: int


class Record(Protocol):
    """What a run of a study reads and writes, so that it can be tested without any store."""

    def trials(self) -> list[TrialRecord]:
        """Return the study's trials, by number."""

    def queued(self) -> list[Queued]:
        """Return what users queued, by number."""

    def budgets(self) -> list[Budget]:
        """Return the budgets so far, by pass."""

    def add_budget(self, budget: Budget) -> None:
        """Add a budget, for a pass that is not over."""

    def begin(self, trial: TrialRecord, queued: Queued | None) -> int:
        """Begin a trial, which has no number unless it was queued; return its number."""

    def refuse(self, queued: Queued, reason: str) -> None:
        """End a queued trial as failed: its setting cannot be tried."""

    def end(self, trial: TrialRecord) -> None:
        """End a trial: all of it, or it is still running."""


@dataclass(frozen=True)
class StudyRecord:
    """A study of the store with the config that it recorded."""

    optuna: optuna.Study
    config: StudyConfig
    identity: str
    """Tells this study's runs from those of a namesake, where folders share an MLflow server."""
    workspace: Workspace
    storage: BaseStorage = field(repr=False)

    @property
    def name(self) -> str:
        """The study's name, in both stores."""
        return self.config.study

    @property
    def tags(self) -> dict[str, str]:
        """The tags that all runs of this study carry, and no other's."""
        return {"study": self.name, "study_id": self.identity}

    def trials(self) -> list[TrialRecord]:
        """Return the study's trials, by number."""
        return [record for trial in self._all() if (record := _trial_record(trial)) is not None]

    def trial(self, number: int) -> TrialRecord:
        """Return a trial by its number."""
        trials = self.trials()
        found = next((trial for trial in trials if trial.number == number), None)
        if found is None:
            raise SweepError(
                f"study {self.name!r} has no trial {number} of its own: it has {len(trials)}; "
                f"`sweep show {self.name}` lists them"
            )
        return found

    def foreign(self) -> list[int]:
        """Return the numbers of trials that other programs put into the study."""
        from optuna.trial import TrialState

        return [
            trial.number
            for trial in self._all()
            if not {TRIAL, REFUSED} & trial.user_attrs.keys() and trial.state != TrialState.WAITING
        ]

    def refused(self) -> list[int]:
        """Return the numbers of queued trials whose settings could not be tried."""
        return [trial.number for trial in self._all() if REFUSED in trial.user_attrs]

    def queued(self) -> list[Queued]:
        """Return what users queued, by number."""
        from optuna.trial import TrialState

        return [
            Queued(trial.number, dict(trial.system_attrs.get("fixed_params", {})))
            for trial in self._all()
            if trial.state == TrialState.WAITING and TRIAL not in trial.user_attrs
        ]

    def budgets(self) -> list[Budget]:
        """Return the budgets so far, by pass."""
        return [Budget(*each) for each in self.attribute(BUDGETS, [])]

    def add_budget(self, budget: Budget) -> None:
        """Add a budget, for a pass that is not over."""
        self.set_attribute(BUDGETS, [*self.budgets(), budget])

    def begin(self, trial: TrialRecord, queued: Queued | None) -> int:
        """Begin a trial, all of it or nothing; return its number."""
        from optuna.trial import TrialState, create_trial

        axes = self.config.space.axes
        distributions = {name: axis.distribution() for name, axis in axes.items()}
        attribute = _attribute(trial)
        with reaching_store(self.workspace):
            if queued is None:
                begun = create_trial(
                    state=TrialState.RUNNING,
                    params=trial.params,
                    distributions=distributions,
                    user_attrs={TRIAL: attribute},
                )
                return add_trial(self.storage, self.name, begun)
            with one_transaction(self.storage):
                set_trial_attribute(self.storage, self.name, queued.number, TRIAL, attribute)
                claim_trial(self.storage, self.name, queued.number, trial.params, distributions)
            return queued.number

    def refuse(self, queued: Queued, reason: str) -> None:
        """End a queued trial as failed: its setting cannot be tried."""
        with reaching_store(self.workspace), one_transaction(self.storage):
            set_trial_attribute(self.storage, self.name, queued.number, REFUSED, reason)
            fail_waiting_trial(self.storage, self.name, queued.number)

    def end(self, trial: TrialRecord) -> None:
        """End a trial: all of it, or it is still running."""
        from optuna.trial import TrialState

        values = trial.curves.get(self.config.metric, [])
        value = values[-1] if trial.status == Status.COMPLETE else None
        with reaching_store(self.workspace), one_transaction(self.storage):
            set_trial_attribute(self.storage, self.name, trial.number, TRIAL, _attribute(trial))
            set_intermediate_values(self.storage, self.name, trial.number, values)
            self.optuna.tell(trial.number, value, state=TrialState[trial.status.optuna])

    def attribute(self, key: str, default: Any = None) -> Any:
        """Return what the study records under a name of this module."""
        with reaching_store(self.workspace):
            return self.optuna.user_attrs.get(key, default)

    def set_attribute(self, key: str, value: object) -> None:
        """Record something of the study beside its trials."""
        with reaching_store(self.workspace):
            self.optuna.set_user_attr(key, value)

    def _all(self) -> list[FrozenTrial]:
        with reaching_store(self.workspace):
            return self.optuna.get_trials(deepcopy=False)


def _attribute(trial: TrialRecord) -> dict[str, Any]:
    """What Optuna has no field for, as plain values."""
    plain = dict(vars(trial))
    for name in ("number", "status"):  # which the store has
        del plain[name]
    return plain


def _trial_record(trial: FrozenTrial) -> TrialRecord | None:
    attribute = trial.user_attrs.get(TRIAL)
    if not isinstance(attribute, dict):
        return None
    status = next((s for s in Status if s.optuna == trial.state.name), Status.RUNNING)
    return TrialRecord(number=trial.number, status=status, **attribute)


def begin_study(config: StudyConfig, storage: BaseStorage, workspace: Workspace) -> StudyRecord:
    """Create the study, or open it where it was begun with this config; the caller has its lock.

    The identity is written first and the config last: a study without a config has not begun.
    Where its data lie now is recorded anew.
    """
    import optuna

    with reaching_store(workspace):
        with quiet_optuna(), suppress(optuna.exceptions.DuplicatedStudyError):
            optuna.create_study(
                study_name=config.study, storage=storage, direction=config.direction
            )
        study = optuna.load_study(study_name=config.study, storage=storage)
        directions = [way.name.lower() for way in study.directions]
        if _is_bare(study) and directions == [config.direction]:
            if IDENTITY not in study.user_attrs:
                study.set_user_attr(IDENTITY, uuid4().hex)
            study.set_user_attr(CONFIG, config.record())
    existing = load_study(config.study, storage, workspace)
    refuse_other_config(existing.config, config)
    recorded, now = existing.config.data, config.data
    data = replace(recorded, source=now.source, directory=now.directory, parts=now.parts)
    if data == recorded:
        return existing
    moved = replace(existing.config, data=data)
    with reaching_store(workspace):
        study.set_user_attr(CONFIG, moved.record())
    return replace(existing, config=moved)


def _is_bare(study: optuna.Study) -> bool:
    """Whether a study is there by its name alone: a user may have created it, or we just did."""
    return study.user_attrs.keys() <= {IDENTITY} and not study.get_trials()


def find_study(name: str, workspace: Workspace) -> StudyRecord | None:
    """Open a study of a working folder by its name; None where none of that name has begun."""
    import optuna

    if not workspace.optuna_database.exists():
        return None
    storage = open_storage(workspace)
    with reaching_store(workspace):
        if name not in optuna.get_all_study_names(storage):
            return None
        if _is_bare(optuna.load_study(study_name=name, storage=storage)):
            return None
    return load_study(name, storage, workspace)


@contextmanager
def importing_study(
    config: StudyConfig,
    trials: Iterable[TrialRecord],
    attributes: Mapping[str, object],
    storage: BaseStorage,
    workspace: Workspace,
    *,
    archive: str,
) -> Iterator[None]:
    """Record a study of trials from elsewhere; the caller has its lock.

    As in `begin_study` the config is written last, after the block: where the block raises, or the
    process dies, there is no study. `archive` is the SHA-256 of the file that the trials are from.
    """
    import optuna

    name = config.study
    with reaching_store(workspace):
        _forget_died_import(name, storage)
        try:
            with quiet_optuna():
                study = optuna.create_study(
                    study_name=name, storage=storage, direction=config.direction
                )
        except optuna.exceptions.DuplicatedStudyError as error:
            raise SweepError(
                f"a study named {name!r} is here already; import it under another name with "
                "--as NAME"
            ) from error
        try:
            study.set_user_attr(IDENTITY, uuid4().hex)
            study.set_user_attr(IMPORTED, archive)
            study.add_trials(_imported_trials(config, trials))
            for key, value in attributes.items():
                study.set_user_attr(key, value)
            yield
            study.set_user_attr(CONFIG, config.record())
        except BaseException:
            with suppress(Exception):
                optuna.delete_study(study_name=name, storage=storage)
            raise


def _forget_died_import(name: str, storage: BaseStorage) -> None:
    import optuna

    with suppress(KeyError):
        attributes = optuna.load_study(study_name=name, storage=storage).user_attrs
        if IMPORTED in attributes and CONFIG not in attributes:
            optuna.delete_study(study_name=name, storage=storage)


def _imported_trials(config: StudyConfig, trials: Iterable[TrialRecord]) -> Iterator[FrozenTrial]:
    """Yield the trials as Optuna's, by number.

    A trial keeps its number, since its flips depend on it: where a number is missing, which another
    program's trial had, a failed trial without sweep's attribute takes it.
    """
    from optuna.trial import TrialState, create_trial

    number = 0
    for trial in trials:
        for _ in range(number, trial.number):
            yield create_trial(state=TrialState.FAIL)
        number = trial.number + 1
        values = trial.curves.get(config.metric, [])
        imported = create_trial(
            state=TrialState[trial.status.optuna],
            # As `tell` has it: also of a pruned trial.
            value=values[-1] if trial.status in (Status.COMPLETE, Status.PRUNED) else None,
            params=trial.params,
            distributions={
                name: _distribution(axis, trial.params[name])
                for name, axis in config.space.axes.items()
            },
            user_attrs={TRIAL: _attribute(trial)},
            intermediate_values=dict(enumerate(values, start=1)),
        )
        imported.datetime_start = datetime.fromtimestamp(trial.began / 1000)  # noqa: DTZ006 - Optuna's are local
        if trial.ended is not None:
            imported.datetime_complete = datetime.fromtimestamp(trial.ended / 1000)  # noqa: DTZ006
        yield imported


def _distribution(axis: Axis, value: float) -> BaseDistribution:
    """Return the axis in Optuna's terms, with room for a value that a user queued outside of it."""
    if isinstance(axis, Range):
        axis = replace(axis, low=min(axis.low, value), high=max(axis.high, value))
    return axis.distribution()


def refuse_other_config(recorded: StudyConfig, asked: StudyConfig) -> None:
    """Refuse to go on with a study by another config than it was begun with."""
    differences = recorded.differences(asked)
    if differences:
        raise SweepError(
            f"study {recorded.study!r} was begun with another config (recorded -> now): "
            f"{'; '.join(differences)}; go on with it as it was begun, or name another study"
        )


def load_study(name: str, storage: BaseStorage, workspace: Workspace) -> StudyRecord:
    """Open a study by its name."""
    import optuna

    try:
        with reaching_store(workspace):
            study = optuna.load_study(study_name=name, storage=storage)
            attributes: Mapping[str, Any] = study.user_attrs
    except (KeyError, UnicodeEncodeError) as error:  # bytes that are no text name none either
        names = ", ".join(study_names(storage, workspace)) or "none yet"
        raise SweepError(f"no study is named {name!r} here; there are: {names}") from error
    if OLD_CONFIG in attributes:
        raise SweepError(
            f"study {name!r} was made by sweep 0.1, and this is a later version: read it with "
            "sweep 0.1 (`sweep report`, `sweep export`), or name a new study"
        )
    record = attributes.get(CONFIG)
    if not isinstance(record, dict) or record.get("study") != name:
        raise SweepError(
            f"study {name!r} was not begun by sweep: it records no config; "
            "`sweep list` has those that were, and `sweep run NAME` begins a new one"
        )
    config = StudyConfig.from_record(record)
    return StudyRecord(study, config, attributes.get(IDENTITY, name), workspace, storage)


def open_study(name: str, workspace: Workspace) -> StudyRecord:
    """Open a study of a working folder by its name."""
    return load_study(name, open_storage(workspace), workspace)


def recorded_studies(
    storage: BaseStorage, workspace: Workspace
) -> tuple[list[StudyRecord], list[SweepError]]:
    """Open every study of sweep, in alphabetical order; return too why some cannot be read."""
    import optuna

    with reaching_store(workspace):
        summaries = optuna.get_all_study_summaries(storage)
    studies, unreadable = [], []
    for summary in sorted(summaries, key=lambda summary: summary.study_name):
        if CONFIG in summary.user_attrs:
            try:
                studies.append(load_study(summary.study_name, storage, workspace))
            except StoreUnreachableError:
                raise
            except SweepError as error:
                unreadable.append(error)
    return studies, unreadable


def other_studies(storage: BaseStorage, workspace: Workspace) -> tuple[list[str], list[str]]:
    """Return the names of the studies of sweep 0.1, and of those of other programs."""
    import optuna

    with reaching_store(workspace):
        summaries = optuna.get_all_study_summaries(storage)
    others = [summary for summary in summaries if CONFIG not in summary.user_attrs]
    earlier = {each.study_name for each in others if OLD_CONFIG in each.user_attrs}
    return sorted(earlier), sorted({each.study_name for each in others} - earlier)


def study_names(storage: BaseStorage, workspace: Workspace) -> list[str]:
    """Return the names of all studies of the store, in alphabetical order."""
    import optuna

    with reaching_store(workspace):
        return sorted(optuna.get_all_study_names(storage))


def summarise(study: StudyRecord) -> dict[str, Any]:
    """Return a study's counts and best result as plain values, under stable names."""
    from sweep.search.trials import nan_to_none

    trials = study.trials()
    counts, best = tally(trials), best_trial(study.config, trials)
    return {
        "study": study.name,
        "data": study.config.data.name,
        "loss": study.config.loss,
        "complete": counts.complete,
        "pruned": counts.pruned,
        "failed": counts.failed,
        "best_trial": None if best is None else best.number,
        "val/accuracy": None if best is None else nan_to_none(best.last("val/accuracy")),
        "val/loss": None if best is None else nan_to_none(best.last("val/loss")),
    }
