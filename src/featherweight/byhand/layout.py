"""The layout of the workbook: sheets, columns, rows and defined names. Rows count from 1, as in spreadsheets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from xlsxwriter.utility import xl_col_to_name

from featherweight.byhand.formulas import Quantity, quantities, replace_names
from featherweight.byhand.network import Network, Row
from featherweight.byhand.start import START, rate_text

TITLE_ROW, LEGEND_ROW, BLOCK_NAMES_ROW, BLOCK_ROW, GROUP_ROW, HEADER_ROW, FIRST_ROW = 1, 2, 4, 5, 7, 8, 9
START_ROW = 6       # row of the first starting value on sheet Network


@dataclass(frozen=True)
class Book:
    """The content of a workbook: one network, trained from the same start at several rates."""

    network: Network
    runs: Mapping[float, list[Row]]     # rate -> rows 0 .. updates

    @cached_property
    def quantities(self) -> list[Quantity]:
        """The quantities of a row, one per column of a rate's sheet."""
        return quantities(self.network)

    @cached_property
    def columns(self) -> dict[str, str]:
        """Quantity -> letters of its column. Column A holds the number of the update."""
        return {quantity.name: xl_col_to_name(index) for index, quantity in enumerate(self.quantities, start=1)}

    @property
    def start(self) -> Row:
        """Starting values: i1, i2, t1, t2, the weights, the biases."""
        first = next(iter(self.runs.values()))[0]
        return {name: first[name] for name in START + self.network.parameters}

    @property
    def first_sheet(self) -> str:
        """Name of the first rate's sheet, to which the derivation links."""
        return sheet_name(next(iter(self.runs)))

    @property
    def last_row(self) -> int:
        """Number of the spreadsheet row of the last update."""
        return FIRST_ROW + len(next(iter(self.runs.values()))) - 1

    def cell(self, name: str, row: int = FIRST_ROW) -> str:
        """The cell of a quantity on a rate's sheet, such as "B9"."""
        return f"{self.columns[name]}{row}"

    def formula(self, quantity: Quantity, row: int) -> str:
        """Return the formula of a cell: a starting value, a gradient step, or the quantity's formula for `row`."""
        if row == FIRST_ROW and not quantity.formula:
            return f"={defined_name(quantity.name)}"
        return self.patterns[quantity.name].format(row=row, before=row - 1)

    @cached_property
    def patterns(self) -> dict[str, str]:
        """Quantity -> formula template. "{row}" stands for the row, "{before}" for the row above."""
        return {quantity.name: self.pattern(quantity) for quantity in self.quantities}

    def pattern(self, quantity: Quantity) -> str:
        """Return the formula template of one column."""
        name = quantity.name
        if quantity.formula:
            written = replace_names(quantity.formula, self.columns, lambda name: f"{self.columns[name]}{{row}}")
            return "=" + re.sub(r"\b(exp|ln)\b", lambda m: m[0].upper(), written).replace(" ", "")
        if name in self.network.parameters:
            return f"={self.columns[name]}{{before}}-rate*{self.columns[f'∂E/∂{name}']}{{before}}"
        return f"={defined_name(name)}"

    def start_cell(self, name: str) -> str:
        """The absolute cell of a starting value on sheet Network, such as "$C$6"."""
        return f"$C${START_ROW + list(self.start).index(name)}"


def sheet_name(rate: float) -> str:
    """The name of a rate's sheet, as in the document: 2 -> "LR 2.0"."""
    return f"LR {rate_text(rate)}"


def defined_name(name: str) -> str:
    """The defined name of a number: w1 -> "w_1", because a spreadsheet reads w1 as a cell."""
    return re.sub(r"(\d+)$", r"_\1", name)
