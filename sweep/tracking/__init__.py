"""MLflow: the connection, the mirror, what it shows of a study, and its pages."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
