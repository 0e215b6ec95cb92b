"""Read the sizes that comments beside layers state."""

from __future__ import annotations

import re

NUMBER = r"(\d{1,3})"
TIMES = r" ?[x×] ?"
SIZE = re.compile(rf"(?<![\dx×.])(?<![x×] ){NUMBER}{TIMES}{NUMBER}(?:{TIMES}(\d{{1,4}}))?(?![\dx×.])(?! ?[x×])")


def sizes_in(comment: str) -> list[tuple[int, int]]:
    """Return the (height, width) that a comment states: 26x26, 26x26x10 or 10 x 26 x 26."""
    found = []
    for first, second, third in SIZE.findall(comment):
        if not third or first == second:
            found.append((int(first), int(second)))
        elif second == third:
            found.append((int(second), int(third)))
    return found
