"""The examples of docs/doctor.md: the wrong one gives its code on the marked line, the right one gives no error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from featherweight.doctor import CODES, Finding
from featherweight.doctor.examination import examine_source
from featherweight.doctor.source import from_text

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "doctor.md").read_text()
SECTION = re.compile(r"^### (FW\d+): (.*?)\n\n(.*?)\n\n```py wrong\n(.*?)^```\n\n```py right\n(.*?)^```$", re.M | re.S)
EXAMPLES = {code: (title, text, wrong, right) for code, title, text, wrong, right in SECTION.findall(PAGE)}

READ = [code for code in CODES if not code.startswith("FW7")]     # FW7 needs a built network, see test_probe.py


def found_in(text: str) -> list[Finding]:
    findings, trace = examine_source(from_text(Path("example.py"), f"import torch\n{text}"))
    assert trace is not None and not trace.missing
    return findings


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
