"""Runs as blocks of bytes: what travels, where it is stored, and what is refused."""

from __future__ import annotations

import io
import zipfile

import pytest

from featherweight.crews.storage import forget, holds, load, pack, save, unpack
from featherweight.errors import FeatherweightError


def test_a_folder_comes_back_with_its_subfolders_and_nothing_else(tmp_path):
    (tmp_path / "from" / "network").mkdir(parents=True)
    for name in ("a.txt", "network/own.py", "private.txt"):
        (tmp_path / "from" / name).write_text(name)
    unpack(pack(tmp_path / "from", ("a.txt", "missing", "network")), tmp_path / "to", ("a.txt", "network"))
    files = {str(file.relative_to(tmp_path / "to")): file.read_text() for file in (tmp_path / "to").rglob("*.*")}
    assert files == {"a.txt": "a.txt", "network/own.py": "network/own.py"}


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "b.txt", "network/../../a.txt", "network\\..\\a.txt"])
def test_a_block_cannot_write_outside_of_its_folder(tmp_path, name):
    block = io.BytesIO()
    with zipfile.ZipFile(block, "w") as archive:
        archive.writestr(name, "bad")
    with pytest.raises(FeatherweightError, match="no part of a run"):
        unpack(block.getvalue(), tmp_path / "to", ("a.txt", "network"))
    assert not (tmp_path / "to").exists() and not (tmp_path / "a.txt").exists()


def test_bytes_that_are_no_block_are_refused(tmp_path):
    with pytest.raises(FeatherweightError, match="cannot be read"):
        unpack(b"PK\x03\x04 half a file", tmp_path, ("a.txt",))


@pytest.mark.parametrize("kind", ["folder", "file://", "memory://"])
def test_a_storage_keeps_the_newest_block(tmp_path, kind):
    storage = {"folder": str(tmp_path / "shared"), "file://": f"file://{tmp_path}/shared", "memory://": "memory://tests"}
    place = storage[kind]
    assert load(place, "one.zip") is None and not holds(place, "one.zip")
    save(place, "one.zip", b"first")
    save(place, "one.zip", b"second")
    assert load(place, "one.zip") == b"second" and holds(place, "one.zip")
    forget(place, "one.zip")
    forget(place, "one.zip")
    assert load(place, "one.zip") is None


def test_a_url_of_an_unknown_kind_is_refused():
    with pytest.raises(FeatherweightError, match="the storage 'ice://cream' cannot be used"):
        save("ice://cream", "one.zip", b"")
