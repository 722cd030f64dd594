"""A study as one .zip file: `export_study` writes it, `import_study` records it elsewhere."""

from sweep.archive.export import Exported, export_study
from sweep.archive.load import Archive, import_study, read_archive

__all__ = ["Archive", "Exported", "export_study", "import_study", "read_archive"]
