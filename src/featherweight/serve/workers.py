"""Processes that answer, one for each core, since preparing a picture is mostly Python's own work.

Each opens the bundle for itself. They leave Ctrl-C to the server, which lets them finish, and end when it is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path

from featherweight.inference.bundle import Bundle
from featherweight.serve.answers import Answerer, Question
from featherweight.serve.limits import Limits

_here = threading.local()       # the answerer of this worker, whether it is a process or a thread


def start_workers(folder: Path, limits: Limits) -> Executor:
    """Processes that can answer(question) about the bundle in this folder; their start does not wait for them."""
    pool = ProcessPoolExecutor(
        limits.workers, multiprocessing.get_context("spawn"), open_process, (folder, limits.picture_pixels)
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)       # a process that is started inherits this
    try:
        for _ in range(limits.workers):
            pool.submit(os.getpid)
    finally:
        signal.signal(signal.SIGINT, before)
    return pool


def open_process(folder: Path, picture_pixels: int) -> None:
    """What a process does first."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    open_bundle(folder, picture_pixels)


def open_bundle(folder: Path, picture_pixels: int) -> None:
    """What any worker does first."""
    _here.answerer = Answerer(Bundle.open(folder), picture_pixels)


def answer(question: Question) -> bytes:
    """The answer of the worker that is called; PictureError where the picture cannot be read."""
    answerer: Answerer = _here.answerer
    return answerer.answer(question)


def end_with_parent() -> None:
    """A server that was killed cannot tell its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
