"""The workbook: what is in it, that every cell is right, and that it computes by itself."""

from __future__ import annotations

import math
import re
import zipfile
from xml.etree import ElementTree

import openpyxl
import pytest

from featherweight.byhand import RATES, Network, starting_values, train
from featherweight.byhand.formulas import quantities
from featherweight.byhand.layout import defined_name, sheet_name
from featherweight.byhand.workbook import write_workbook

SHEETS = [f"LR {rate}" for rate in ("2.0", "1.0", "0.8", "0.5", "0.2", "0.1")]
TOLERANCE = {"formualizer": 1e-12, "ironcalc": 1e-12, "libreoffice": 1e-9}      # LibreOffice writes 15 digits
FIRST_ROW = 9


def table(sheet):
    """A rate's sheet as rows of {heading: cell}, read as a person reads it: by the headings."""
    headings = {cell.column: cell.value for cell in sheet[FIRST_ROW - 1] if cell.value}
    return [{headings[cell.column]: cell for cell in row if cell.column in headings}
            for row in sheet.iter_rows(min_row=FIRST_ROW) if row[0].value is not None]


def wrong_cells(computed, stored, tolerance):
    """The cells where an engine differs from what is stored; LibreOffice takes a difference of the last bits for 0."""

    def equal(value, expected):
        if isinstance(expected, str):
            return value == expected
        return isinstance(value, int | float) and math.isclose(value, expected, rel_tol=tolerance, abs_tol=1e-15)

    return {cell: (value, stored[cell]) for cell, value in computed.items() if not equal(value, stored[cell])}


def stored_values(book, cells):
    """What the file says beside its formulas."""
    opened = openpyxl.load_workbook(book, data_only=True)
    return {cell: opened[cell[0]].cell(*cell[1:]).value for cell in cells}


def test_sheets_and_columns_of_the_document(document_book):
    opened = openpyxl.load_workbook(document_book)
    assert opened.sheetnames == ["Network", *SHEETS, "Graphs", "Derivation"]
    expected = "update i1 i2 t1 t2 w1 w2 w3 w4 w5 w6 w7 w8 h1 h2 a_h1 a_h2 o1 o2 a_o1 a_o2 E1 E2 E_total"
    for name in SHEETS:
        headings = [cell.value for cell in opened[name][FIRST_ROW - 1]]
        assert " ".join(headings).startswith(expected)
        assert headings[-8:] == [f"∂E/∂w{n}" for n in range(1, 9)]
        assert [row["update"].value for row in table(opened[name])] == list(range(71))


def test_every_number_is_a_formula_with_the_networks_value_beside_it(document_book, document_runs):
    formulas, values = openpyxl.load_workbook(document_book), openpyxl.load_workbook(document_book, data_only=True)
    checked = 0
    for name, rows in zip(SHEETS, document_runs.values(), strict=True):
        for row, written, stored in zip(rows, table(formulas[name]), table(values[name]), strict=True):
            for quantity, number in row.items():
                assert written[quantity].value.startswith("="), (name, quantity)
                assert math.isclose(stored[quantity].value, number, rel_tol=1e-15), (name, quantity)
                checked += 1
    assert checked == 6 * 71 * 39


def test_no_formula_holds_a_number_of_the_training(document_book):
    """A number copied into a formula would not recompute: only 1, 1/2 and the square are constants."""
    for row in table(openpyxl.load_workbook(document_book)["LR 0.5"]):
        for name, cell in row.items():
            constants = re.findall(r"(?<![A-Z_\d])\d+(?:\.\d+)?", str(cell.value))
            assert name == "update" or set(constants) <= {"1", "2"}, (name, cell.value)


def test_engines_that_did_not_write_it_agree_on_every_cell(document_book, engine):
    name, recompute = engine
    computed = recompute(document_book)
    assert len(computed) == 16_757      # 6 * 71 * 39 and the blocks, labels, graphs, derivation: as the docs say
    assert wrong_cells(computed, stored_values(document_book, computed), TOLERANCE[name]) == {}


