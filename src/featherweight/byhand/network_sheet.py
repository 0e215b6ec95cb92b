"""The first sheet, Network: the starting values, which the user may change, and a live chart of the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from featherweight.byhand.formulas import GIVEN
from featherweight.byhand.layout import START_ROW, Book, defined_name
from featherweight.byhand.look import INK, TINTS, Look
from featherweight.byhand.network import Network

SHEET = "Network"
DATA_COLUMN = 25                # Z: first column of the chart's data
MOST_LABELLED = 3               # with more hidden neurons, values of weights are not shown in the chart
LABEL_AT, DISC = 0.3, 0.08      # position of a weight's label on its line; start of the line


def write_network_sheet(file: Workbook, look: Look, book: Book) -> None:
    """Add the sheet Network."""
    sheet = file.add_worksheet(SHEET)
    sheet.hide_gridlines(2)
    sheet.set_column("A:A", 2)
    sheet.set_column("B:B", 8)
    sheet.set_column("C:C", 10)
    sheet.set_column("D:D", 34)
    sheet.write("B1", "A network trained by hand", look.title)
    sheet.write("B2", described(book.network))
    sheet.write("B3", "Change a blue value and every sheet recomputes. Each rate has a sheet; Graphs compares them.")
    write_start(file, sheet, look, book)
    draw_network(file, sheet, look, book)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 1)
    sheet.print_area(f"A1:P{max(32, START_ROW + len(book.start))}")


def described(network: Network) -> str:
    """The architecture of the network in one line."""
    neurons = "1 hidden neuron" if network.hidden == 1 else f"{network.hidden} hidden neurons"
    biases = "with biases" if network.biases else "no biases"
    return f"2 inputs, {neurons} (sigmoid), 2 outputs ({network.output}), {network.loss} error, {biases}."


def write_start(file: Workbook, sheet: Worksheet, look: Look, book: Book) -> None:
    """Write a line for each starting value: its name, the value, its meaning."""
    for letters, heading in (("B", "name"), ("C", "start"), ("D", "what it is")):
        sheet.write(f"{letters}{START_ROW - 1}", heading, look.heading)
    meanings = {quantity.name: quantity.meaning for quantity in book.quantities if quantity.group == GIVEN}
    for at, (name, value) in enumerate(book.start.items(), start=START_ROW):
        sheet.write(f"B{at}", name, look.name)
        sheet.write_number(f"C{at}", value, look.typed)
        sheet.write(f"D{at}", meanings[name], look.text)
        file.define_name(f"{SHEET}!{defined_name(name)}", f"={SHEET}!$C${at}")
    first, last = (book.start_cell(name) for name in ("t1", "t2"))
    sheet.data_validation(f"{first}:{last}", {
        "validate": "decimal", "criteria": "between", "minimum": 0, "maximum": 1,
        "error_title": "Target", "error_message": "A target lies between 0 and 1, as an output does.",
    })


def draw_network(file: Workbook, sheet: Worksheet, look: Look, book: Book) -> None:
    """Draw the network as a chart: a line for each weight, a disc for each neuron.

    Each line and disc is a series labelled with its name. A series name is the only label that updates with a cell in
    all spreadsheet programs.
    """
    chart = file.add_chart({"type": "scatter", "subtype": "straight"})
    places = neurons(book.network)
    row = 1
    for weight, (start, end) in book.network.ends.items():
        line = [along(places[start], places[end], share) for share in (DISC, LABEL_AT, 1 - DISC)]
        chart.add_series({
            **points(sheet, line, row),
            "name": write_label(sheet, book, [(f"{weight} = ", weight)], row),
            "line": {"color": "#9DB4CC", "width": 1.5},
            "marker": {"type": "none"},
            **(labelled("above" if line[0][1] == line[1][1] else "right", [0, 2]) if few(book.network) else {}),
        })
        row += len(line)
    for neuron, place in places.items():
        chart.add_series({
            **points(sheet, [place], row),
            "name": write_label(sheet, book, label_of(book.network, neuron), row),
            "line": {"none": True},
            "marker": {"type": "circle", "size": 40 if few(book.network) else 24,
                       "fill": {"color": TINTS[GIVEN]}, "border": {"color": "#5B7FA6", "width": 1.5}},
            **labelled({"i": "left", "o": "right"}.get(neuron[0], where_hidden(book.network, place))),
        })
        row += 1
    sheet.write(0, DATA_COLUMN, "The drawing's numbers: x, y, label", look.pale)
    format_chart(chart)
    options = {"description": f"The network: {described(book.network)}", "object_position": 2, "x_offset": 20}
    sheet.insert_chart(f"E{START_ROW - 1}", chart, options)


def where_hidden(network: Network, place: tuple[float, float]) -> str:
    """Return the position of a hidden neuron's label: inside, or outside if the label includes the bias."""
    if not network.biases or not few(network):
        return "center"
    return "above" if place[1] >= 0.5 else "below"


