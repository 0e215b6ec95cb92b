"""Ctrl-C and SIGTERM as a question that the loop asks, instead of a death in the middle of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect the first Ctrl-C or SIGTERM instead of dying of it; a second signal of either kind is not held back.

    Only the main thread may set handlers; elsewhere the signals do what they always did.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    names = (signal.SIGINT, signal.SIGTERM)
    before = {name: signal.getsignal(name) for name in names}

    def put_back() -> None:
        for name in names:
            signal.signal(name, before[name] or signal.SIG_DFL)

    def handler(number: int, frame: object) -> None:
        caught.append(number)
        put_back()

    for name in names:
        signal.signal(name, handler)
    try:
        yield caught
    finally:
        put_back()
