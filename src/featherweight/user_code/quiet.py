"""Context managers that hide the prints and warnings of a user's network during a trial run.

The same prints and warnings appear when the network is really used.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def quietly() -> Iterator[None]:
    """Hide text printed to standard output, and warnings, inside the block."""
    with unwarned(), redirect_stdout(io.StringIO()):
        yield


@contextmanager
def unwarned() -> Iterator[None]:
    """Hide warnings inside the block. A network's warnings were shown once before its training."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
