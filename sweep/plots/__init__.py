"""Everything that draws with matplotlib: one training, a study, studies compared."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
