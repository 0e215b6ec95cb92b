"""Ctrl-C and SIGTERM on the command line: the command ends at once and leaves nothing half made.

Every file appears in one move, so a process may end at any instruction. The handler of a signal therefore raises
nothing that a library could swallow: it undoes what is noted here and ends the process. Code that wants to end by
itself, such as a training or a server, sets its own handlers. It has PATIENCE seconds; a thread holds it to them, also
while the main thread computes in C. A second signal ends at once. The entry point imports this file first, so its
imports must stay light.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 4.0      # seconds from the first signal to the end
CLEANING = 0.7      # seconds that one thread may take to undo things before another ends the process
LOOK = 0.2          # seconds between two looks at the parent process
CLEAR_LINE = b"\r\x1b[K\x1b[?25h"       # for a terminal: away with a progress bar's line, and the cursor is back


class _State:
    """The one state of the process; only the main thread takes steps that must not be divided."""

    undo: list[Callable[[], None]] = []     # noqa: RUF012  in the order in which things were made
    undivided = 0                           # blocks of `undivided` that the main thread is in
    received: int | None = None             # the first signal
    postponed: int | None = None            # the signal that came inside an undivided block
    line = b""                              # said at the end
    ending = threading.Lock()


@contextmanager
def undone_at_the_end(undo: Callable[[], None]) -> Iterator[None]:
    """Call undo if a signal ends the process inside the block."""
    _State.undo.append(undo)
    try:
        yield
    finally:
        _State.undo.remove(undo)


@contextmanager
def undivided() -> Iterator[None]:
    """Put the end of the process off to the end of the block: it makes something and notes how to undo it."""
    _State.undivided += 1
    try:
        yield
    finally:
        _State.undivided -= 1
        if _State.postponed and not _State.undivided:
            end(_State.postponed)


def heed(line: str = "") -> None:
    """End this process at SIGINT or SIGTERM with exit code 128 + the signal's number, after saying a line.

    A signal that is ignored by now, as in a shell's background, stays ignored. Only the main thread may call this.
    """
    _State.line = line.encode()
    hear, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)       # written at once, whatever the main thread does
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_at_once)
    threading.Thread(target=_hold_to_patience, args=(hear,), name="featherweight-signals", daemon=True).start()


def over(code: object) -> object:
    """Return the exit code of a command that has ended by itself; from here on signals change nothing.

    After a signal this ends the process, without Python's own way of ending: with many modules it takes seconds.
    code: the command's own; one that is not of the signal has said nothing about it yet.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if _State.received is None:
        return code
    if not _State.ending.acquire(blocking=False):
        time.sleep(PATIENCE)        # the thread is ending this process
    _undo()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if not code:
        _say()
    os._exit(128 + _State.received)


def end(number: int) -> None:
    """Undo what is noted, last made first, and end the process."""
    if _State.ending.acquire(timeout=CLEANING):
        _undo()
        _say()
    os._exit(128 + number)


def end_with_parent(parent: int) -> None:
    """End this process, from a thread, when its parent process has ended; parent is its number."""
    def look() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        end(signal.SIGTERM)

    threading.Thread(target=look, name="featherweight-parent", daemon=True).start()


def begin_worker(parent: int) -> Any:
    """Return an empty process object of multiprocessing, in a spawned process that ends with its parent from now on.

    pickle calls this before it imports what the work needs, which takes seconds.
    """
    from multiprocessing.context import SpawnProcess

    end_with_parent(parent)
    return SpawnProcess.__new__(SpawnProcess)


def _end_at_once(number: int, frame: object) -> None:
    """The handler of the main thread."""
    if _State.undivided:
        _State.postponed = number
    elif not _State.ending.locked():
        end(_State.received or number)


def _hold_to_patience(hear: int) -> None:
    """End the process at the second signal, or some seconds after the first."""
    while not (numbers := [number for number in os.read(hear, 64) if number in SIGNALS]):
        pass
    _State.received = _State.received or numbers[0]
    if len(numbers) == 1:
        select.select([hear], [], [], PATIENCE)
    until = time.monotonic() + CLEANING
    while _State.undivided and time.monotonic() < until:
        time.sleep(0.01)
    end(_State.received)


def _undo() -> None:
    for undo in reversed(_State.undo.copy()):
        with suppress(Exception):
            undo()


def _say() -> None:
    """Write the line past Python's own buffers, which the main thread may be in the middle of."""
    if _State.line:
        with suppress(OSError):
            os.write(2, (CLEAR_LINE if os.isatty(2) else b"") + _State.line + b"\n")
