"""Trying a network of the user's without its prints and warnings: they are shown where it is really asked."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def quietly() -> Iterator[None]:
    """Drop what is printed and warned of inside the block."""
    with unwarned(), redirect_stdout(io.StringIO()):
        yield


@contextmanager
def unwarned() -> Iterator[None]:
    """Drop warnings inside the block: a network's were shown once, at its lines, before it was trained."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
