"""The examples of docs/doctor.md: the wrong one gives its code on the marked line, the right one gives no error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from featherweight.doctor import CODES, Finding
from featherweight.doctor.examination import examine_source
from featherweight.doctor.source import from_text

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "doctor.md").read_text()
SECTION = re.compile(
    r"^### (FW\d+): (.*?)\n\n(.*?)\n\n```\w+ wrong\n(.*?)^```\n\n```\w+ right\n(.*?)^```$", re.M | re.S)
EXAMPLES = {code: (title, text, wrong, right) for code, title, text, wrong, right in SECTION.findall(PAGE)}

BUILT = ("FW7", "FW8", "FW9")       # need a network or a run, see test_probe.py, test_trying.py and test_run.py
READ = [code for code in CODES if not code.startswith(BUILT) and code != "FW123"]


def found_in(text: str) -> list[Finding]:
    findings, trace = examine_source(from_text(Path("example.py"), f"import torch\n{text}"))
    assert trace is not None and not trace.missing
    return findings


def test_there_are_more_than_sixty_pairs_of_examples():
    assert len(READ) >= 60 and len(EXAMPLES) == len(CODES)


def test_every_code_has_a_section_with_its_title_and_severity():
    assert list(EXAMPLES) == list(CODES)
    for code, (severity, title) in CODES.items():
        assert EXAMPLES[code][0] == title and EXAMPLES[code][1].startswith(severity.capitalize() + ". "), code


@pytest.mark.parametrize("code", READ)
def test_the_wrong_example_gives_its_code_on_the_marked_line_and_no_other_error(code):
    wrong = EXAMPLES[code][2]
    marked = [number for number, line in enumerate(wrong.split("\n"), 2) if code in line]
    findings = found_in(wrong)
    assert [finding.place.line for finding in findings if finding.code == code] == marked and len(marked) == 1
    assert {finding.code for finding in findings if finding.severity == "error"} <= {code}


@pytest.mark.parametrize("code", READ)
def test_the_right_example_gives_neither_its_code_nor_an_error(code):
    assert [finding for finding in found_in(EXAMPLES[code][3]) if finding.code == code
            or finding.severity == "error"] == []


@pytest.mark.parametrize("code", READ)
def test_a_finding_says_what_why_and_how_in_one_sentence_each(code):
    for finding in found_in(EXAMPLES[code][2]):
        for text in (finding.what, finding.why, finding.how):
            assert text.endswith(".") and len(text.split()) <= 40 and "\n" not in text, text
        assert "\n" not in finding.corrected


NET = """import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5)
        self.conv2 = nn.Conv2d(8, 16, 5)
    def forward(self, x):
        return self.conv2(self.conv1(x))
"""


def in_readme(folder: Path, text: str) -> list[Finding]:
    (folder / "README.md").write_text(text)
    findings, _ = examine_source(from_text(folder / "net.py", NET))
    return [finding for finding in findings if finding.code == "FW123"]


def test_arithmetic_of_a_readme_beside_a_network_is_checked(tmp_path):
    _, _, wrong, right = EXAMPLES["FW123"]
    (found,) = in_readme(tmp_path, wrong)
    assert "FW123" in wrong.split("\n")[found.place.line - 1] and found.place.file.endswith("README.md")
    assert "3,216" in found.why and in_readme(tmp_path, right) == []


@pytest.mark.parametrize(("text", "words"), [
    ("256*20 = 12800 + 50 = 12850", "5,120"),
    ("We have 784 × 50 = 39,250 weights.", "39,200"),
    ("| layer | params |\n| --- | --- |\n| conv1 | 200 |\n", "conv1"),
    ("| layer | params |\n| --- | --- |\n| a | 10 |\n| b | 20 |\n| **Total** | **40** |\n", "sum to 30"),
])
def test_wrong_arithmetic_is_found_in_prose_and_tables(tmp_path, text, words):
    (found,) = in_readme(tmp_path, text)
    assert words in found.what + found.why


@pytest.mark.parametrize("text", [
    "256*50 = 12800 + 50 = 12850", "28x28 = 26x26 after the first layer", "(28 - 5 + 2*0)/1 + 1 = 24", "lr = 0.1",
    "accuracy = 99.4 % (epochs = 15)", "2024-01-02 = a date", "7/2 = 3.5",
    "| layer | params |\n| --- | --- |\n| a | 3 |",
    "| layer | params |\n| --- | --- |\n| conv1 | 208 |\n| conv2 | 3,216 |\n| total | 3,424 |\n", "1 + 1 = 2 = 2",
])
def test_right_arithmetic_and_other_equations_pass(tmp_path, text):
    assert in_readme(tmp_path, text) == []
