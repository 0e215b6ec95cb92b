"""The workbook of the network trained by hand: the network, one sheet per rate, graphs, the derivation."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from xlsxwriter import Workbook

from featherweight.byhand.derivation_sheet import write_derivation_sheet
from featherweight.byhand.graphs_sheet import write_graphs_sheet
from featherweight.byhand.layout import Book
from featherweight.byhand.look import make_look
from featherweight.byhand.network import Network, Row
from featherweight.byhand.network_sheet import write_network_sheet
from featherweight.byhand.rate_sheet import write_rate_sheet
from featherweight.files import write_atomically


def write_workbook(path: Path, network: Network, runs: Mapping[float, list[Row]]) -> None:
    """Write the .xlsx file atomically.

    runs: learning rate -> rows from train, all from the same start.
    Every number below the inputs is a formula, stored together with its value. Source: document 003, part 1.
    """
    book = Book(network, runs)
    content = BytesIO()
    file = Workbook(content, {"in_memory": True})
    file.set_properties({"title": "A network trained by hand", "comments": "Written by featherweight byhand."})
    look = make_look(file)
    write_network_sheet(file, look, book)
    for rate in runs:
        write_rate_sheet(file, look, book, rate)
    write_graphs_sheet(file, look, book)
    write_derivation_sheet(file, look, book)
    file.close()
    write_atomically(path, content.getvalue())
