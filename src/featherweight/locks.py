"""Locks of folders: only one process at a time writes a run, a folder of seeds or an export.

The lock is an operating system lock of a file in the folder. The system releases the lock when the process ends, even
if the process is killed. Over NFS both machines need version 4 or a lock daemon.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.errors import RunError
from featherweight.files import LOCK
from featherweight.interruption import undone_at_the_end
from featherweight.wording import option

if TYPE_CHECKING:
    from filelock import FileLock

RESUME_SECONDS = 5.0    # wait before a resume: after a parent was killed, its workers need some time to end


@contextmanager
def writing(folder: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of a folder inside the block. Create the folder, and remove it afterwards if it is empty.

    wait: seconds to wait for another process. Raises RunError if another process still holds the lock then.
    """
    from filelock import FileLock, Timeout

    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=wait, poll_interval=0.05)
    try:
        with in_the_end(partial(remove_empty, made)), lock, in_the_end(partial(remove_lock, lock)):
            with suppress(OSError):     # the lock is held even if a full disk refuses this text
                Path(lock.lock_file).write_text(f"process {os.getpid()} on {socket.gethostname()}")
            yield
    except Timeout:
        raise RunError(f"{str(folder)!r} is being written by {holder(lock)}. Wait for its end, stop it, or give "
                       f"another folder with {option('out')}.") from None


@contextmanager
def in_the_end(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` at the end of the block, also if a signal ends the process."""
    with undone_at_the_end(action):
        try:
            yield
        finally:
            action()


def remove_lock(lock: FileLock) -> None:
    """Remove the file of a lock that this process holds. A process that waits for the lock then makes a new file."""
    Path(lock.lock_file).unlink(missing_ok=True)


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove empty folders, given innermost first. Stop at the first that is not empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def holder(lock: FileLock) -> str:
    """Return the text that names the process holding a lock, as that process wrote it into the lock's file."""
    try:
        said = Path(lock.lock_file).read_text(errors="replace")[:200]
    except OSError:
        said = ""
    return said if said.isprintable() and said else "another process"
