"""Files that are there whole or not at all."""

from __future__ import annotations

import atexit
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

from featherweight.interruption import undivided, undone_at_the_end
from featherweight.outside import shortened

LOCK = ".lock"      # the file that a process locks while it writes into a folder


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
    temporary = path.with_name(f".{path.name}.{token_hex(4)}")
    remove = partial(temporary.unlink, missing_ok=True)
    with undone_at_the_end(remove):
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            remove()
            raise


@contextmanager
def temporary_files_in_one_folder() -> Iterator[None]:
    """Let the temporary files of this process, its libraries and its children lie in one folder.

    The folder goes when the process ends. Without a place for temporary files nothing changes.
    """
    try:
        with undivided():       # Python tries the place with a file of its own
            place = Path(tempfile.gettempdir())
    except FileNotFoundError:
        yield
        return
    folder = place / f"featherweight-{token_hex(4)}"
    remove = partial(remove_folder, folder)
    with undone_at_the_end(remove):
        try:
            folder.mkdir(mode=0o700)
        except OSError:
            yield
            return
        atexit.register(remove)     # first, so it is called last: libraries remove what they made before
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        yield


def remove_folder(folder: Path) -> None:
    """Remove a folder and all in it, also if a process that was just killed writes its last file into it."""
    for _ in range(5):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)


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


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON document in one move. Raises ValueError for NaN and infinity."""
    write_atomically(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, sorted, without its lock; an empty list without a folder."""
    return sorted(file.name for file in folder.iterdir() if file.name != LOCK) if folder.is_dir() else []


def is_one_of(name: str, files: Collection[str]) -> bool:
    """Whether a file is one of these, or what a killed process left of writing one."""
    return name in files or any(name.startswith(f".{file}.") for file in files)


def refusal(fault: OSError) -> str:
    """What the file system refused, and where, if the fault says so: those of some libraries do not."""
    said = (fault.strerror or " ".join(str(fault).split()) or type(fault).__name__).rstrip(".")
    if fault.filename is None:
        return f"the file system refused: {said}. Make room, or give another place with --out or TMPDIR."
    return f"cannot use {shortened(repr(str(fault.filename)), 500)}: {said}. Give another place, or make room."


def plain_file(path: Path) -> Path:
    """Return the path. Raises OSError for a pipe or a device: reading it may never end. Others are left to open."""
    if path.is_fifo() or path.is_char_device() or path.is_block_device():
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with plain_file(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
