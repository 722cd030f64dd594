"""Whether machine, folder and stores are as they should be, and making MLflow so again."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
