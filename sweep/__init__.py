"""Hyperparameter sweeps of linear image classifiers, tracked in MLflow."""
