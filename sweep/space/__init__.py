"""The search space of the five hyperparameters: axes, defaults per loss, files and overrides."""

from sweep.space.axes import NAMES, RULES, Axis, Choices, Number, Range
from sweep.space.defaults import BASELINES, DEFAULT_SPACES
from sweep.space.reading import axis_from_text, read_space, space_from_record
from sweep.space.space import Space

__all__ = [
    "BASELINES",
    "DEFAULT_SPACES",
    "NAMES",
    "RULES",
    "Axis",
    "Choices",
    "Number",
    "Range",
    "Space",
    "axis_from_text",
    "read_space",
    "space_from_record",
]
