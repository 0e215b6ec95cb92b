"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file under a temporary name beside path (".NAME.xyz"), moved onto it when the block ends well.

    Errors: OSError that names path where the file system refuses: no right to write, no room left.
    """
    try:
        with temporary_beside(path) as file:
            yield file
    except OSError as fault:
        raise OSError(fault.errno, fault.strerror or str(fault), str(path)) from fault


@contextmanager
def temporary_beside(path: Path) -> Iterator[IO[bytes]]:
    """The same, with errors that name the temporary file."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        sync_folder(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Let a move into a folder last through a loss of power, where the file system can promise that."""
    with suppress(OSError):     # Windows opens no folder; some network file systems do not sync one
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_atomically(path: Path, content: bytes) -> None:
    """Write all of a file in one move: path is never half-written."""
    with replacing(path) as file:
        file.write(content)


def names_in(folder: Path) -> list[str]:
    """What a folder holds, sorted; nothing where there is none."""
    return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


def is_one_of(name: str, files: Collection[str]) -> bool:
    """Whether a file is one of these, or what a killed process left of writing one."""
    return name in files or any(name.startswith(f".{file}.") for file in files)


def refusal(fault: OSError) -> str:
    """What the file system refused, and where, if the fault says so: those of some libraries do not."""
    said = (fault.strerror or " ".join(str(fault).split()) or type(fault).__name__).rstrip(".")
    if fault.filename is None:
        return f"the file system refused: {said}. Make room, or give another place with --out or TMPDIR."
    return f"cannot use {str(fault.filename)!r}: {said}. Give another place, or make room."


def plain_file(path: Path) -> Path:
    """Return the path. Raises OSError for a pipe or a device: reading it may never end. Others are left to open."""
    if path.is_fifo() or path.is_char_device() or path.is_block_device():
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with plain_file(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
