"""The search: what is tried, what is given up, how a study runs and what it records."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
