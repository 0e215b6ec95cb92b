"""Time limit for code of a user's network, and its exits, as one-line errors."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from featherweight.errors import ModelError

SECONDS = 60    # to build a network and run it once; a small network takes about one second


class TimeIsUp(BaseException):
    """The limit is over. No Exception, so that the user's `except Exception` does not catch it."""


@contextmanager
def limited(name: str, seconds: float = SECONDS) -> Iterator[None]:
    """Raise ModelError if the block takes longer than `seconds`, or if its code exits the process.

    The time is limited only in the main thread, and not on Windows, which has no timer signal.
    """
    def stop(number: int, frame: Any) -> None:
        raise TimeIsUp

    timed = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGALRM, stop) if timed else None
    if timed:
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except TimeIsUp:
        raise ModelError(f"{name!r} does not end within {seconds:g} s. Look for an endless loop, or give smaller "
                         "images.") from None
    except SystemExit:
        raise ModelError(f"{name!r} exits Python when it is built or run. Remove the call of exit().") from None
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
