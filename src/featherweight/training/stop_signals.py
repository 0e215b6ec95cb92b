"""Turn Ctrl-C and SIGTERM into a list that the training loop checks, so that no step is cut short."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Yield a list that collects the first Ctrl-C or SIGTERM, which then does not end the process.

    A second signal has its usual effect. Outside the main thread the list stays empty and signals have their usual
    effect, as only the main thread may set handlers.
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
