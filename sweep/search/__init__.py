"""The search: what is tried, what is given up, how a study runs and what it records."""
