"""Text from untrusted sources: names of classes, runs and files, messages of libraries. Standard library only.

`visible` cleans text for a terminal, and a finished page of HTML, SVG or Markdown.
`in_markdown` escapes one value inside Markdown.
`name_fault` says why a name is refused when data are read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any

LONGEST_NAME = 100      # characters of the name of a class, a recipe or a head
MOST_CLASSES = 1000     # classes of a data set or a head; a larger label is probably not a class number
LONGEST_PATH = 1000     # characters of a network's name, which may be the path of a file
LONGEST_PIECE = 200     # characters of a library's message inside a message of ours

# Unicode categories Cc, Cs, Zl, Zp, the invisible characters of Cf, and characters that XML forbids
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_UNSEEN_IN_A_LINE = re.compile(_UNSEEN.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))
_MARKS = re.compile(r"[\\`*_\[\]|~$]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "://": "&#58;//", "www.": "www&#46;"}
_BEGINNING = re.compile(r"^(\d*)([-+#=.):])")      # start of a list item, a heading, or the line under a heading


def visible(text: object, *, lines: bool = False) -> str:
    r"""Return text in which each control, bidi and invisible character is escaped: ESC as \x1b, a newline as \n.

    lines: keep newlines.
    Letters of all scripts and emoji are kept. A second call on the result changes nothing.
    """
    return (_UNSEEN_IN_A_LINE if lines else _UNSEEN).sub(lambda found: ascii(found[0])[1:-1], str(text))


def in_markdown(text: object) -> str:
    """Return text escaped for a Markdown line or table cell: no HTML, link, picture, emphasis or column results."""
    marked = _MARKS.sub(r"\\\g<0>", visible(text).strip())
    for found, entity in _ENTITIES.items():
        marked = re.sub(re.escape(found), entity, marked, flags=re.I)
    return _BEGINNING.sub(r"\1\\\2", marked)


def shortened(text: object, most: int = LONGEST_PIECE) -> str:
    """Return text as one visible line of at most `most` characters. A cut line ends with "..."."""
    line = visible(" ".join(str(text).split()))
    return line if len(line) <= most else f"{line[: most - 3]}..."


def name_fault(name: Any, most: int = LONGEST_NAME) -> str:
    """Return why a name is refused, as the end of a sentence, e.g. "is empty". Return "" for an allowed name."""
    if not isinstance(name, str):
        return f"is of type {type(name).__name__}, not text"
    if not name.strip():
        return "is empty"
    if len(name) > most:
        return f"has {len(name):,} characters, at most {most:,} are allowed"
    if found := _UNSEEN.search(name):
        return f"holds {found[0]!a}, a character that cannot be seen"
    return ""


def bad_name(names: Iterable[Any]) -> tuple[str, str] | None:
    """Return (quoted name, reason) for the first name that is refused, or None. The reason is from `name_fault`."""
    return next(((shortened(repr(name), 60), fault) for name in names if (fault := name_fault(name))), None)


def say(*lines: str, error: bool = False, flush: bool = False) -> None:
    """Print each text as one visible line, on standard output, or on standard error if `error` is true."""
    print(*map(visible, lines), sep="\n", file=sys.stderr if error else sys.stdout, flush=flush or error)
