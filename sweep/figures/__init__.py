"""Everything that draws with matplotlib: figures of one training, of its weights, of a study."""

from sweep.figures.curves import curves_figure
from sweep.figures.history import history_figure
from sweep.figures.importance import importance_figure
from sweep.figures.parallel import parallel_figure
from sweep.figures.slices import slice_figure
from sweep.figures.weights import weights_figure, weights_montage

__all__ = [
    "curves_figure",
    "history_figure",
    "importance_figure",
    "parallel_figure",
    "slice_figure",
    "weights_figure",
    "weights_montage",
]
