"""Run folders -> one self-contained HTML page."""

from featherweight.report.page import write_report

__all__ = ["write_report"]
