"""JSON and TOML from files that anybody may have written: whatever is wrong with a text is one ValueError."""

from __future__ import annotations

import json
import math
import tomllib
from typing import Any

DEEPEST = 100       # lists and tables inside each other; what is deeper ends in a RecursionError somewhere


def parse_json(text: str | bytes) -> Any:
    """Return a JSON document. Raises ValueError for other text, and for values that cannot be written again.

    Those are NaN and infinite numbers, half of a character (a lone surrogate), and values nested over 100 deep.
    """
    try:
        content = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"values are nested over {DEEPEST} deep") from None
    _check(content)
    return content


def parse_toml(text: str) -> dict[str, Any]:
    """Return a TOML document. Raises ValueError for other text, and for values nested over 100 deep."""
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"values are nested over {DEEPEST} deep") from None
    _check(content)
    return content


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


def _check(content: Any) -> None:
    """Raise ValueError for values that are nested too deep, and for text that no file can hold."""
    values, depth = [content], 0
    while values:
        inside: list[Any] = []
        for value in values:
            if isinstance(value, str):
                value.encode()      # UnicodeEncodeError is a ValueError
            elif isinstance(value, dict):
                inside += [*value, *value.values()]
            elif isinstance(value, list):
                inside += value
        values, depth = inside, depth + 1
        if depth > DEEPEST:
            raise ValueError(f"values are nested over {DEEPEST} deep")
