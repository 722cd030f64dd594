from .export import Exported as Exported
from .export import export_study as export_study
from .load import Archive as Archive
from .load import import_study as import_study
from .load import read_archive as read_archive
