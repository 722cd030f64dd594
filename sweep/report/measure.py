"""How the values of an objective are written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweep.report.words import fixed, percent

PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


@dataclass(frozen=True)
class Measure:
    """How the values of an objective are written: accuracies in percent, losses in nats.

    Attributes
    ----------
    metric
        `val/accuracy` or `val/loss`.

    """

    metric: str

    @property
    def is_accuracy(self) -> bool:
        """Whether the values are fractions of rows."""
        return self.metric.endswith("accuracy")

    @property
    def noun(self) -> str:
        """What is measured, e.g. `validation accuracy`."""
        return "validation accuracy" if self.is_accuracy else "validation loss"

    @property
    def unit(self) -> str:
        """Of a value."""
        return "%" if self.is_accuracy else "nats"

    @property
    def gap_unit(self) -> str:
        """Of a difference."""
        return "points" if self.is_accuracy else "nats"

    def value(self, value: float | None, *, fine: bool = False) -> str:
        """Return a value without its unit; a mean over seeds is worth a further digit."""
        if self.is_accuracy:
            return percent(value, 2 if fine else 1)
        return fixed(value, 4)

    def spoken(self, value: float | None) -> str:
        """Return a value with its unit, e.g. `41.3 %`."""
        return f"{self.value(value)} {self.unit}"

    def gap(self, value: float | None) -> str:
        """Return a difference or a spread without its unit."""
        return self.value(value, fine=True)

    def mean(self, mean: float, error: float) -> str:
        """Return a mean with its standard error and unit, e.g. `41.29 +- 0.05 %`."""
        spread = f" {PLUS_MINUS} {self.gap(error)}" if math.isfinite(error) else ""
        return f"{self.value(mean, fine=True)}{spread} {self.unit}"
