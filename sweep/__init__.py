"""Hyperparameter sweeps of linear image classifiers, tracked in MLflow.

>>> import sweep
>>> study = sweep.run(data="digits", loss="softmax", trials=50)
>>> study.best.params, study.confirm(), study.reproduce().holds
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