@pytest.mark.parametrize(
    "network",
    [Network(3, "sigmoid", "binary-cross-entropy", biases=True), Network(1, loss="cross-entropy"), Network(8)],
    ids=str,
)
def test_engines_agree_on_other_networks(network, engine, tmp_path):
    name, recompute = engine
    start = starting_values(network, inputs=(0.5, -1.0), targets=(0.3, 0.7), seed=2)
    write_workbook(tmp_path / "book.xlsx", network, {rate: train(network, start, rate, 20) for rate in (1.5, 0.25)})
    computed = recompute(tmp_path / "book.xlsx")
    assert wrong_cells(computed, stored_values(tmp_path / "book.xlsx", computed), TOLERANCE[name]) == {}


def cell_of(opened, sheet, name):
    """The cell that a name of a sheet stands for."""
    _, address = next(iter(opened[sheet].defined_names[defined_name(name)].destinations))
    return opened[sheet][address.replace("$", "")]


def save(opened, file):
    """Save without the notes: ironcalc reads no book whose notes openpyxl wrote."""
    for sheet in opened:
        for cell in (cell for row in sheet for cell in row if cell.comment):
            cell.comment = None
    opened.save(file)


def assert_trained(computed, opened, sheet, rows, tolerance):
    """A sheet holds this training."""
    for row, cells in zip(rows, table(opened[sheet]), strict=True):
        for name, number in row.items():
            value = computed[sheet, cells[name].row, cells[name].column]
            assert math.isclose(value, number, rel_tol=tolerance, abs_tol=1e-15), (sheet, name)


def test_a_changed_weight_and_rate_change_the_sheet(document_book, engine, tmp_path):
    name, recompute = engine
    opened = openpyxl.load_workbook(document_book)
    cell_of(opened, "LR 2.0", "w3").value, cell_of(opened, "LR 2.0", "rate").value = -0.75, 1.3
    save(opened, tmp_path / "changed.xlsx")
    computed = recompute(tmp_path / "changed.xlsx")
    network = Network()
    start = starting_values(network)
    changed = train(network, start | {"w3": -0.75}, 1.3, 70)
    assert_trained(computed, opened, "LR 2.0", changed, TOLERANCE[name])
    assert_trained(computed, opened, "LR 1.0", train(network, start, 1.0, 70), TOLERANCE[name])


def test_a_value_changed_on_the_first_sheet_changes_them_all(document_book, engine, tmp_path):
    name, recompute = engine
    opened = openpyxl.load_workbook(document_book)
    values = {"i1": 0.9, "t1": 0.3, "t2": 0.7, "w6": -1.5}
    for quantity, value in values.items():
        cell_of(opened, "Network", quantity).value = value
    save(opened, tmp_path / "changed.xlsx")
    computed = recompute(tmp_path / "changed.xlsx")
    network = Network()
    for sheet, rate in zip(SHEETS, RATES, strict=True):
        rows = train(network, starting_values(network) | values, rate, 70)
        assert_trained(computed, opened, sheet, rows, TOLERANCE[name])


SWAPS = [("∂E/∂w1", "∂E/∂w2"), ("∂E/∂w5", "∂E/∂w6"), ("∂E/∂w4", "∂E/∂w8"), ("∂E/∂h1", "∂E/∂h2")]


@pytest.mark.parametrize(("first", "second"), SWAPS)
def test_swapped_gradients_are_found(document_book, first, second, engine, tmp_path):
    """The proof above has teeth: two gradients with each other's formula, in one sheet, and the engines disagree."""
    name, recompute = engine
    opened = openpyxl.load_workbook(document_book)
    for row in table(opened["LR 0.5"]):
        row[first].value, row[second].value = row[second].value, row[first].value
    save(opened, tmp_path / "swapped.xlsx")
    computed = recompute(tmp_path / "swapped.xlsx")
    wrong = wrong_cells(computed, stored_values(document_book, computed), TOLERANCE[name])
    assert ("LR 0.5", FIRST_ROW, row[first].column) in wrong
    assert {sheet for sheet, *_ in wrong} == {"LR 0.5", "Graphs"}


def test_names_for_the_rate_and_every_starting_value(document_book):
    opened = openpyxl.load_workbook(document_book, data_only=True)
    start = starting_values(Network())
    for sheet in ("Network", *SHEETS):
        assert {name: cell_of(opened, sheet, name).value for name in start} == start
    assert [cell_of(opened, sheet, "rate").value for sheet in SHEETS] == list(RATES)


