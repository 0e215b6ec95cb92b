"""The sheet Graphs: one chart with the error of all rates, and one chart per rate."""

from __future__ import annotations

from typing import Any

from xlsxwriter import Workbook

from featherweight.byhand.layout import BLOCK_ROW, FIRST_ROW, Book, sheet_name
from featherweight.byhand.look import Look, rate_colour

SHEET = "Graphs"
TABLE_ROW = 4
SMALL, PER_LINE, SMALL_AT, SMALL_ROWS = {"width": 400, "height": 260}, 3, 28, 14


def write_graphs_sheet(file: Workbook, look: Look, book: Book) -> None:
    """Add the sheet Graphs: a live table of the rates, one chart of all rates, one chart per rate."""
    sheet = file.add_worksheet(SHEET)
    sheet.hide_gridlines(2)
    sheet.set_column("A:A", 2)
    sheet.set_column("B:D", 16)
    sheet.write("B1", "The error as training goes on", look.title)
    sheet.write("B2", "E_total before each update: lower is better. The charts follow the sheets.")
    last = len(next(iter(book.runs.values()))) - 1
    for letters, heading in zip("BCD", ("learning rate", "E_total, update 0", f"E_total, update {last}"), strict=True):
        sheet.write(f"{letters}{TABLE_ROW}", heading, look.heading)
    together = file.add_chart({"type": "scatter", "subtype": "straight"})
    for index, (rate, rows) in enumerate(book.runs.items()):
        at, name = TABLE_ROW + 1 + index, sheet_name(rate)
        sheet.write_formula(f"B{at}", f"=\"rate \"&'{name}'!$A${BLOCK_ROW}", None, f"rate {rate:.12g}")
        for letters, row, cell_row in (("C", rows[0], FIRST_ROW), ("D", rows[-1], book.last_row)):
            formula = f"='{name}'!{book.cell('E_total', cell_row)}"
            sheet.write_formula(f"{letters}{at}", formula, look.fine, row["E_total"])
        series = curve(book, rate, rate_colour(index, len(book.runs))) | {"name": f"={SHEET}!$B${at}"}
        together.add_series(series)
        own = file.add_chart({"type": "scatter", "subtype": "straight"})
        own.add_series(series)
        format_chart(own, f"={SHEET}!$B${at}", last)
        line, place = divmod(index, PER_LINE)
        sheet.insert_chart(
            SMALL_AT + line * SMALL_ROWS, 1, own,
            {"x_offset": place * (SMALL["width"] + 10), "description": f"E_total by update at learning rate {rate:g}"},
        )
    format_chart(together, "All learning rates", last)
    together.set_legend({"position": "right"})
    together.set_size({"width": 850, "height": 460})
    sheet.insert_chart("F4", together, {"description": "E_total by update, a curve for each learning rate"})
    sheet.set_landscape()
    sheet.fit_to_pages(1, 1)
    lines = -(-len(book.runs) // PER_LINE)
    sheet.print_area(f"A1:T{SMALL_AT + lines * SMALL_ROWS}")


def curve(book: Book, rate: float, colour: str) -> dict[str, Any]:
    """Return the chart series of one rate: E_total against the number of the update."""
    name, letters = sheet_name(rate), book.columns["E_total"]
    return {
        "categories": f"='{name}'!$A${FIRST_ROW}:$A${book.last_row}",
        "values": f"='{name}'!${letters}${FIRST_ROW}:${letters}${book.last_row}",
        "line": {"color": colour, "width": 2},
    }


def format_chart(chart: Any, title: str, last: int) -> None:
    """Set title, axes, size and legend of a chart. Both axes start at zero."""
    chart.set_title({"name": title, "name_font": {"size": 12}})
    chart.set_x_axis({"name": "update", "min": 0, "max": last, "major_gridlines": {"visible": False}})
    chart.set_y_axis({"name": "E_total", "min": 0, "num_format": "0.00", "major_gridlines": {"visible": True,
                      "line": {"color": "#E5E5E5"}}})
    chart.set_size(SMALL)
    chart.set_legend({"none": True})
