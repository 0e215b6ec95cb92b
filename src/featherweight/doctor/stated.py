"""Read the sizes that comments beside layers state."""

from __future__ import annotations

import re

NUMBER = r"(\d{1,3})"
TIMES = r" ?[x×] ?"
SIZE = re.compile(rf"(?<![\dx×.])(?<![x×] ){NUMBER}{TIMES}{NUMBER}(?:{TIMES}(\d{{1,4}}))?(?![\dx×.])(?! ?[x×])")
SHAPE = re.compile(r"[(\[](?:[A-Za-z_]\w*|-1), *\d+, *(\d+), *(\d+)[)\]]")


def sizes_in(comment: str) -> list[tuple[int, int]]:
    """Return the (height, width) that a comment states: 26x26, 26x26x10, 10 x 26 x 26 or (B, 10, 26, 26)."""
    found = [(int(height), int(width)) for height, width in SHAPE.findall(comment)]
    for first, second, third in SIZE.findall(comment):
        if not third or first == second:
            found.append((int(first), int(second)))
        elif second == third:
            found.append((int(second), int(third)))
    return found
