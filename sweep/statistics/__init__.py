"""Pure numbers: what may be concluded from rows and trials, and how surely."""
