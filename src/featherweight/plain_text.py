"""Output for a terminal or a file that cannot show every character, such as one in Windows' cp1252 or in ASCII."""

from __future__ import annotations

import codecs
import sys
from typing import TextIO

NAME = "featherweight.plain"
LIKE = {    # characters in our texts -> ASCII that looks like them
    "-": "─━╌╍╴╶╸╺‐‑‒–—", "|": "│┃║▏▎▍", "+": "┌┐└┘├┤┬┴┼╭╮╯╰", "#": "█▉▊▋▌▐▓", ".": "░▒·⋅", "o": "•●", "<=": "≤",
    ">=": "≥", "x": "×", "u": "µμ", "->": "→", "<-": "←", "...": "…", "+-": "±", "~": "≈", "d": "∂",
    "'": "‘’", '"': "“”",
}
ASCII = {character: text for text, characters in LIKE.items() for character in characters}


def use_plain_text() -> None:
    """Let standard output and error write characters that their encoding lacks as ASCII, instead of failing."""
    codecs.register_error(NAME, in_ascii)
    for stream in (sys.stdout, sys.stderr):
        make_plain(stream)


def make_plain(stream: TextIO | None) -> None:
    """Set the stream's error handler. Streams without an encoding, as in a notebook or without a console, stay."""
    if stream is not None and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=NAME)


def in_ascii(fault: UnicodeError) -> tuple[str | bytes, int]:
    """Return ASCII for the characters that cannot be encoded, and the position after them: an error handler of codecs.

    Characters without a similar ASCII character become escapes, such as \\u4e2d.
    """
    if not isinstance(fault, UnicodeEncodeError):
        raise fault
    text = fault.object[fault.start : fault.end]
    return "".join(ASCII.get(one) or one.encode("ascii", "backslashreplace").decode() for one in text), fault.end
