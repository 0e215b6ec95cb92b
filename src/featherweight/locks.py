"""Locks of folders: one process at a time writes a run, a folder of seeds or an export.

The lock is the system's lock of a file in the folder. It ends with the process that holds it, whatever ends that
process, and is as good as the file system's locks: over NFS both machines need version 4 or a lock daemon.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from featherweight.errors import RunError
from featherweight.files import LOCK
from featherweight.interruption import undone_at_the_end
from featherweight.wording import option

RESUME_SECONDS = 5.0    # wait of a resume: the workers of a parent that was killed need some time to end


@contextmanager
def writing(folder: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of a folder for the life of the block; the folder is made, and removed if it stays empty.

    wait: seconds to wait for another process. Raises RunError if another process holds the lock after that.
    """
    from filelock import FileLock, Timeout

    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    file, lock = folder / LOCK, FileLock(folder / LOCK, timeout=wait, poll_interval=0.05)

    def leave() -> None:
        if lock.is_locked:
            file.unlink(missing_ok=True)    # while it is locked: whoever waits for this file then makes a new one
        with suppress(OSError):             # not empty
            for place in made:
                place.rmdir()

    try:
        with undone_at_the_end(leave), lock:
            with suppress(OSError):     # a full disk keeps nobody from locking
                file.write_text(f"process {os.getpid()} on {socket.gethostname()}")
            try:
                yield
            finally:
                leave()
    except Timeout:
        raise RunError(f"{str(folder)!r} is being written by {holder(file)}. Wait for its end, stop it, or give "
                       f"another folder with {option('out')}.") from None


def holder(file: Path) -> str:
    """The process that holds a lock, as it describes itself in the lock's file."""
    try:
        said = file.read_text(errors="replace")[:200]
    except OSError:
        said = ""
    return said if said.isprintable() and said else "another process"
