"""Ctrl-C and SIGTERM on the command line: end the process at once, without partly written files.

All files are written atomically, so a process may end at any instruction. Therefore the signal handler raises no
exception, which a library could swallow. It calls the registered undo functions and ends the process.

A training or a server sets its own handlers, to end in its own way. It has PATIENCE seconds for this. After that a
thread ends the process, even while the main thread runs C code. A second signal ends the process at once.

The entry point imports this file first, so its imports must be fast.
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

from featherweight.garbage import collect_rarely

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 4.0      # seconds from the first signal until the process is ended
CLEANING = 0.7      # seconds that one thread may spend in undo functions before another ends the process
LOOK = 0.2          # seconds between two checks of the parent process
CLEAR_LINE = b"\r\x1b[K\x1b[?25h"       # terminal codes: clear the line of a progress bar, and show the cursor


class _State:
    """State of the process, held in class attributes. Only the main thread enters `undivided` blocks."""

    undo: list[Callable[[], None]] = []     # noqa: RUF012  undo functions, oldest first
    undivided = 0                           # number of nested `undivided` blocks that the main thread is in
    received: int | None = None             # the first signal
    postponed: int | None = None            # the signal that arrived inside an `undivided` block
    line = b""                              # the message printed at the end
    ending = threading.Lock()


@contextmanager
def undone_at_the_end(undo: Callable[[], None]) -> Iterator[None]:
    """Call `undo` if a signal ends the process inside the block."""
    _State.undo.append(undo)
    try:
        yield
    finally:
        _State.undo.remove(undo)


@contextmanager
def undivided() -> Iterator[None]:
    """Postpone the end of the process until the block is left.

    Used for a block that creates something and registers its undo function.
    """
    _State.undivided += 1
    try:
        yield
    finally:
        _State.undivided -= 1
        if _State.postponed and not _State.undivided:
            end(_State.postponed)


def heed(line: str = "") -> None:
    """Install handlers that end this process at SIGINT or SIGTERM, with exit code 128 + the signal's number.

    line: message printed before the end.
    A signal that is already ignored, e.g. for a background job of a shell, stays ignored.
    Must be called in the main thread.
    """
    _State.line = line.encode()
    hear, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)       # written at once, even while the main thread is busy
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_at_once)
    threading.Thread(target=_hold_to_patience, args=(hear,), name="featherweight-signals", daemon=True).start()


def told() -> None:
    """Print no message at the end of the process: the command prints its own, with more in it."""
    _State.line = b""


def over(code: object) -> object:
    """Ignore signals from now on, and return `code`, the exit code of a finished command.

    If a signal arrived before, end the process at once instead: Python's normal exit takes seconds with many modules.
    The message of `heed` is printed then only if `code` is 0 or None, because the command printed none itself.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if _State.received is None:
        return code
    if not _State.ending.acquire(blocking=False):
        time.sleep(PATIENCE)        # the other thread is already ending this process
    _undo()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if not code:
        _say()
    os._exit(128 + _State.received)


def end(number: int) -> None:
    """Call the undo functions, newest first, print the message and end the process with code 128 + number."""
    if _State.ending.acquire(timeout=CLEANING):
        _undo()
        _say()
    os._exit(128 + number)


def end_with_parent(parent: int) -> None:
    """Start a thread that ends this process when its parent process, with process number `parent`, has ended."""
    def look() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        end(signal.SIGTERM)

    threading.Thread(target=look, name="featherweight-parent", daemon=True).start()


def begin_worker(parent: int) -> Any:
    """Prepare a spawned worker, watch its parent process, and return an empty process object of multiprocessing.

    pickle calls this function before it imports the modules of the work. So the worker already ends with its parent
    during these imports, which take seconds.
    """
    from multiprocessing.context import SpawnProcess

    end_with_parent(parent)
    collect_rarely()
    return SpawnProcess.__new__(SpawnProcess)


def _end_at_once(number: int, frame: object) -> None:
    """Handle a signal in the main thread: end the process, or postpone the end inside an `undivided` block."""
    if _State.undivided:
        _State.postponed = number
    elif not _State.ending.locked():
        end(_State.received or number)


def _hold_to_patience(hear: int) -> None:
    """End the process at the second signal, or PATIENCE seconds after the first. Runs in a thread of its own.

    hear: a pipe into which Python writes the number of each signal.
    """
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
    """Print the message with os.write, because the main thread may be in the middle of a write to sys.stderr."""
    if _State.line:
        with suppress(OSError):
            os.write(2, (CLEAR_LINE if os.isatty(2) else b"") + _State.line + b"\n")
