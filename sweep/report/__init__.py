"""Reports: what some studies found, as one file to read."""

from sweep.report.collect import collect
from sweep.report.render import MARK, log_report, render_html, render_markdown, write

__all__ = ["MARK", "collect", "log_report", "render_html", "render_markdown", "write"]
