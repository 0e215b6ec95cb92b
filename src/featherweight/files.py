"""Atomic writes, temporary files, and small functions on file names. Used by every part that writes files."""

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

LOCK = ".lock"      # name of the file that a process locks while it writes into a folder


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a new file with a temporary name beside `path` (".NAME.xyz"); rename it to `path` after the block.

    If the block raises, the temporary file is removed and `path` stays unchanged.
    Raises OSError that names `path`, e.g. for a missing permission or a full disk.
    """
    try:
        with temporary_beside(path) as file:
            yield file
    except OSError as fault:
        raise OSError(fault.errno, fault.strerror or str(fault), str(path)) from fault


@contextmanager
def temporary_beside(path: Path) -> Iterator[IO[bytes]]:
    """Do the work of `replacing`; an OSError names the temporary file instead of `path`."""
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
    """Put all temporary files of this process, its libraries and its child processes into one folder.

    The folder is removed when the process ends. If the system has no folder for temporary files, nothing changes.
    """
    try:
        with undivided():       # Python tests the place with a file that a signal must not leave behind
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
        atexit.register(remove)     # registered first, so called last: libraries first remove their own files
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        yield


def remove_folder(folder: Path) -> None:
    """Remove a folder with its content. Retry, because a process that was just killed may still write a file."""
    for _ in range(5):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)


def sync_folder(folder: Path) -> None:
    """Flush a folder to disk, so that a rename in the folder survives a power failure, if the file system allows it."""
    with suppress(OSError):     # Windows cannot open a folder; some network file systems cannot flush one
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically: a reader never sees a partly written file."""
    with replacing(path) as file:
        file.write(content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON document atomically. Raise ValueError for NaN and infinity."""
    write_atomically(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def user_cache() -> Path:
    """Return the folder for files that can be created again: FEATHERWEIGHT_CACHE, or the user's cache folder.

    Raises RuntimeError if the user has no home folder.
    """
    if named := os.environ.get("FEATHERWEIGHT_CACHE"):
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("featherweight")


def names_in(folder: Path) -> list[str]:
    """Return the sorted names in a folder, without its lock file. Return an empty list if there is no folder."""
    return sorted(file.name for file in folder.iterdir() if file.name != LOCK) if folder.is_dir() else []


def is_one_of(name: str, files: Collection[str]) -> bool:
    """Return True if `name` is one of `files`, or the temporary file that a killed process left of one."""
    return name in files or any(name.startswith(f".{file}.") for file in files)


def refusal(fault: OSError) -> str:
    """Return a message for an OSError: the system's reason, the path if the exception has one, and the next move.

    Some libraries raise OSError without a path.
    """
    said = (fault.strerror or " ".join(str(fault).split()) or type(fault).__name__).rstrip(".")
    if fault.filename is None:
        return f"the file system refused: {said}. Make room, or give another place with --out or TMPDIR."
    return f"cannot use {shortened(repr(str(fault.filename)), 500)}: {said}. Give another place, or make room."


def plain_file(path: Path) -> Path:
    """Return the path. Raise OSError for a pipe or a device, because reading one may never end.

    Other faults, such as a missing file, are reported when the file is opened.
    """
    if path.is_fifo() or path.is_char_device() or path.is_block_device():
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with plain_file(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
