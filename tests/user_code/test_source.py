"""The source of a network in a run: written, read again, compared; nothing else in its folder is ever imported."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from featherweight.blame import user_line
from featherweight.errors import ModelError, Untrusted
from featherweight.user_code import MANIFEST, Source, load_class, load_typed_class, trust

NET = """from torch import nn
from lib.blocks import width
try:
    import extra
except ImportError:
    extra = None


class Net(nn.Linear):
    stranger = extra

    def __init__(self):
        super().__init__(width, 10)
"""
SOURCE = Source("net.py", "Net", {"net.py": NET, "lib/blocks.py": "width = 3\n"})


@pytest.fixture
def folder(tmp_path):
    """The source as a run holds it, trusted."""
    SOURCE.write(tmp_path / "network")
    trust.remember(SOURCE.sha256)
    return tmp_path / "network"


def manifest(folder: Path, **changes):
    content = json.loads((folder / MANIFEST).read_text()) | changes
    (folder / MANIFEST).write_text(json.dumps(content))


def test_what_is_written_is_read(folder):
    assert Source.read(folder) == SOURCE and Source.read(folder).sha256 == SOURCE.sha256
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) == [
        "lib/blocks.py", "net.py", "network.json"]


def test_any_change_changes_the_hash():
    other = [
        replace(SOURCE, attribute="Other"), replace(SOURCE, entry="lib/blocks.py"),
        replace(SOURCE, files={**SOURCE.files, "net.py": NET + " "}),
        replace(SOURCE, files={**SOURCE.files, "more.py": ""}), replace(SOURCE, files={"net.py": NET}),
        replace(SOURCE, files={"net.py": SOURCE.files["lib/blocks.py"], "lib/blocks.py": NET}),
    ]
    assert len({SOURCE.sha256, *(each.sha256 for each in other)}) == 7
    assert SOURCE.sha256 == replace(SOURCE, files=dict(reversed(SOURCE.files.items()))).sha256


def test_a_changed_file_is_refused(folder):
    (folder / "lib" / "blocks.py").write_text("width = 4\n")
    with pytest.raises(ModelError, match=r"was changed after training began\. Put the original files back"):
        load_class(folder / "net.py", "Net")


def test_a_missing_file_is_refused(folder):
    (folder / "lib" / "blocks.py").unlink()
    with pytest.raises(ModelError, match=r"cannot be read: .*blocks\.py"):
        Source.read(folder)


@pytest.mark.parametrize("name", ["../net.py", "/etc/passwd", "lib/../../net.py", "", "."])
def test_names_outside_of_the_folder_are_refused(folder, name):
    (folder.parent / "net.py").write_text(NET)
    for changes in ({"entry": name}, {"files": ["net.py", "lib/blocks.py", name]}):
        kept = (folder / MANIFEST).read_text()
        manifest(folder, **changes)
        with pytest.raises(ModelError, match=r"lies outside of the folder|cannot be read"):
            Source.read(folder)
        (folder / MANIFEST).write_text(kept)


@pytest.mark.parametrize("changes", [
    {"files": None}, {"files": "net.py"}, {"entry": 3}, {"sha256": "0"}, {"attribute": "Other"}, {"files": ["net.py"]},
    {"entry": "gone.py"},
], ids=repr)  # fmt: skip
def test_a_manifest_that_was_edited_is_refused(folder, changes):
    manifest(folder, **changes)
    with pytest.raises(ModelError, match=r"cannot be read|was changed"):
        Source.read(folder)


@pytest.mark.parametrize("text", ["", "[]", "3", "\xff", "{"])
def test_what_is_no_manifest_is_refused(folder, text):
    (folder / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match="cannot be read"):
        Source.read(folder)


@pytest.mark.parametrize("planted", ["extra.py", "extra/__init__.py", "lib/extra.py", "../extra.py"])
def test_a_planted_file_is_never_imported(folder, planted):
    (folder / planted).parent.mkdir(exist_ok=True)
    (folder / planted).write_text("raise SystemExit('executed')\n")
    net = load_class(folder / "net.py", "Net").builder
    assert getattr(net.stranger, "__file__", None) is None and net().in_features == 3
    with pytest.raises(AttributeError):     # a planted folder is empty: nothing in it may be loaded
        _ = net.stranger.anything


def test_a_planted_package_file_is_not_executed_by_a_relative_import(tmp_path):
    source = Source("a/net.py", "Net", {"a/net.py": "from . import b\nclass Net:\n    n = b.n\n", "a/b.py": "n = 3\n"})
    source.write(tmp_path)
    trust.remember(source.sha256)
    (tmp_path / "a" / "__init__.py").write_text("b = None\n")
    assert load_class(tmp_path / "a" / "net.py", "Net").builder.n == 3


def test_a_planted_file_is_not_loaded_by_its_name(folder):
    (folder / "planted.py").write_text("class Net:\n    pass\n")
    with pytest.raises(ModelError, match=r"planted\.py' is no part of the network that lies in"):
        load_class(folder / "planted.py", "Net")


@pytest.mark.parametrize("mark", [".git", "setup.py", "pyproject.toml", "requirements.txt"])
def test_a_planted_mark_of_a_repository_changes_nothing(tmp_path, mark, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    source = Source("deep/net.py", "Net", {"deep/net.py": "class Net:\n    pass\n"})
    source.write(tmp_path / "network")
    (tmp_path / "network" / "deep" / mark).write_text("")
    with pytest.raises(Untrusted, match="network' holds a network of its own"):
        load_class(tmp_path / "network" / "deep" / "net.py", "Net")


def test_the_copy_of_a_copy_is_the_same_source(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "again")
    found = load_class(tmp_path / "again" / "net.py", "Net")
    found.builder()
    assert found.source() == SOURCE


def test_a_notebook_and_the_file_of_its_name_are_both_kept(tmp_path):
    cells = [{"cell_type": "code", "source": "from net import width\n"},
             {"cell_type": "code", "source": "class Net:\n    n = width\n"}]
    (tmp_path / "net.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "net.py").write_text("width = 3\n")
    source = load_class(tmp_path / "net.ipynb", "Net").source()
    assert source.entry == "net_.py" and source.files["net.py"] == "width = 3\n"
    source.write(tmp_path / "network")
    trust.remember(source.sha256)
    assert load_class(tmp_path / "network" / source.entry, "Net").builder.n == 3


TYPED = [      # by execution count
    "", "%matplotlib inline\nfrom torch import nn", "WIDTH = 3", "print('a training')",
    "class Net(nn.Linear):\n\n    def __init__(self, width=WIDTH):\n        super().__init__(width, 10)\n"
    "        if width != 3:\n            raise ValueError('no width')",
]


def test_of_a_notebook_a_run_keeps_what_the_class_needs(tmp_path, capsys):
    found = load_typed_class(TYPED, "Net")
    (text,) = found.source().files.values()
    assert "WIDTH = 3" in text and "training" not in text and "matplotlib" not in text
    found.source().write(tmp_path / "network")
    trust.remember(found.source().sha256)
    kept = load_class(tmp_path / "network" / "notebook.py", "Net").builder()
    assert kept.in_features == found.builder().in_features == 3 and capsys.readouterr().out == ""


def test_a_fault_in_a_notebook_names_the_cell():
    with pytest.raises(ValueError, match="no width") as fault:
        load_typed_class(TYPED, "Net").builder(5)
    assert user_line(fault.value) == "notebook cell 4:6"
