"""The workbook of the document, and three engines that did not write it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import formualizer
import ironcalc
import openpyxl
import pytest

from featherweight.byhand import RATES, Network, starting_values, train
from featherweight.byhand.workbook import write_workbook


@pytest.fixture(scope="session")
def document_runs():
    """The document's network trained at the document's rates."""
    network = Network()
    return {rate: train(network, starting_values(network), rate, 70) for rate in RATES}


@pytest.fixture(scope="session")
def document_book(tmp_path_factory, document_runs):
    """Its workbook: six sheets of 71 rows, and the rest."""
    file = tmp_path_factory.mktemp("books") / "backprop.xlsx"
    write_workbook(file, Network(), document_runs)
    return file


@pytest.fixture(params=["formualizer", "ironcalc", "libreoffice"])
def engine(request, tmp_path):
    """(name, function): the function computes every formula of a workbook -> {(sheet, row, column): value}."""
    name = request.param
    if name == "libreoffice" and not shutil.which("soffice") and not os.environ.get("CI"):
        pytest.skip("LibreOffice is not installed")
    computes = {"formualizer": by_formualizer, "ironcalc": by_ironcalc, "libreoffice": by_libreoffice}[name]

    def recompute(book: Path) -> dict[tuple[str, int, int], object]:
        blank = tmp_path / f"blank-{book.name}"
        drop_values(book, blank)
        return computes(blank, formula_cells(book))

    return name, recompute


def drop_values(book: Path, blank: Path) -> None:
    """Copy a workbook without the values stored beside its formulas, so that an engine has to compute them."""
    with zipfile.ZipFile(book) as read, zipfile.ZipFile(blank, "w") as written:
        for part in read.namelist():
            content = read.read(part)
            if part.startswith("xl/worksheets/sheet"):
                content = re.sub(rb"</f><v>[^<]*</v>|</f><v ?/>", b"</f>", content)
            written.writestr(part, content)
    assert not any(cell.value is not None for cell in cells_of(blank, formula_cells(book)))


def cells_of(book: Path, places):
    """The cells of a workbook at these places, with the values that are stored."""
    opened = openpyxl.load_workbook(book, data_only=True)
    return [opened[sheet].cell(row, column) for sheet, row, column in places]


def formula_cells(book: Path) -> list[tuple[str, int, int]]:
    """Every cell of every sheet that holds a formula."""
    opened = openpyxl.load_workbook(book)
    return [
        (sheet.title, cell.row, cell.column)
        for sheet in opened for row in sheet for cell in row if cell.data_type == "f"
    ]


def by_formualizer(book: Path, cells):
    opened = formualizer.load_workbook(str(book))
    opened.evaluate_all()
    return {cell: opened.get_value(*cell) for cell in cells}


def by_ironcalc(book: Path, cells):
    opened = ironcalc.load_from_xlsx(str(book), "en", "UTC", "en")
    opened.evaluate()
    order = [sheet["name"] for sheet in opened.get_worksheets_properties()]
    return {cell: opened.get_cell_value(order.index(cell[0]), *cell[1:]) for cell in cells}


def by_libreoffice(book: Path, cells):
    out = book.parent / "recomputed"
    profile = f"-env:UserInstallation=file://{book.parent}/profile"     # of its own: two at once would share a lock
    command = ["soffice", profile, "--headless", "--convert-to", "xlsx", "--outdir", str(out), str(book)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return dict(zip(cells, (cell.value for cell in cells_of(out / book.name, cells)), strict=True))
