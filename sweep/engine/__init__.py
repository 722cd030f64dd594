"""Train many trainings at once: what an engine does, and the one that uses this machine."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