def few(network: Network) -> bool:
    """True if the chart has room for a value beside each line and hidden neuron."""
    return network.hidden <= MOST_LABELLED


def along(start: tuple[float, float], end: tuple[float, float], share: float) -> tuple[float, float]:
    """Return the point between start (share 0) and end (share 1)."""
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def labelled(position: str, silent: Sequence[int] = ()) -> dict[str, Any]:
    """Return chart options that show the series' name at its points. silent: indices of points without label."""
    custom = [{"delete": True} if index in silent else None for index in range(max(silent, default=-1) + 1)]
    labels = {"series_name": True, "value": False, "position": position, "font": {"size": 9, "color": INK}}
    return {"data_labels": labels | ({"custom": custom} if custom else {})}


def format_chart(chart: Any) -> None:
    """Remove axes, legend and title from the chart, and set its size."""
    hidden_axis = {"visible": False, "major_gridlines": {"visible": False}}
    chart.set_x_axis({**hidden_axis, "min": -0.5, "max": 2.7})
    chart.set_y_axis({**hidden_axis, "min": -0.25, "max": 1.25})
    chart.set_legend({"none": True})
    chart.set_title({"none": True})
    chart.set_chartarea({"border": {"none": True}})
    chart.set_size({"width": 720, "height": 520})


def neurons(network: Network) -> dict[str, tuple[float, float]]:
    """Return neuron -> (x, y) in the chart: inputs on the left, outputs on the right, columns from top to bottom."""
    columns = (["i1", "i2"], [f"h{j}" for j in network.hidden_neurons], ["o1", "o2"])
    return {
        name: (float(x), 1 - y / (len(column) - 1) if len(column) > 1 else 0.5)
        for x, column in enumerate(columns)
        for y, name in enumerate(column)
    }


def points(sheet: Worksheet, places: list[tuple[float, float]], row: int) -> dict[str, Any]:
    """Write x and y of a chart series into the sheet. Return the chart options that refer to their cells."""
    for n, (x, y) in enumerate(places):
        sheet.write_row(row + n, DATA_COLUMN, [x, y])
    last = row + len(places) - 1
    return {
        "categories": [SHEET, row, DATA_COLUMN, last, DATA_COLUMN],
        "values": [SHEET, row, DATA_COLUMN + 1, last, DATA_COLUMN + 1],
    }


def label_of(network: Network, neuron: str) -> list[tuple[str, str]]:
    """Return the label of a neuron as pairs (text, name of the starting value after it, or "")."""
    bias = [(", bias ", network.bias_of[neuron])] if neuron in network.bias_of else []
    if neuron[0] == "h":
        return [(neuron, ""), *(bias if few(network) else [])]
    return [(f"{neuron} = ", neuron)] if neuron[0] == "i" else [(f"{neuron}, target ", f"t{neuron[1]}"), *bias]


def write_label(sheet: Worksheet, book: Book, parts: list[tuple[str, str]], row: int) -> str:
    """Write a label as a formula that refers to starting values. Return a reference to its cell."""
    letters = xl_col_to_name(DATA_COLUMN + 2)
    formula = "&".join(f'"{words}"' + (f"&ROUND({book.start_cell(name)},4)" if name else "") for words, name in parts)
    value = "".join(words + (f"{round(book.start[name], 4):.12g}" if name else "") for words, name in parts)
    sheet.write_formula(f"{letters}{row + 1}", f"={formula}", None, value)
    return f"={SHEET}!${letters}${row + 1}"
