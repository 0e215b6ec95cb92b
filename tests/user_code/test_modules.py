"""Files of the user's as modules: what they import, what is executed, and what is not."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
import torch

from featherweight.errors import FeatherweightError, ModelError, UnknownName
from featherweight.models import build_model
from featherweight.user_code import load_class
from featherweight.user_code.modules import MOST_MODULES, PREFIX

NET = "from torch import nn\n{imports}\n\nclass Net(nn.Module):\n    width = {width}\n"


@pytest.fixture
def folder(tmp_path):
    """Write files below a repository's root: folder({"a/b.py": text}) gives the root."""

    def write(files: dict[str, str], mark: str = ".git") -> Path:
        (tmp_path / mark).mkdir()
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


def width(file, attribute="Net"):
    return load_class(file, attribute).builder.width


def net(imports, value):
    return NET.format(imports=imports, width=value)


@pytest.mark.parametrize(("place", "files", "imports", "value"), [
    ("net.py", {"blocks.py": "width = 3"}, "from blocks import width as w", "w"),
    ("net.py", {"blocks.py": "width = 3"}, "import blocks", "blocks.width"),
    ("net.py", {"blocks.py": "width = 3"}, "import blocks as b, os", "b.width"),
    ("a/b/net.py", {"blocks.py": "width = 3"}, "from blocks import width as w", "w"),               # in the root
    ("a/b/net.py", {"a/blocks.py": "width = 3"}, "from blocks import width as w", "w"),             # in between
    ("a/b/net.py", {"a/b/__init__.py": "", "a/blocks.py": "width = 3"}, "from ..blocks import width as w", "w"),
    ("a/net.py", {"a/__init__.py": "", "a/blocks.py": "width = 3"}, "from .blocks import width as w", "w"),
    ("a/net.py", {"a/blocks.py": "width = 3"}, "from . import blocks", "blocks.width"),             # no __init__.py
    ("a/net.py", {"a/__init__.py": "width = 3"}, "from . import width as w", "w"),
    ("a/net.py", {"a/__init__.py": "", "lib/blocks.py": "width = 3"}, "from lib.blocks import width as w", "w"),
    ("a/net.py", {"lib/sub/blocks.py": "width = 3"}, "import lib.sub.blocks", "lib.sub.blocks.width"),
    ("net.py", {"lib/__init__.py": "from .blocks import *\n", "lib/blocks.py": "width = 3"}, "import lib", "lib.width"),
    ("net.py", {"lib/__init__.py": "from .one import two\n", "lib/one.py": "from .two import two",
                "lib/two.py": "two = 3"}, "from lib import two", "two"),    # the name, not the file of the same name
    ("net.py", {"lib/__init__.py": "from .two import two\n", "lib/two.py": "two = 3; other = 4"},
     "from lib.two import other\nfrom lib import two", "other - 1 if two == 3 else 0"),
    ("net.py", {"lib/__init__.py": "__version__ = '3'\n"}, "from lib import __version__ as v", "int(v)"),
    ("net.py", {"lib/__init__.py": "__all__ = ['blocks']", "lib/blocks.py": "width = 3"}, "from lib import blocks",
     "blocks.width"),
    ("net.py", {"blocks.py": "from helper import width", "helper.py": "width = 3"}, "from blocks import *", "width"),
    ("net.py", {"a.py": "from b import *\nthree = 3", "b.py": "from a import *\nwidth = three"}, "from b import *",
     "width"),                                                                                      # stars in a circle
    ("notebooks/net.py", {"src/blocks.py": "width = 3"}, "import sys\nsys.path.append('../src')\nimport blocks",
     "blocks.width"),
    ("notebooks/net.py", {"src/blocks.py": "width = 3"}, "import os, sys\nsys.path.insert(0, os.path.join("
     "os.path.dirname(__file__), '..', 'src'))\nimport blocks", "blocks.width"),
    ("net.py", {"random.py": "width = 3"}, "import random", "random.width"),        # the file beside wins, as in Python
    ("net.py", {"torch/notes.py": "width = 1"}, "import torch", "3 if hasattr(torch, 'nn') else 0"),
    ("net.py", {"json/__init__.py": "width = 3"}, "import json", "json.width"),
    ("a/net.py", {"random.py": "width = 1"}, "import random", "3 if hasattr(random, 'seed') else 0"),     # farther off
    ("net.py", {"blocks.py": "import os.path, xml.dom\nwidth = 3"}, "from blocks import width as w, xml", "w"),
    ("net.py", {"blocks.py": "# -*- coding: latin-1 -*-\nname = 'e'\nwidth = 3"}, "import blocks", "blocks.width"),
])  # fmt: skip
def test_imports_are_found(folder, place, files, imports, value):
    assert width(folder(files | {place: net(imports, value)}) / place) == 3


