"""featherweight byhand as a person meets it."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import openpyxl
import pytest
from PIL import Image

from featherweight.byhand import RATES, Network, starting_values, train


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_workbook_of_the_document(run_command, tmp_path):
    code, out, said = run_command("byhand", "--out", "backprop.xlsx")
    assert code == 0 and "wrote backprop.xlsx: 6 sheets of 71 rows" in said
    assert "0.215838734" in out and [line.split()[0] for line in out.splitlines()[2:]] == [str(rate) for rate in RATES]
    opened = openpyxl.load_workbook("backprop.xlsx", data_only=True)
    assert opened["LR 1.0"]["X10"].value == train(Network(), starting_values(Network()), 1.0, 1)[1]["E_total"]
    assert [file.name for file in tmp_path.iterdir()] == ["backprop.xlsx"]


def test_every_option_reaches_the_book(run_command):
    code, _, _ = run_command(
        "byhand", "--out", "own.xlsx", "--rate", "1.5", "--rate", "0.25", "--updates", "5", "--output", "sigmoid",
        "--loss", "binary-cross-entropy", "--inputs", "-0.5,0.5", "--targets", "0.2,0.9", "--hidden", "3", "--biases",
        "--seed", "9",
    )
    network = Network(3, "sigmoid", "binary-cross-entropy", biases=True)
    start = starting_values(network, (-0.5, 0.5), (0.2, 0.9), seed=9)
    opened = openpyxl.load_workbook("own.xlsx", data_only=True)
    assert code == 0 and opened.sheetnames == ["Network", "LR 1.5", "LR 0.25", "Graphs", "Derivation"]
    for rate in (1.5, 0.25):
        headings = {cell.value: cell.column for cell in opened[f"LR {rate}"][8] if cell.value}
        last = [cell.value for cell in opened[f"LR {rate}"][14]]
        assert opened[f"LR {rate}"].max_row == 14
        for name, value in train(network, start, rate, 5)[5].items():
            assert math.isclose(last[headings[name] - 1], value, rel_tol=1e-15), name


def test_explain_prints_one_update_and_nothing_else(run_command):
    code, out, said = run_command("byhand", "--explain", "--rate", "0.5", "--weights", "1,2,3,4,5,6,7,8")
    assert (code, said) == (0, "")
    assert out.startswith("The starting values\n") and "  w1 = 1  w2 = 2" in out and "rate = 0.5" in out
    assert max(map(len, out.splitlines())) <= 80


def test_plot_draws_the_curves(run_command):
    code, _, said = run_command("byhand", "--plot", "curves.png")
    assert code == 0 and "wrote curves.png" in said
    with Image.open("curves.png") as picture:
        assert picture.width > 1000


def test_without_an_option_it_says_what_there_is(run_command):
    code, out, said = run_command("byhand")
    assert code == 0 and "0.001439868" in out and "--out BOOK.xlsx" in said and "--explain" in said


def test_json_is_one_document(run_command):
    code, out, _ = run_command("byhand", "--json", "--rate", "1", "--updates", "3", "--explain", "--out", "b.xlsx")
    found = json.loads(out)
    rows = train(Network(), starting_values(Network()), 1.0, 3)
    assert code == 0 and found["network"] == {"hidden": 2, "output": "softmax", "loss": "squared", "biases": False}
    assert found["runs"][0]["rate"] == 1 and found["runs"][0]["E_total"] == [row["E_total"] for row in rows]
    assert found["runs"][0]["parameters"]["w8"] == rows[3]["w8"] and found["update"] == rows[0]


def test_a_second_run_replaces_nothing_unless_forced(run_command, refused):
    run_command("byhand", "--out", "b.xlsx", "--rate", "1")
    refused("byhand", "--out", "b.xlsx", words=["'b.xlsx' exists", "--force"])
    assert "LR 2.0" not in openpyxl.load_workbook("b.xlsx").sheetnames
    assert run_command("byhand", "--out", "b.xlsx", "--force")[0] == 0
    assert "LR 2.0" in openpyxl.load_workbook("b.xlsx").sheetnames


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "0"], ["--rate 0", "above 0"]),
        (["--rate", "fast"], ["'fast'", "--rate", "featherweight byhand --help"]),
        (["--rate", "1", "--rate", "1.0"], ["--rate 1 is given twice"]),
        (["--updates", "0"], ["--updates 0", "between 1 and 5,000"]),
        (["--updates", "many"], ["'many'", "--updates"]),
        (["--output", "relu"], ["'relu'", "softmax, sigmoid"]),
        (["--loss", "nll"], ["'nll'", "squared, cross-entropy"]),
        (["--loss", "cross-entropy", "--output", "sigmoid"], ["binary-cross-entropy"]),
        (["--inputs", "1"], ["--inputs 1 counts 1"]),
        (["--inputs", "1,x"], ["--inputs '1,x': 'x' is not a number"]),
        (["--inputs", ""], ["--inputs ''"]),
        (["--targets", "0.5,2"], ["t2 = 2 is not between 0 and 1"]),
        (["--weights", "1,2,3"], ["counts 3", "8 to give"]),
        (["--weights", "1,2,3,4,5,6,7,1e9"], ["w8 = 1e+09"]),
        (["--hidden", "9"], ["--hidden 9", "between 1 and 8"]),
        (["--hidden", "3", "--weights", "1,2,3,4,5,6,7,8"], ["counts 8", "12 to give"]),
        (["--seed", "1", "--weights", "1,2,3,4,5,6,7,8"], ["--seed 1"]),
        (["--out", "book.xls"], ["'book.xls' does not end in .xlsx", "--out"]),
        (["--out", "no/book.xlsx"], ["folder 'no' does not exist"]),
        (["--plot", "curves.pdf"], ["'curves.pdf' does not end in .png or .svg", "--plot"]),
        (["--inputs", "100,100", "--weights", "-100,-100,-100,-100,1,1,1,1"], ["out of a spreadsheet's range"]),
        (["--plots", "curves.png"], ["--plots", "featherweight byhand --help"]),
    ],
)
def test_bad_values_are_one_line_each_and_nothing_is_written(refused, tmp_path, arguments, words):
    out = [] if "--out" in arguments else ["--out", "never.xlsx"]
    refused("byhand", *out, *arguments, words=words)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way(refused, tmp_path):
    (tmp_path / "book.xlsx").mkdir()
    refused("byhand", "--out", "book.xlsx", "--force", words=["'book.xlsx' is a folder"])


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no folder that nobody can write to")
@pytest.mark.parametrize(("option", "file"), [("--out", "/proc/book.xlsx"), ("--plot", "/proc/curves.png")])
def test_a_place_that_cannot_be_written_is_one_line(refused, option, file):
    refused("byhand", option, file, words=[f"cannot use {file!r}", "Give another place"])


def test_interrupted_while_writing_leaves_nothing(tmp_path):
    arguments = ["byhand", "--out", "book.xlsx", "--updates", "5000", *(f"--rate={n}" for n in range(1, 13))]
    # a shell that starts the tests in the background has them ignore Ctrl-C, and so would the process
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from featherweight.cli import main; main()"
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True) as started:
        time.sleep(2)
        started.send_signal(signal.SIGINT)
        said = started.communicate(timeout=60)[1]
    assert (started.returncode, said) == (130, "featherweight: interrupted.\n") and list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_one_line(refused, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("xlsxwriter", "featherweight.byhand.workbook"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    refused("byhand", "--out", "b.xlsx", words=["XlsxWriter is not installed", "-m pip install -e", "[workbook]"])
