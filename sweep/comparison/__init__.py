"""Studies side by side: which selected trial is better on the same test rows, and how surely."""

from sweep.comparison.compare import check_comparable, compare, stored_comparison
from sweep.comparison.comparison import Answers, Comparison, Difference, Search
from sweep.comparison.run import comparison_figures, log_comparison

__all__ = [
    "Answers",
    "Comparison",
    "Difference",
    "Search",
    "check_comparable",
    "compare",
    "comparison_figures",
    "log_comparison",
    "stored_comparison",
]