def test_a_file_in_another_encoding_is_read_as_python_reads_it(tmp_path):
    (tmp_path / "net.py").write_bytes("# coding: latin-1\nclass Net:\n    width = 'Größe'\n".encode("latin-1"))
    assert width(tmp_path / "net.py") == "Größe"
    (tmp_path / "bad.py").write_bytes(b"class Net:\n    width = '\xff'\n")
    with pytest.raises(ModelError, match=r"bad\.py' cannot be read"):
        load_class(tmp_path / "bad.py", "Net")


def test_two_networks_do_not_share_their_helpers(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / ".git").mkdir(parents=True)
        (tmp_path / name / "utils.py").write_text(f"width = {len(name) if name == 'one' else 22}\n")
        (tmp_path / name / "net.py").write_text(net("from utils import width as w", "w"))
    found = [load_class(tmp_path / name / "net.py", "Net").builder for name in ("one", "two", "one")]
    assert [each.width for each in found] == [3, 22, 3]
    assert "utils" not in sys.modules or "one" not in str(sys.modules["utils"].__file__)


def test_circular_imports(folder):
    root = folder({
        "net.py": "import blocks\nfrom torch import nn\nsize = 3\nclass Net(nn.Module):\n    width = blocks.twice()\n",
        "blocks.py": "import net\ndef twice():\n    return 2 * net.size\n",
    })
    assert width(root / "net.py") == 6


def test_a_function_imports_when_it_is_called(folder):
    text = ("from torch import nn\nclass Net(nn.Linear):\n    def __init__(self):\n        from blocks import width\n"
            "        import os.path as p\n        super().__init__(width, len(p.basename('a/bcd')))\n")
    root = folder({"net.py": text, "blocks.py": "width = 7\n"})
    model = build_model(f"{root / 'net.py'}:Net")
    assert tuple(model.weight.shape) == (3, 7)
    source = load_class(root / "net.py", "Net").source()
    assert sorted(source.files) == ["net.py"]       # nothing is built yet
    found = load_class(root / "net.py", "Net")
    found.builder()
    assert sorted(found.source().files) == ["blocks.py", "net.py"]


def test_a_missing_package_that_is_not_used_does_not_matter(folder):
    text = (
        "import nowhere_a, torch\nfrom nowhere_b.part import tool\nfrom torch import nn\nimport nowhere_c.part as c\n"
        "class Net(nn.Linear):\n    width = 3\n    def draw(self):\n        return tool(nowhere_a, c)\n"
    )
    root = folder({"net.py": text})
    assert width(root / "net.py") == 3
    model = build_model(f"{root / 'net.py'}:Net", {"in_features": 1, "out_features": 1})
    with pytest.raises(ImportError, match=r"net\.py:2: No module named 'nowhere_b'\. Install it, or put the file besi"):
        model.draw()


@pytest.mark.parametrize(("use", "line"), [
    ("self.act = tool.Act()", 1), ("self.act = tool(1)", 1), ("self.n = 1 + tool", 1), ("tool[0]", 1),
    ("isinstance(1, tool)", 1), ("f'{tool}'", 1), ("with tool:\n            pass", 1), ("self.n = [*tool]", 1),
    ("self.n = tool << 1", 1), ("self.n = 2 | tool", 1), ("self.n = -tool", 1), ("self.n = 2 @ tool", 1),
    ("if tool:\n            pass", 1), ("open(tool)", 1), ("range(tool)", 1), ("del tool[0]", 1),
], ids=repr)  # fmt: skip
def test_a_missing_package_that_is_used_is_named_with_its_line(folder, use, line):
    head = "import nowhere as tool\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
    root = folder({"net.py": f"{head}        {use}\n"})
    with pytest.raises(ModelError, match=rf"net\.py:{line}: No module named 'nowhere'\. Install it") as fault:
        build_model(f"{root / 'net.py'}:Net")
    assert "\n" not in str(fault.value)


