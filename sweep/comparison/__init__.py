"""Some studies side by side: which chosen trial is better on the same test rows, and how surely."""
