"""Parse JSON and TOML from untrusted files. Every fault of a text is raised as ValueError."""

from __future__ import annotations

import json
import math
import tomllib
from typing import Any

DEEPEST = 100       # allowed nesting of lists and tables; deeper values cause a RecursionError somewhere


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON document. Raise ValueError for text that is not JSON, and for values that cannot be written again.

    Such values are NaN, infinity, a lone surrogate (half of a character), and values nested more than 100 levels deep.
    """
    try:
        content = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"values are nested over {DEEPEST} deep") from None
    _check(content)
    return content


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a TOML document. Raise ValueError for text that is not TOML, and for values nested over 100 levels deep."""
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
    """Raise ValueError for values nested too deep, and for text that UTF-8 cannot encode."""
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
