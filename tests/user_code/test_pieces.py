"""Python files and notebooks as pieces of source text: magics and shell lines left out, line numbers kept."""

from __future__ import annotations

import json

import pytest

from featherweight.errors import ModelError
from featherweight.user_code import load_class
from featherweight.user_code.pieces import is_python, plain_python, read_pieces, written_files


def notebook(folder, *cells, name="net.ipynb"):
    """Write a notebook of these code cells, the first a heading."""
    made = [{"cell_type": "markdown", "source": ["# heading"]}]
    made += [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    (folder / name).write_text(json.dumps({"cells": made, "nbformat": 4}))
    return folder / name


@pytest.mark.parametrize(("cell", "expected"), [
    ("%matplotlib inline\nn = 1", "pass\nn = 1"),
    ("!pip install torchsummary\nn = 1", "pass\nn = 1"),
    ("pip install torchsummary\nn = 1", "pass\nn = 1"),
    ("if True:\n    !ls\n    n = 1", "if True:\n    pass\n    n = 1"),
    ("!pip install a \\\n    b\nn = 1", "pass\n    pass\nn = 1"),
    ("files = !ls\nn = 1", "pass\nn = 1"),
    ("?print\nprint?\nprint??\nn = 1", "pass\npass\npass\nn = 1"),
    ("%%time\nn = 1", "pass\nn = 1"),
    ("%time n = 1\n!ls", "n = 1\npass"),
    ("%%bash\nls -l\n", "\n\n"),
    ("\n%%html\n<b>", "\n\n"),
    ("n = 7\\\n% 4", "n = 7\\\n% 4"),                 # Python as it stands
    ("n = 1\r\n%cd ..\r\n", "n = 1\npass\n"),
    ("text = '''\n!ls\n'''", "text = '''\n!ls\n'''"),
    ("", ""),
], ids=repr)  # fmt: skip
def test_cell_without_magics(cell, expected):
    assert plain_python(cell) == expected
    assert len(expected.split("\n")) == len(cell.replace("\r\n", "\n").split("\n"))
    assert is_python(expected) or "\\" in cell


def test_notebook_cells_are_numbered_as_they_stand(tmp_path):
    pieces = read_pieces(notebook(tmp_path, "n = 1", "%%bash\nls", "def f():\n    return n"))
    assert [piece.place.rpartition(", ")[2] for piece in pieces] == ["cell 2", "cell 3", "cell 4"]
    assert [piece.text for piece in pieces] == ["n = 1", "\n", "def f():\n    return n"]


def test_network_of_a_notebook_with_everything_in_it(tmp_path):
    file = notebook(
        tmp_path, "!pip install torch\nfrom torch import nn\n%matplotlib inline", "width = 2",
        "%%writefile blocks.py\nfrom torch import nn\n\ndepth = 5",
        "!mkdir lib\n", "%%writefile lib/more.py\nthree = 3",
        "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(width, depth * three)",
        "class Unfinished(nn.Module:", "from blocks import depth\nfrom lib.more import three\n%time width = width + 2",
        "raise RuntimeError\n",
    )
    net = load_class(file, "Net")
    assert tuple(net.builder().weight.shape) == (15, 4)
    assert sorted(net.source().files) == ["blocks.py", "lib/more.py", "net.py"]
    assert net.source().files["blocks.py"].strip().endswith("depth = 5")


def test_faults_name_the_cell(tmp_path):
    file = notebook(tmp_path, "from torch import nn", "class Net(nn.Linear):\n    size = 1 / 0")
    with pytest.raises(ModelError, match=r"net\.ipynb, cell 3:1: ZeroDivisionError"):
        load_class(file, "Net")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cells": 3}', '{"cells": [{"cell_type": "code"}]}', "\xff"])
def test_what_is_no_notebook_is_told_in_a_line(tmp_path, text):
    (tmp_path / "net.ipynb").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"net\.ipynb' (is no notebook of format 4|cannot be read): ") as fault:
        load_class(tmp_path / "net.ipynb", "Net")
    assert "\n" not in str(fault.value)


def test_windows_line_ends_and_a_byte_order_mark(tmp_path):
    text = "class Net:\r\n    width = '''a\r\nb'''\r\n"
    (tmp_path / "net.py").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_class(tmp_path / "net.py", "Net").builder.width == "a\nb"
    file = tmp_path / "net.ipynb"
    cells = [{"cell_type": "code", "source": "%cd ..\r\nclass Net:\r\n    width = 3\r\n"}]
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps({"cells": cells}).encode())
    assert load_class(file, "Net").builder.width == 3


def test_python_saved_from_a_notebook(tmp_path):
    file = tmp_path / "net.py"
    file.write_text('"""Original file is at https://colab."""\n!pip install x\n%cd ..\nclass Net:\n    width = 3\n')
    assert load_class(file, "Net").builder.width == 3
    file.write_text("!pip install x\nclass Net(:\n")
    with pytest.raises(ModelError, match="SyntaxError"):
        load_class(file, "Net")


def test_only_notebooks_write_files(tmp_path):
    (tmp_path / "net.py").write_text("n = 1")
    assert written_files(tmp_path / "net.py") == {}
    cells = "%%writefile ./a.py\nn = 1", "%%file b.py\nn = 2", "%%writefile ../c.py\n", "%%writefile d"
    file = notebook(tmp_path, *cells)
    assert {name: piece.text for name, piece in written_files(file).items()} == {"a.py": "\nn = 1", "b.py": "\nn = 2"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("x = " + "-" * 900 + "1", "an expression in it is nested too deep"),
        ("x = " + "-" * 100_000 + "1", "MemoryError"),
        ("x = 0" + "+1" * 20_000, "RecursionError"),
        ("if 0: pass\n" + "elif 0: pass\n" * 3000, "RecursionError"),
        ("def f(a, a): pass", "duplicate argument"),
        ("nonlocal x", "nonlocal declaration not allowed"),
    ],
)
def test_code_that_python_itself_cannot_take(line, fault, tmp_path):
    (tmp_path / "net.py").write_text(f"class Net: pass\n{line}\n")
    with pytest.raises(ModelError, match=rf"net\.py' cannot be imported: .*{fault}"):
        load_class(tmp_path / "net.py", "Net")


def test_a_class_that_cannot_be_compiled(tmp_path):
    (tmp_path / "net.py").write_text("class Net:\n    break\n")
    with pytest.raises(ModelError, match=r"net\.py:1: SyntaxError: 'break' outside loop"):
        load_class(tmp_path / "net.py", "Net")


@pytest.mark.parametrize("cells", ["[" * 100_000 + "]" * 100_000, "1" * 10_000])
def test_a_notebook_that_json_cannot_take(cells, tmp_path):
    (tmp_path / "net.ipynb").write_text(f'{{"cells": {cells}}}')
    with pytest.raises(ModelError, match="is no notebook of format 4"):
        load_class(tmp_path / "net.ipynb", "Net")
