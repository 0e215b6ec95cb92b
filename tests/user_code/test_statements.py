"""Which statements a name needs: executing these alone gives what executing the whole module gives."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featherweight.user_code import load_class
from featherweight.user_code.statements import needed, statements_of


def split(text):
    return list(statements_of(ast.parse(text).body, "net.py"))


def executed(statements, indices):
    """The namespace after these statements."""
    namespace = {}
    for index in indices:
        exec(compile(ast.Module([statements[index].node], []), "net.py", "exec"), namespace)
    return namespace


def value(text, name="n"):
    """The name's value, when only what it needs is executed."""
    statements = split(text)
    return executed(statements, needed(statements, [name]))[name]


def lines(text, name="n"):
    """The first lines of the statements that a name needs."""
    statements = split(text)
    return [statements[index].node.lineno for index in needed(statements, [name])]


@pytest.mark.parametrize(("text", "expected"), [
    ("n = 1\nn = 2", 2),
    ("m = 1\nn = m\nm = 2", 1),                                     # the value that m had there
    ("n = 1\nn += 2", 3),
    ("n = 1\nwith open('/dev/null') as file:\n    n += 2", 3),
    ("n = 1\nif n == 2:\n    n = 5", 1),
    ("n = 1\nfor k in range(3):\n    n += k", 4),
    ("n = 1\ntry:\n    n = 1 // 0\nexcept ZeroDivisionError:\n    pass", 1),
    ("n = 1\n[] and (n := 5)", 1),
    ("n = 1\n(n := 5)", 5),
    ("m = n = 1\nn, m = 2, n", 2),
    ("n = 1\nn: int", 1),                                           # an annotation alone binds nothing
    ("n: int = 4", 4),
    ("n, *rest = [7, 8]", 7),
    ("config = {'x': 1}\nconfig['x'] = 2\nn = config['x']\nconfig['x'] = 3", 2),
    ("config = {'x': 1, 'y': 2}\ndel config['x']\nn = len(config)", 1),
    ("config = {}\nconfig.update(x=5)\nn = config['x']", 5),
    ("config = dict(x=[0])\nconfig['x'][0] += 4\nn = config['x'][0]", 4),
    ("rows = []\nfor k in range(3):\n    rows.append(k)\nn = len(rows)", 3),
    ("def f():\n    return 1\nn = f()\ndef f():\n    return 2", 1),
    ("m = 1\ndef f():\n    return m\nn = f()\nm = 2", 1),
    ("m = 1\ndef g():\n    return m\ndef f():\n    return g()\nn = f()\nm = 2\ndef g():\n    return 7", 1),
    ("m = 1\nn = (lambda: m)()\nm = 2", 1),
    ("m = 2\nn = sum(m * k for k in range(3))\nm = 5", 6),
    ("m = 2\nn = [k + m for k in range(2) if k < m][-1]", 3),
    ("m = 4\ndef f(k=m):\n    return k\nm = 5\nn = f()", 4),
    ("m = 4\nclass C:\n    k = m\n    row = [m for _ in range(2)]\nm = 5\nn = C.k + C.row[1]", 8),
    ("def twice(f):\n    return lambda: 2 * f()\n@twice\ndef f():\n    return 3\nn = f()", 6),
    ("class C:\n    pass\nC.size = 3\nn = C.size", 3),
    ("class C:\n    pass\ndef f(self):\n    return 8\nC.f = f\nn = C().f()", 8),
    ("class C:\n    pass\nsetattr(C, 'size', 3)\nn = C.size", 3),
    ("import os.path\nimport os\nn = os.path.basename('a/b')", "b"),
    ("import os\nimport os.path\nn = os.sep", "/"),
    ("from os.path import join, basename as base\nn = base(join('a', 'b'))", "b"),
    ("if __name__ == '__main__':\n    n = 1\nn = 2", 2),
    ("n = 2\nif __name__ == '__main__':\n    n = 1", 2),
], ids=repr)  # fmt: skip
def test_value_is_that_of_the_whole_module(text, expected):
    assert value(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("print('hello')\nn = 1\nopen('x', 'w').write('y')", [2]),
    ("m = 1\nn = 2\nk = m", [2]),
    ("n = 1\nn = 2", [2]),
    ("n = 1\nn.x = 2\nn = 3", [3]),                                # changes of what is replaced later
    ("import torch\ntorch.manual_seed(1)\nn = torch", [1, 3]),      # a module is not the network's own
    ("def train():\n    return data\ndata = 1\nn = 2", [4]),
    ("def f(x: 'm' = 1) -> list[m]:\n    return x\nm = 3\nn = f()", [1, 4]),      # annotations are not evaluated
    ("from blocks import *\nm = 1\nn = m", [2, 3]),
    ("from blocks import *\nn = depth", [1, 2]),                    # bound nowhere: perhaps there
    ("from blocks import *\nn = len([])", [2]),
    ("n = helper()\ndef helper():\n    return 1", [1, 2]),          # cells out of order: defined below
    ("m = 1\nclass C:\n    def f(self):\n        return later\nlater = 2\nn = C", [2, 5, 6]),
    ("class C:\n    inner = 1\n    def f(self):\n        inner = 2\n        return inner\ninner = 3\nn = C", [1, 7]),
    ("if __name__ == '__main__':\n    n = 1", []),
    ("m = 1", []),
], ids=repr)  # fmt: skip
def test_no_more_than_is_needed(text, expected):
    assert lines(text) == expected


