"""What an archive holds of a study, as it stands in memory, and as members."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.archive import container
from sweep.archive.plain import RefusedError, entries, items, line, read_json, write_json
from sweep.archive.readme import readme
from sweep.archive.study_record import (
    portable_settings,
    read_confirmation,
    read_openings,
    read_settings,
)
from sweep.archive.tables import curves_table, trials_table
from sweep.archive.trial_record import read_trial, trial_record
from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.opening import OpenStudy
from sweep.study.position import position_of, settled
from sweep.study.results import find_chosen
from sweep_model.linear import LinearClassifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from optuna.trial import FrozenTrial

    from sweep.settings import Settings

MAX_TRIALS = 100_000
MAX_CLASS_NAME = 80
STUDY_KEYS = ("settings", "chosen_trial", "test_openings", "confirmation")

CARRIED = (attributes.TEST_OPENINGS, attributes.CONFIRMATION)
"""What of a study's attributes travels beside its settings."""
LEFT = (attributes.CONFIRMING, attributes.COMPARISONS)
"""What does not: seeds that are half done are trained again, comparisons belong to several."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A study that is nowhere yet: not in a store, not in a file.

    Attributes
    ----------
    settings
        Of the study; where its data lie is not said.
    trials
        All ended, by number.
    known
        The study's attributes that are `CARRIED`, by key.
    model
        The weights that the chosen trial ended with; None where no trial is complete.

    """

    settings: Settings
    trials: list[FrozenTrial]
    known: dict[str, Any]
    model: LinearClassifier | None

    @cached_property
    def chosen(self) -> FrozenTrial | None:
        """The trial that the study answers with, by the rules of every other study."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(direction=self.settings.direction)
        study.add_trials(self.trials)
        for key, value in self.known.items():
            study.set_user_attr(key, value)
        return find_chosen(OpenStudy(study, self.settings, "", study._storage))  # noqa: SLF001 - in memory

    def members(self) -> dict[str, bytes]:
        """Return the members of the archive, the same bytes for the same study."""
        chosen = self.chosen
        study = {
            "settings": portable_settings(self.settings),
            "chosen_trial": None if chosen is None else chosen.number,
            "test_openings": self.known.get(attributes.TEST_OPENINGS, []),
            "confirmation": self.known.get(attributes.CONFIRMATION),
        }
        trials = ",\n".join(write_json(trial_record(trial)) for trial in self.trials)
        texts = {
            container.README: readme(self.settings, self.trials, chosen),
            container.STUDY: f"{write_json(study, indent=2)}\n",
            container.TRIALS: f"[\n{trials}\n]\n",
            container.TRIALS_TABLE: trials_table(self.trials),
            container.CURVES_TABLE: curves_table(self.trials),
        }
        members = {name: content.encode() for name, content in texts.items()}
        return members if self.model is None else members | {container.MODEL: _bytes(self.model)}


def read_contents(members: Mapping[str, bytes]) -> Contents:
    """Return what the members of an archive say; the tables and README are for people.

    Raises
    ------
    RefusedError
        They say what no study of sweep could.
    SweepError
        A setting breaks its rule.

    """
    study = entries(
        read_json(members[container.STUDY], container.STUDY), container.STUDY, STUDY_KEYS
    )
    settings = read_settings(study["settings"])
    listed = read_json(members[container.TRIALS], container.TRIALS)
    records = items(listed, container.TRIALS, MAX_TRIALS)
    trials = [read_trial(record, place, settings) for place, record in enumerate(records)]
    _check_positions(trials)
    openings = read_openings(study["test_openings"], trials)
    confirmation = read_confirmation(study["confirmation"], settings, trials)
    known = {
        **({attributes.TEST_OPENINGS: openings} if openings else {}),
        **({attributes.CONFIRMATION: confirmation} if confirmation is not None else {}),
    }
    content = members.get(container.MODEL)
    model = None if content is None else _read_model(content)
    contents = Contents(settings=settings, trials=trials, known=known, model=model)
    _check_chosen(contents, study["chosen_trial"])
    return contents


def _check_positions(trials: list[FrozenTrial]) -> None:
    """Refuse two results for one place in the sequence that the seed decides."""
    counts = Counter(position_of(trial) for trial in settled(trials))
    twice = [position for position, count in counts.items() if count > 1]
    if twice:
        raise RefusedError(f"position {twice[0]} has ended by itself twice")


def _check_chosen(contents: Contents, number: object) -> None:
    """Refuse another chosen trial than the study would choose, and another's model."""
    chosen, model = contents.chosen, contents.model
    if chosen is None:
        if number is not None or model is not None:
            raise RefusedError("no trial is complete, so there is no chosen one and no model")
        return
    if type(number) is not int or number != chosen.number:
        raise RefusedError(f"the chosen trial is {chosen.number} by the study's own rules")
    if model is None:
        raise RefusedError(f"it lacks {container.MODEL}, the model of the chosen trial")
    if model.digest != chosen.user_attrs[attributes.WEIGHTS_DIGEST]:
        raise RefusedError(f"{container.MODEL} is not the model that trial {number} ended with")
    if model.loss.name != contents.settings.loss:
        raise RefusedError(f"{container.MODEL} has another loss than the study")


def _read_model(content: bytes) -> LinearClassifier:
    """Read a classifier; nothing is unpickled, and its arrays are not compressed either."""
    with _scratch_file() as path:
        path.write_bytes(content)
        try:
            model = LinearClassifier.load(path)
        except ValueError as error:
            said = str(error).replace(str(path), container.MODEL)
            raise RefusedError(f"{' '.join(said.split()):.300}") from error
    for name in model.class_names:
        line(name, f"a class name in {container.MODEL}", MAX_CLASS_NAME)
    return model


def _bytes(model: LinearClassifier) -> bytes:
    with _scratch_file() as path:
        model.save(path)
        return path.read_bytes()


@contextmanager
def _scratch_file() -> Iterator[Path]:
    """Lend a file: classifiers keep themselves in files only."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder, container.MODEL)
    except OSError as error:
        raise SweepError(
            f"{tempfile.gettempdir()}: a temporary file cannot be written: {error.strerror}; make "
            "room there, or name another folder with TMPDIR"
        ) from error
