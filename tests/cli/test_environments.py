"""The command in other environments: encodings without all characters, narrow terminals, no colour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper

import pytest

from featherweight.plain_text import NAME, make_plain, use_plain_text

CP1252 = {"PYTHONIOENCODING": "cp1252"}
LANG_C = {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
ASCII_ONLY = {"PYTHONIOENCODING": "ascii"}


def run(environment, *arguments):
    """Run the command with redirected output: (exit code, bytes of standard output, text of standard error)."""
    left_out = {"COLUMNS", "NO_COLOR", "PYTHONIOENCODING"}
    clean = {key: value for key, value in os.environ.items() if key not in left_out} | environment
    command = [sys.executable, "-m", "featherweight", *map(str, arguments)]
    done = subprocess.run(command, env=clean, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("environment", [CP1252, LANG_C, ASCII_ONLY], ids=["cp1252", "LANG=C", "ascii"])
def test_characters_that_cannot_be_written_become_ascii(environment):
    code, out, fault = run(environment, "summary", "words:c8 p g h")
    assert (code, fault) == (0, "")
    assert b"-----" in out and b"\nTotal params: 178\n" in out.replace(b"\r", b"")
    assert b"?" not in out


def test_curves_and_a_fault_in_other_encodings(digits_run, tmp_path):
    code, out, fault = run(CP1252, "curves", digits_run.path)
    assert code == 0 and fault == "" and b"|" in out and b"--------" in out
    code, out, fault = run(ASCII_ONLY, "summary", "数字.py")
    assert (code, out) == (2, b"") and r"\u6570\u5b57.py" in fault and "Traceback" not in fault


def test_a_narrow_terminal_shows_whole_columns():
    code, out, _ = run({"COLUMNS": "40"}, "summary", "session6")
    lines = out.decode().splitlines()
    assert code == 0 and max(map(len, lines)) <= 40
    assert "Conv2d-1       16x26x26    144     3" in [line.rstrip() for line in lines]


def test_no_colour_and_no_codes_in_a_file(digits_run):
    for environment in ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, {}):
        code, out, _ = run(environment, "compare", digits_run.path)
        assert code == 0 and b"7,524" in out and b"\x1b[3" not in out


def test_similar_ascii_or_an_escape():
    use_plain_text()
    stream = TextIOWrapper(BytesIO(), encoding="ascii")
    make_plain(stream)
    print("3 µs ±1 ─│ ≤ ∂ … 中 é", end="", file=stream)
    stream.flush()
    assert stream.errors == NAME and stream.buffer.getvalue() == rb"3 us +-1 -| <= d ... \u4e2d \xe9"
    make_plain(None)


def test_json_does_not_change(digits_run):
    assert json.loads(run(CP1252, "summary", "session6", "--json")[1])["total_parameters"] == 16_976