def test_an_import_of_several_names_is_taken_apart():
    statements = split("from os import path, sep\nimport json, re\nn = sep")
    assert [ast.unparse(statements[k].node) for k in needed(statements, ["n"])] == ["from os import sep", "n = sep"]


def test_names_of_a_failed_statement_say_so_though_they_had_a_value(tmp_path):
    """The value before a failed change would be another network than the file's, without a word."""
    from featherweight.errors import ModelError
    from featherweight.models import build_model

    head = "from torch import nn\nimport os\nconfig = {'width': 2}\n"
    tail = "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(config['width'], 10)\n"
    for number, line in enumerate(("config.update(width=int('four'))", "config |= int('four')",
                                   "if config:\n    config = int('four')")):
        file = tmp_path / f"net{number}.py"
        file.write_text(f"{head}{line}\n{tail}")
        with pytest.raises(ModelError, match=rf"net{number}\.py:4: invalid literal for int"):
            build_model(f"{file}:Net")


def test_a_failed_import_of_a_part_leaves_the_package(tmp_path: Path):
    file = tmp_path / "net.py"
    file.write_text("import torch\nimport torch.nowhere\nclass Net(torch.nn.Linear):\n    pass\n")
    assert load_class(file, "Net").builder(2, 3).out_features == 3


NAMES = st.sampled_from("abcd")
FORMS = st.sampled_from([
    "{n} = {m} + 1", "{n} += {m}", "if {m} % 2:\n    {n} = {m} * 2", "def f():\n    return {m} * 3", "{n} = f()",
    "def g():\n    return f() + {m}", "{n} = g()", "config['x'] = {n}", "{n} = config['x']", "{n}, {m} = {m}, {n}",
    "for k in range(2):\n    {n} += k", "{n} = len([{m} for _ in range({n} % 3)]) + {m}", "{n}: int",
    "class C:\n    v = {n}\n    def h(self, d={m}):\n        return d + {n} + self.v", "{n} = C().h()",
    "{n} = (lambda q={m}: q + {n})()", "with open('/dev/null') as _:\n    {n} += {m}", "config.update(x={m})",
    "try:\n    {n} = 1 // ({m} % 2)\nexcept ZeroDivisionError:\n    pass", "{m} % 2 and ({n} := {m} + 2)",
])  # fmt: skip
START = ("a = 1\nb = 2\nc = 3\nd = 4\nconfig = {'x': 1}\ndef f():\n    return a\ndef g():\n    return f() + b\n"
         "class C:\n    def h(self):\n        return c\n")


@given(st.lists(st.tuples(FORMS, NAMES, NAMES), max_size=9), NAMES)
def test_any_little_module_gives_the_same_value(forms, wanted):
    text = START + "\n".join(form.format(n=n, m=m) for form, n, m in forms)
    whole = executed(statements := split(text), range(len(statements)))
    assert executed(statements, needed(statements, [wanted]))[wanted] == whole[wanted], text
