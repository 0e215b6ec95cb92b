"""Values of a recipe: those that TOML can store, and their text in messages."""

from __future__ import annotations

import math
from typing import Any


def can_be_written(value: Any) -> bool:
    """Return True for a value that TOML can store: text, booleans, finite numbers, and lists and tables of these."""
    if isinstance(value, list | tuple | dict):
        return all(map(can_be_written, value.values() if isinstance(value, dict) else value))
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | bool) or (isinstance(value, int) and -(2**63) <= value < 2**63)


def shown(value: Any) -> str:
    """Return the repr of a value for a message. Handles also numbers with more digits than Python prints."""
    try:
        return repr(value)
    except ValueError:
        return "a number of thousands of digits"
