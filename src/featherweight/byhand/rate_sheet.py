"""The sheet of one learning rate: a block of inputs, then one row per update. Every number is a formula."""

from __future__ import annotations

from itertools import groupby

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from featherweight.byhand.formulas import FORWARD, GIVEN, Quantity
from featherweight.byhand.layout import (
    BLOCK_NAMES_ROW,
    BLOCK_ROW,
    FIRST_ROW,
    GROUP_ROW,
    HEADER_ROW,
    LEGEND_ROW,
    TITLE_ROW,
    Book,
    defined_name,
    sheet_name,
)
from featherweight.byhand.look import Look
from featherweight.byhand.network import Row
from featherweight.byhand.start import LARGEST_RATE

WIDTHS = {GIVEN: 9, FORWARD: 10}
COLUMNS_ON_PAPER, ROWS_ON_PAPER = 24, 75


def write_rate_sheet(file: Workbook, look: Look, book: Book, rate: float) -> None:
    """Add the sheet of one learning rate."""
    sheet = file.add_worksheet(sheet_name(rate))
    write_block(file, sheet, look, book, rate)
    write_header(sheet, look, book)
    write_rows(sheet, look, book, book.runs[rate])
    sheet.freeze_panes(HEADER_ROW, 1)
    sheet.set_landscape()
    sheet.set_paper(8)                  # A3
    sheet.fit_to_pages(-(-len(book.quantities) // COLUMNS_ON_PAPER), -(-len(book.runs[rate]) // ROWS_ON_PAPER))
    sheet.repeat_columns("A:A")
    sheet.repeat_rows(GROUP_ROW - 1, HEADER_ROW - 1)


def write_block(file: Workbook, sheet: Worksheet, look: Look, book: Book, rate: float) -> None:
    """Write the block of inputs: the rate, and the starting values linked to sheet Network.

    Each cell gets a defined name on this sheet. The user may change all of them.
    """
    sheet.write(f"A{TITLE_ROW}", "The network trained by hand: a row for each update", look.title)
    sheet.write(f"A{LEGEND_ROW}", "blue", look.typed)
    sheet.write(f"B{LEGEND_ROW}", "is typed in: change it and all below recomputes.")
    sheet.write(f"H{LEGEND_ROW}", "green", look.linked)
    sheet.write(f"I{LEGEND_ROW}", "comes from sheet Network; type over it to change this sheet alone.")
    named = {"rate": "A"} | {name: book.columns[name] for name in book.start}
    for name, letters in named.items():
        sheet.write(f"{letters}{BLOCK_NAMES_ROW}", name, look.name)
        cell = f"${letters}${BLOCK_ROW}"
        file.define_name(f"'{sheet.name}'!{defined_name(name)}", f"='{sheet.name}'!{cell}")
    sheet.write_number(f"A{BLOCK_ROW}", rate, look.typed)
    sheet.data_validation(f"A{BLOCK_ROW}", {
        "validate": "decimal", "criteria": "between", "minimum": 0, "maximum": LARGEST_RATE,
        "input_title": "Learning rate", "input_message": "How far each update steps down the gradient.",
    })
    for name, value in book.start.items():
        sheet.write_formula(f"{named[name]}{BLOCK_ROW}", f"=Network!{book.start_cell(name)}", look.linked, value)


def write_header(sheet: Worksheet, look: Look, book: Book) -> None:
    """Write the two frozen heading rows: the group of each column, and its name with an explanatory note."""
    sheet.write(f"A{HEADER_ROW}", "update", look.headers[GIVEN])
    sheet.set_column("A:A", 8)
    for group, members in groupby(book.quantities, key=lambda quantity: quantity.group):
        letters = [book.columns[quantity.name] for quantity in members]
        sheet.merge_range(f"{letters[0]}{GROUP_ROW}:{letters[-1]}{GROUP_ROW}", group, look.bands[group])
        sheet.set_column(f"{letters[0]}:{letters[-1]}", WIDTHS.get(group, 13))
    for quantity in book.quantities:
        cell = book.cell(quantity.name, HEADER_ROW)
        sheet.write(cell, quantity.name, look.headers[quantity.group])
        sheet.write_comment(cell, note(quantity), {"x_scale": 1.6, "y_scale": 0.8, "author": "featherweight"})


def note(quantity: Quantity) -> str:
    """The note of a column: its meaning, chain rule and formula."""
    return "\n".join(part for part in (quantity.meaning, quantity.chain, quantity.formula) if part)


def write_rows(sheet: Worksheet, look: Look, book: Book, rows: list[Row]) -> None:
    """Write the rows of all updates. Row n is the state before update n.

    Each formula is stored with its value, for viewers that do not compute.
    """
    for n, row in enumerate(rows):
        at = FIRST_ROW + n
        sheet.write_number(f"A{at}", n, look.count)
        for quantity in book.quantities:
            style = look.value if quantity.group in (GIVEN, FORWARD) else look.fine
            sheet.write_formula(book.cell(quantity.name, at), book.formula(quantity, at), style, row[quantity.name])
