"""Scripts and notebooks are read with their places, magics and comments; a broken file is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from featherweight.doctor import Place, examine
from featherweight.doctor.source import expand, from_text, read, without_magic
from featherweight.errors import SourceError

LOOP = """import torch
for images, labels in train_loader:
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
"""


def notebook(path: Path, *cells: str) -> Path:
    content = {"nbformat": 4, "cells": [{"cell_type": "code", "source": cell.splitlines(keepends=True)}
                                        for cell in cells]}
    content["cells"].insert(1, {"cell_type": "markdown", "source": ["# Training"]})
    path.write_text(json.dumps(content))
    return path


def test_a_finding_in_a_notebook_names_cell_and_line(tmp_path):
    file = notebook(tmp_path / "a.ipynb", "!pip install torch\nimport torch", LOOP)
    (finding,) = examine([file]).findings
    assert (finding.code, finding.place) == ("FW301", Place(str(file), 3, 4, 5))
    assert str(finding.place) == f"{file}:cell 3:4:5"


def test_cells_of_other_languages_and_shell_commands_are_left_out(tmp_path):
    file = notebook(tmp_path / "a.ipynb", "%%bash\nls $HOME", "cd folder/\npip install x", "%time x = 1\nfiles = !ls",
                    LOOP)
    report = examine([file])
    assert [finding.place.cell for finding in report.findings] == [5]
    assert not any("no Python" in line for line in report.unchecked)


def test_a_cell_that_is_no_python_is_named_and_the_others_are_examined(tmp_path):
    report = examine([notebook(tmp_path / "a.ipynb", "SELECT * FROM images", LOOP)])
    assert [finding.code for finding in report.findings] == ["FW301"]
    assert any("cell 1 is no Python 3" in line for line in report.unchecked)


@pytest.mark.parametrize(("line", "python"), [
    ("!pip install torch", "pass"), ("    %matplotlib inline", "    pass"), ("torch.nn?", "torch.nn?"),
    ("model?", "pass"), ("files = !ls *.py", "files = None"), ("x = 5 % 2", "x = 5 % 2"), ("y = a != b", "y = a != b"),
])
def test_magics_become_python(line, python):
    assert without_magic(line) == python


def test_a_comment_silences_one_code_on_its_line(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(LOOP.replace("backward()", "backward()  # doctor: ignore[FW301, FW302] cleared by the caller"))
    report = examine([file])
    assert report.findings == () and [finding.reason for finding in report.ignored] == ["cleared by the caller"]
    assert "1 ignored by a comment" in report.verdict()
    file.write_text(LOOP.replace("backward()", "backward()  # doctor: ignore[FW302]"))
    assert [finding.code for finding in examine([file]).findings] == ["FW301"]


def test_broken_files_are_named_and_the_others_are_examined(tmp_path):
    (tmp_path / "good.py").write_text(LOOP)
    (tmp_path / "old.py").write_text("print 'torch'\n")
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00torch")
    (tmp_path / "binary.ipynb").write_bytes(b"\x80\x04\x95")
    (tmp_path / "empty.ipynb").write_text("")
    (tmp_path / "list.ipynb").write_text("[1, 2]")
    report = examine([tmp_path])
    assert [finding.code for finding in report.findings] == ["FW301"] and len(report.unread) == 5
    assert all("\n" not in line and str(tmp_path) in line for line in report.unread)
    assert any("old.py:1 is no Python 3" in line for line in report.unread)


def test_a_single_broken_file_is_a_fault(tmp_path):
    (tmp_path / "old.py").write_text("print 'torch'\n")
    with pytest.raises(SourceError, match="is no Python 3"):
        examine([tmp_path / "old.py"])


@pytest.mark.parametrize(("name", "words"), [
    ("missing.py", "does not exist"), ("weights.pt", "neither .py nor .ipynb"), ("folder", "holds no .py"),
])
def test_a_target_of_another_kind_is_refused(tmp_path, name, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "weights.pt").touch()
    with pytest.raises(SourceError, match=words):
        list(expand([tmp_path / name]))


def test_a_folder_leaves_out_hidden_and_installed_files(tmp_path):
    for name in ("a.py", "sub/b.py", ".git/c.py", "venv/site-packages/d.py", ".ipynb_checkpoints/e.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in expand([tmp_path])] == ["a.py", "b.py"]


@pytest.mark.parametrize("text", [
    "", "\n\n", "# torch", "import torch", "torch = " + "(" * 90 + ")" * 90, "def torch(): torch()\ntorch()",
    "class torch(torch): pass", "torch" + "x" * 3000, "import torch\nwhile True: pass", "from . import torch",
    "import torch\nexit()", "import torch\nfor a, *b in c: a.backward()",
    "import torch\nx = lambda *a, **k: x(*a, **k)\nx()",
    "import torch\nmatch torch:\n    case [a, b]: a.step()", "import torch\nclass A(A): pass\nA().A().forward(1)",
])
def test_odd_texts_have_no_finding_and_do_not_crash(text, tmp_path):
    file = tmp_path / "odd.py"
    file.write_text(text)
    assert examine([file]).findings == ()


def test_deep_expressions_and_recursion_end(tmp_path):
    file = tmp_path / "deep.py"
    file.write_text("import torch\nx = " + " + ".join(["1"] * 300) + "\ndef f(n):\n    return f(n)\nf(f(f(1)))\n")
    assert examine([file]).findings == ()


def test_a_very_long_file_is_followed_in_part_and_says_so(tmp_path):
    file = tmp_path / "long.py"
    file.write_text("import torch\n" + "x = torch.zeros(1) + 1\n" * 12_000)
    report = examine([file])
    assert report.findings == () and any("steps was not followed" in line for line in report.unchecked)


def test_the_text_of_a_script_keeps_its_lines(tmp_path):
    file = tmp_path / "windows.py"
    file.write_bytes(LOOP.replace("\n", "\r\n").encode())
    assert read(file).lines == from_text(file, LOOP).lines
    assert [finding.place.line for finding in examine([file]).findings] == [4]
