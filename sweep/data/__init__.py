"""Where images come from: opened, checked, split and standardised."""

from sweep.data.dataset import Dataset
from sweep.data.opening import auto_notice, cache_folder, open_source
from sweep.data.prepare import Prepared, prepare
from sweep.data.source import Source
from sweep.data.split import Split, split_rows

__all__ = [
    "Dataset",
    "Prepared",
    "Source",
    "Split",
    "auto_notice",
    "cache_folder",
    "open_source",
    "prepare",
    "split_rows",
]
