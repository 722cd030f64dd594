"""A study as one .zip file: `export_study` writes it, `import_study` records it elsewhere."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