def test_what_is_typed_and_what_is_computed_look_different(document_book):
    opened = openpyxl.load_workbook(document_book)
    sheet = opened["LR 0.8"]
    typed, linked, computed = cell_of(opened, "LR 0.8", "rate"), cell_of(opened, "LR 0.8", "w1"), sheet["H12"]
    assert len({cell.font.color.rgb if cell.font.color else None for cell in (typed, linked, computed)}) == 3
    assert typed.font.color.rgb == cell_of(opened, "Network", "w1").font.color.rgb
    assert linked.value == "=Network!$C$10"


def test_headers_stay_in_view_and_say_what_they_are(document_book):
    opened = openpyxl.load_workbook(document_book)
    for name in SHEETS:
        assert opened[name].freeze_panes == f"B{FIRST_ROW}"
        notes = {cell.value: cell.comment.text for cell in opened[name][FIRST_ROW - 1] if cell.comment}
        assert set(notes) == set(starting_values(Network())) | {q.name for q in quantities(Network())}
        assert "Weight from i2 to h1." in notes["w2"] and "∂E/∂h1 · ∂h1/∂w2" in notes["∂E/∂w2"]
        assert all(cell.number_format == "0.000000000" for cell in opened[name]["V"][FIRST_ROW:])


def test_graphs_are_charts_of_every_rate(document_book):
    with zipfile.ZipFile(document_book) as file:
        charts = [file.read(name).decode() for name in file.namelist() if re.match(r"xl/charts/chart\d+\.xml", name)]
    curves = [sorted(set(re.findall(r"<c:f>'(LR [\d.]+)'!\$X\$9:\$X\$79</c:f>", chart))) for chart in charts]
    assert sorted(SHEETS) in curves
    assert all([name] in curves for name in SHEETS)
    drawn = next(chart for chart, shown in zip(charts, curves, strict=True) if not shown)
    assert drawn.count("<c:ser>") == 8 + 6 and drawn.count("<c:showSerName val=\"1\"/>") >= 14


def test_the_derivation_says_where_each_number_is(document_book):
    opened = openpyxl.load_workbook(document_book)
    lines = {row[0].value: row for row in opened["Derivation"].iter_rows(min_row=7) if row[0].value}
    headings = {cell.value: cell.column_letter for cell in opened["LR 2.0"][FIRST_ROW - 1]}
    for quantity in quantities(Network()):
        line = lines[quantity.name]
        assert line[3].value == headings[quantity.name]
        assert line[3].hyperlink.location == f"'LR 2.0'!{headings[quantity.name]}8"
        assert line[4].value == f"='LR 2.0'!{headings[quantity.name]}9"
        assert quantity.formula in line[2].value
    assert lines["∂E/∂w1"][1].value == "∂E/∂w1 = ∂E/∂h1 · ∂h1/∂w1"
    assert lines["w1"][2].value == "w1 = w1 - rate*∂E/∂w1, of the row before"


def test_every_part_is_well_formed_and_every_link_leads_somewhere(document_book):
    """What a program would have to repair: broken XML, a relationship to a part that is not there, a name twice."""
    with zipfile.ZipFile(document_book) as file:
        names = file.namelist()
        assert len(names) == len(set(names))
        for name in names:
            root = ElementTree.fromstring(file.read(name)) if name.endswith((".xml", ".rels", ".vml")) else None
            if name.endswith(".rels") and root is not None:
                folder = name.replace("_rels/", "").rpartition("/")[0]
                for link in root:
                    if link.get("TargetMode") != "External" and not link.get("Target", "").startswith("#"):
                        assert resolved(folder, link.get("Target", "")) in names, (name, link.get("Target"))
        defined = re.findall(r'<definedName name="([^"]+)" localSheetId="(\d+)"', file.read("xl/workbook.xml").decode())
        assert len(defined) == len(set(defined))


def resolved(folder, target):
    """The name of a part that a relationship points to."""
    if target.startswith("/"):
        return target[1:]
    parts = folder.split("/") if folder else []
    for part in target.split("/"):
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def test_sheets_are_named_by_their_rate():
    assert [sheet_name(rate) for rate in (2, 0.25, 0.1)] == ["LR 2.0", "LR 0.25", "LR 0.1"]


def test_a_book_that_fails_leaves_what_was_there(tmp_path):
    file = tmp_path / "book.xlsx"
    file.write_bytes(b"mine")
    with pytest.raises(KeyError):
        write_workbook(file, Network(), {1.0: [{"i1": 0.05}]})
    assert file.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [file]
