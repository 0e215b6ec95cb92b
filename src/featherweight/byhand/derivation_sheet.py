"""The sheet Derivation: every step of the computation in plain notation, with a link to its column."""

from __future__ import annotations

from itertools import groupby

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from featherweight.byhand.formulas import Quantity
from featherweight.byhand.layout import FIRST_ROW, HEADER_ROW, Book
from featherweight.byhand.look import Look

SHEET = "Derivation"
HEADINGS = ("number", "chain rule", "formula", "column", "at update 0", "what it is")
WIDTHS = (12, 52, 62, 10, 14, 62)
INTRODUCTION = (
    "A weight is moved against its gradient, which says how E_total changes with the weight: "
    "new weight = weight - rate * gradient.",
    "The chain rule gives the gradient in steps, and the sheets keep each step in a column: "
    "from the error back to each neuron, and from the neuron to its weights.",
    "A hidden neuron moves the error along two paths, through o1 and through o2: what the two give is added.",
)
TABLE_ROW = 6


def write_derivation_sheet(file: Workbook, look: Look, book: Book) -> None:
    """Add the sheet Derivation. Its links and live values point to the sheet of the first rate."""
    sheet = file.add_worksheet(SHEET)
    sheet.hide_gridlines(2)
    for index, width in enumerate(WIDTHS):
        sheet.set_column(index, index, width)
    sheet.write("A1", "Where every formula comes from", look.title)
    sheet.write_column("A2", INTRODUCTION)
    sheet.write_row(f"A{TABLE_ROW}", HEADINGS, look.heading)
    at = TABLE_ROW
    for group, members in groupby(book.quantities, key=lambda quantity: quantity.group):
        at += 1
        sheet.merge_range(f"A{at}:F{at}", group, look.sections[group])
        for quantity in members:
            at += 1
            write_derivation(sheet, look, book, quantity, at)
    sheet.write(f"A{at + 2}", f"The columns are those of every LR sheet; update 0 is row {FIRST_ROW}.", look.pale)
    sheet.freeze_panes(TABLE_ROW, 1)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(TABLE_ROW - 1)


def write_derivation(sheet: Worksheet, look: Look, book: Book, quantity: Quantity, at: int) -> None:
    """Write line `at`: name of a number, chain rule, formula, link to its column, first value, meaning."""
    name, first = quantity.name, next(iter(book.runs.values()))[0]
    sheet.write(f"A{at}", name, look.name)
    sheet.write(f"B{at}", f"{name} = {quantity.chain}" if quantity.chain else "", look.notation)
    sheet.write(f"C{at}", f"{name} = {formula(quantity)}", look.notation)
    link = f"internal:'{book.first_sheet}'!{book.cell(name, HEADER_ROW)}"
    sheet.write_url(f"D{at}", link, look.where, book.columns[name])
    sheet.write_formula(f"E{at}", f"='{book.first_sheet}'!{book.cell(name)}", look.fine, first[name])
    sheet.write(f"F{at}", quantity.meaning, look.text)


def formula(quantity: Quantity) -> str:
    """Return the formula of a number in terms of other names, or "a starting value"."""
    if quantity.formula:
        return quantity.formula
    if quantity.name[0] in "wb":
        return f"{quantity.name} - rate*∂E/∂{quantity.name}, of the row before"
    return "a starting value"
