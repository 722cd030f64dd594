"""What every source of data offers, and keeps sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.data.dataset import Dataset

# last: the last val_size rows validate. given: the same, and their number is fixed.
# stratified: val_size rows drawn by the split seed, every class with its share.
SplitKind: TypeAlias = Literal["last", "given", "stratified"]


class Source(Protocol):
    """Where one data set comes from. Opening one reads little; the rows come when asked for.

    The test rows are sealed: `development` never returns them, and only `test` reads them.
    """

    @property
    def name(self) -> str:
        """What studies and runs call the data set."""

    @property
    def location(self) -> str:
        """A phrase that says where the data lie."""

    @property
    def folder(self) -> Path | None:
        """Where `--data-dir` would have to point to find it again; None where it lies nowhere."""

    @property
    def official(self) -> bool | None:
        """Whether the bytes are the published ones; None where no bytes were published."""

    @property
    def official_note(self) -> str:
        """How `official` is known, as a phrase."""

    @property
    def split_kind(self) -> SplitKind:
        """How validation rows are parted from training rows."""

    @property
    def default_val_size(self) -> int:
        """How many validation rows there are unless the user says otherwise."""

    @property
    def has_test(self) -> bool:
        """Whether `test` has rows to return."""

    def development(self) -> Dataset:
        """Return the rows to train and validate on, or raise SweepError."""

    def test(self) -> Dataset:
        """Return the test rows; SweepError where there are none."""
