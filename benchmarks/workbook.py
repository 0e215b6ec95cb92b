"""Measure the time to write the workbook of the network trained by hand, compared with openpyxl.

- featherweight: train, and write all formulas with their values, formats, notes, names and charts.
- openpyxl, the peer: write only the formulas, which were read from our file before.
- command: `featherweight byhand --out` in a new process, from start to exit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl

import report
from featherweight.byhand import RATES, Network, starting_values, train
from featherweight.byhand.workbook import write_workbook

BOOKS = {"six sheets, 70 updates": (RATES, 70), "one sheet, 1,000 updates": ((0.5,), 1000)}
AIM_SECONDS = {"six sheets, 70 updates": 2.0, "one sheet, 1,000 updates": 5.0}
Cells = dict[str, list[tuple[int, int, Any]]]


def main() -> int:
    options = parse()
    content = report.begin("workbook", {"repeats": options.repeats}, "xlsxwriter", "openpyxl")
    content |= {"aim_seconds": AIM_SECONDS, "results": {}, "ratios": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, (rates, updates) in BOOKS.items():
            found = measure(Path(folder), rates, updates, options.repeats)
            content["results"][name] = {key: report.spread(seconds) for key, seconds in found.items()}
            ratios = report.ratios(found["featherweight"], found["openpyxl"])
            content["ratios"][f"{name}: openpyxl / featherweight"] = report.spread(ratios, 3)
            report.save(options.out, content)
            report.say(f"{name}: {found['command'][-1]:.2f} s")
    report.save(options.out, content | {"complete": True})
    print_results(content)
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "workbook")
    parser.add_argument("--repeats", type=report.positive, default=5, help="measurements of each")
    return parser.parse_args()


def measure(folder: Path, rates: tuple[float, ...], updates: int, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of featherweight, openpyxl and the command. They take turns; the first turn is not counted."""
    book = folder / "book.xlsx"
    write(book, rates, updates)
    cells = read(book)
    seconds: dict[str, list[float]] = {"featherweight": [], "openpyxl": [], "command": []}
    for turn in range(repeats + 1):
        took = {
            "featherweight": timed(lambda: write(book, rates, updates)),
            "openpyxl": timed(lambda: copy(cells, folder / "peer.xlsx")),
            "command": timed(lambda: command(book, rates, updates)),
        }
        for name in seconds if turn else ():
            seconds[name].append(took[name])
    return seconds


def timed(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def write(book: Path, rates: tuple[float, ...], updates: int) -> None:
    """Train at every rate and write our workbook."""
    network = Network()
    start = starting_values(network)
    write_workbook(book, network, {rate: train(network, start, rate, updates) for rate in rates})


def read(book: Path) -> Cells:
    """Return the content of all cells, by sheet: (row, column, value) of each cell that is not empty."""
    opened = openpyxl.load_workbook(book)
    return {
        sheet.title: [(cell.row, cell.column, cell.value) for row in sheet for cell in row if cell.value is not None]
        for sheet in opened
    }


def copy(cells: Cells, file: Path) -> None:
    """Write the cells with openpyxl, without formats or charts."""
    book = openpyxl.Workbook()
    for name, found in cells.items():
        sheet = book.create_sheet(name)
        for row, column, value in found:
            sheet.cell(row, column, value)
    book.save(file)


def command(book: Path, rates: tuple[float, ...], updates: int) -> None:
    given = [part for rate in rates for part in ("--rate", str(rate))]
    arguments = ["byhand", "--out", str(book), "--force", "--updates", str(updates), *given]
    subprocess.run([sys.executable, "-c", "from featherweight.cli import main; main()", *arguments],
                   check=True, capture_output=True)


def print_results(content: dict[str, Any]) -> None:
    rows = [
        [name, report.show(found["command"], 2), f"< {AIM_SECONDS[name]:g}", report.show(found["featherweight"], 2),
         report.show(found["openpyxl"], 2), report.show(content["ratios"][f"{name}: openpyxl / featherweight"], 2)]
        for name, found in content["results"].items()
    ]
    title = f"Workbook, seconds · {content['machine']['processor']}"
    report.print_table(title, ["book", "command", "aim", "featherweight", "openpyxl", "openpyxl / ours"], rows)


if __name__ == "__main__":
    sys.exit(report.run(main))