def test_a_missing_base_class_is_named(folder):
    root = folder({"net.py": "import nowhere\n\nclass Net(nowhere.Base):\n    pass\n"})
    with pytest.raises(ModelError, match=r"net\.py' cannot be imported: net\.py:3: net\.py:1: No module named"):
        load_class(root / "net.py", "Net")


@pytest.mark.parametrize("imports", ["from ..... import x", "from ...too.far import x", "from .gone import x"])
def test_a_relative_import_that_leads_nowhere(folder, imports):
    root = folder({"net.py": net(imports, "int(x)")})
    with pytest.raises(ModelError, match=r"net\.py:4: net\.py:2: "):
        load_class(root / "net.py", "Net")


@pytest.mark.parametrize(("name", "attribute", "words"), [
    ("gone.py", "Net", "model file '.*gone.py' does not exist"),
    ("net.py", "Nett", "unknown class in '.*net.py': 'Nett'. Did you mean 'Net'?"),
    ("net.py", "", "unknown class in '.*net.py': ''. Did you mean|unknown class in '.*net.py': ''. Allowed: Net"),
    ("net.py", "seven", "unknown class in"),
    ("text.py", "Net", "text.py' cannot be imported: text.py:1: SyntaxError"),
    ("null.py", "Net", "null.py' cannot be imported"),
])  # fmt: skip
def test_refusals(folder, name, attribute, words):
    root = folder({"net.py": net("seven = 7", "seven"), "text.py": "class Net(:\n", "null.py": "a = 1\0\n"})
    with pytest.raises((ModelError, UnknownName), match=words) as fault:
        load_class(root / name, attribute)
    assert "\n" not in str(fault.value) and isinstance(fault.value, FeatherweightError)


def state():
    """What a file could change by being executed."""
    return (torch.get_rng_state(), Path.cwd(), list(sys.argv), list(sys.path), dict(os.environ),
            torch.get_num_threads())


def test_nothing_else_is_executed(folder, monkeypatch, capsys):
    text = (
        "import argparse, os, random, sys\nimport torch\nfrom torch import nn\nimport blocks\n"
        "print('hello')\ntorch.manual_seed(1)\nrandom.seed(1)\nos.chdir('/')\nsys.argv.append('--x')\n"
        "open('written.txt', 'w').write('x')\nos.environ['FEATHERWEIGHT_TEST'] = 'x'\nsys.path.append('..')\n"
        "parser = argparse.ArgumentParser()\nparser.add_argument('--width', default=3)\nargs = parser.parse_args()\n"
        "torch.set_num_threads(7)\nweights = torch.rand(10)\nraise SystemExit\n"
        "class Net(nn.Module):\n    width = args.width + blocks.one\n"
    )
    root = folder({"net.py": text, "blocks.py": "print('hello')\nimport torch\nnoise = torch.rand(3)\none = 1\n"})
    (root / "here").mkdir()
    monkeypatch.chdir(root / "here")
    monkeypatch.setattr(sys, "argv", ["featherweight", "summary", "--json"])
    before = state()
    assert width(root / "net.py") == 4
    after = state()
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]
    assert not re.findall("hello", "".join(capsys.readouterr())) and not list(root.rglob("written.txt"))


def test_names_that_python_asks_a_module_for(folder):
    """dataclasses and pickles look their class's module up."""
    root = folder({"net.py": "from dataclasses import dataclass\n\n\n@dataclass\nclass Net:\n    width: int = 3\n"})
    found = load_class(root / "net.py", "Net").builder
    assert found(5).width == 5 and sys.modules[found.__module__].Net is found


def test_a_file_called_network_json_of_the_users_own(folder):
    root = folder({"net.py": net("", 3), "network.json": '{"width": 3}'})
    assert width(root / "net.py") == 3


def test_a_process_keeps_no_more_than_the_last_modules(folder):
    root = folder({f"own{n}.py": net("", n) for n in range(MOST_MODULES + 20)})
    classes = [load_class(root / f"own{n}.py", "Net") for n in range(MOST_MODULES + 20)]
    kept = [name for name in sys.modules if name.startswith(PREFIX)]
    assert len(kept) == MOST_MODULES and kept[-1].endswith(f"_own{MOST_MODULES + 19}")
    assert [one.builder.width for one in classes] == list(range(MOST_MODULES + 20))
