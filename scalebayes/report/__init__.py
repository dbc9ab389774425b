"""An HTML report on a fit."""

from scalebayes.report.page import write_report

__all__ = ["write_report"]
