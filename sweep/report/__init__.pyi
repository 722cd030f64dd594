from .facts import collect as collect
from .render import MARK as MARK
from .render import render_html as render_html
from .render import render_markdown as render_markdown
from .render import with_pictures as with_pictures
from .render import write as write
from .render import write_report as write_report
from .tables import comparison_tables as comparison_tables
