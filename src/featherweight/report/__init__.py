"""Write an HTML report about run folders, as one file that needs no other files."""

from featherweight.report.page import write_report

__all__ = ["write_report"]
