"""Folders as one block of bytes, and a storage that all nodes of a cluster reach: a shared folder or a URL of fsspec.

A block is stored atomically: a reader sees the old block, the new block or none.
"""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from featherweight.errors import FeatherweightError
from featherweight.files import write_atomically
from featherweight.outside import shortened


def pack(folder: Path, names: tuple[str, ...]) -> bytes:
    """Return the files of a folder as a ZIP archive. names: the files and subfolders to take, if they exist."""
    block = io.BytesIO()
    with zipfile.ZipFile(block, "w") as archive:
        for name in names:
            place = folder / name
            for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
                if file.is_file():
                    archive.write(file, file.relative_to(folder).as_posix())
    return block.getvalue()


def unpack(block: bytes, folder: Path, names: tuple[str, ...]) -> None:
    """Write the files of an archive into a folder. Raises FeatherweightError for a file outside of `names`."""
    try:
        with zipfile.ZipFile(io.BytesIO(block)) as archive:
            files = {info.filename: archive.read(info) for info in archive.infolist()}
    except (zipfile.BadZipFile, OSError, EOFError) as fault:
        raise FeatherweightError(f"a stored run cannot be read: {shortened(fault)}. Delete it.") from fault
    for name, content in files.items():
        parts = PurePosixPath(name).parts
        if not parts or parts[0] not in names or ".." in parts or "\\" in name:
            raise FeatherweightError(f"a stored run holds {shortened(repr(name))}, which is no part of a run. "
                                     "Delete it.")
        place = folder.joinpath(*parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, content)


def save(storage: str, name: str, block: bytes) -> None:
    """Store a block of bytes under a name, in place of an earlier one."""
    if "://" not in storage:
        Path(storage).mkdir(parents=True, exist_ok=True)
        return write_atomically(Path(storage, name), block)
    system, root = _open(storage)
    system.makedirs(root, exist_ok=True)
    system.pipe_file(f"{root}/{name}", block)
    return None


def load(storage: str, name: str) -> bytes | None:
    """Return the block of a name, None if it is not stored."""
    try:
        if "://" not in storage:
            return Path(storage, name).read_bytes()
        system, root = _open(storage)
        block: bytes = system.cat_file(f"{root}/{name}")
    except FileNotFoundError:
        return None
    return block


def forget(storage: str, name: str) -> None:
    """Delete the block of a name. Does nothing if it is not stored."""
    with suppress(FileNotFoundError):
        if "://" not in storage:
            return Path(storage, name).unlink()
        system, root = _open(storage)
        system.rm_file(f"{root}/{name}")
    return None


def holds(storage: str, name: str) -> bool:
    """Return True if this machine sees the block of a name."""
    try:
        return load(storage, name) is not None
    except (OSError, FeatherweightError):
        return False


def _open(storage: str) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it. Raises FeatherweightError for a URL that fsspec refuses."""
    try:
        from fsspec.core import url_to_fs

        system, root = url_to_fs(storage)
    except (ImportError, ValueError) as fault:
        raise FeatherweightError(f"the storage {shortened(repr(storage))} cannot be used: {shortened(fault)}. Give a "
                                 "shared folder, or install the package of this kind of URL.") from fault
    return system, root.rstrip("/")
