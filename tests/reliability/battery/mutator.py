"""One change of a file's bytes, drawn by a random.Random: of any file, of a header's numbers, of a text's tokens."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from random import Random

Change = Callable[[Random, bytes], tuple[bytes, str]]     # (changed bytes, what was done)

EXTREMES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
NUMBERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**62, 2**63 - 1, 2**64 - 1)
HEADER = 128        # bytes in which formats say how much follows
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
STRING = re.compile(rb'"[^"\n]*"')
OTHER_NUMBERS = (b"1e999", b"-1e999", b"NaN", b"nan", b"Infinity", b"inf", b"-1", b"0", b"-0.0", b"1e-320", b"1e308",
                 b"18446744073709551616", b"9" * 5000, b"true", b"null", b'"7"', b"[]", b"{}", b"1979-05-27")
OTHER_STRINGS = (b'""', b'"' + b"x" * 5000 + b'"', rb'"\u0000"', rb'"\u001b[2J\u0007"', rb'"\ud800"', rb'"\u202e"',
                 b'"\xff\xfe"', b'"../../etc/passwd"', b'"/dev/zero"', b'"<script>"', b"0", b"null", b"[[]]", b"{}",
                 b'"a\\nb"', b'"%s%n{0}"', b"true")


def mutate(random: Random, content: bytes, *, text: bool) -> tuple[bytes, str]:
    """Return changed bytes and what was done, for an even choice of all changes that suit the format."""
    for _ in range(20):
        changed, what = random.choice(BINARY + TEXT * 2 if text else BINARY)(random, content)
        if changed != content:
            return changed, what
    return content[:-1], "last byte cut off"


def flip_bits(random: Random, content: bytes) -> tuple[bytes, str]:
    """Flip one bit, or a few."""
    changed, places = bytearray(content), [random.randrange(len(content)) for _ in range(random.choice((1, 1, 2, 8)))]
    for place in places:
        changed[place] ^= 1 << random.randrange(8)
    return bytes(changed), f"bits flipped at {places}"


def set_bytes(random: Random, content: bytes) -> tuple[bytes, str]:
    """Set one byte to an extreme value."""
    place, value = random.randrange(len(content)), random.choice(EXTREMES)
    return content[:place] + bytes([value]) + content[place + 1 :], f"byte {place} set to 0x{value:02x}"


def set_number(random: Random, content: bytes) -> tuple[bytes, str]:
    """Write an extreme integer over 2, 4 or 8 bytes of the header."""
    code, size = random.choice((("H", 2), ("I", 4), ("I", 4), ("Q", 8)))
    order, number = random.choice("<>"), random.choice(NUMBERS) % 256**size
    place = random.randrange(max(1, min(HEADER, len(content)) - size))
    packed = struct.pack(order + code, number)
    return content[:place] + packed + content[place + size :], f"{order}{code} {number} written at {place}"


def fill(random: Random, content: bytes) -> tuple[bytes, str]:
    """Fill a slice with one value, as a lost block of a disk is."""
    start, end = slice_of(random, content)
    value = random.choice((0x00, 0xFF))
    return content[:start] + bytes([value]) * (end - start) + content[end:], f"{start}:{end} filled with 0x{value:02x}"


def delete(random: Random, content: bytes) -> tuple[bytes, str]:
    """Take a slice out."""
    start, end = slice_of(random, content)
    return content[:start] + content[end:], f"{start}:{end} deleted"


def duplicate(random: Random, content: bytes) -> tuple[bytes, str]:
    """Repeat a slice."""
    start, end = slice_of(random, content)
    return content[:end] + content[start:end] + content[end:], f"{start}:{end} repeated"


def swap(random: Random, content: bytes) -> tuple[bytes, str]:
    """Swap two neighbouring slices."""
    start, end = slice_of(random, content)
    middle = random.randint(start, end)
    return content[:start] + content[middle:end] + content[start:middle] + content[end:], \
        f"{start}:{middle} and {middle}:{end} swapped"


def truncate(random: Random, content: bytes) -> tuple[bytes, str]:
    """Cut the end off, sometimes all but the first bytes."""
    keep = random.choice((random.randrange(len(content)), random.randrange(min(HEADER, len(content))), 0))
    return content[:keep], f"cut off after {keep}"


def insert(random: Random, content: bytes) -> tuple[bytes, str]:
    """Insert random bytes, sometimes at the end."""
    place = random.choice((random.randrange(len(content)), random.randrange(min(HEADER, len(content))), len(content)))
    garbage = random.randbytes(random.choice((1, 4, 100, 5000)))
    return content[:place] + garbage + content[place:], f"{len(garbage)} random bytes inserted at {place}"


def change_number(random: Random, content: bytes) -> tuple[bytes, str]:
    """Put another number, or another kind of value, in place of a number."""
    return replace_one(random, content, NUMBER, OTHER_NUMBERS)


def change_string(random: Random, content: bytes) -> tuple[bytes, str]:
    """Put another string, or another kind of value, in place of a string."""
    return replace_one(random, content, STRING, OTHER_STRINGS)


def nest(random: Random, content: bytes) -> tuple[bytes, str]:
    """Put a deeply nested value in place of a number or a string."""
    depth = random.choice((50, 2000, 100_000))
    opened, closed = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"{a=", b"}"), (b"(", b")"), (b"-", b"")))
    deep = opened * depth + b"1" + closed * depth
    changed, what = replace_one(random, content, random.choice((NUMBER, STRING)), (deep,))
    return changed, f"{what.partition(' became ')[0]} nested {depth} deep in {opened.decode()}"


def repeat_line(random: Random, content: bytes) -> tuple[bytes, str]:
    """Repeat a line, as a key that is there twice."""
    lines = content.splitlines(keepends=True)
    place = random.randrange(max(1, len(lines)))
    return b"".join(lines[: place + 1] + lines[place:]), f"line {place + 1} repeated"


def drop_line(random: Random, content: bytes) -> tuple[bytes, str]:
    """Take a line out."""
    lines = content.splitlines(keepends=True)
    place = random.randrange(max(1, len(lines)))
    return b"".join(lines[:place] + lines[place + 1 :]), f"line {place + 1} deleted"


def encode(random: Random, content: bytes) -> tuple[bytes, str]:
    """Write the text in another encoding."""
    way = random.choice(("utf-8-sig", "utf-16", "utf-32", "utf-7", "cp500"))
    return content.decode("utf-8", "replace").encode(way, "replace"), f"encoded as {way}"


def put_control(random: Random, content: bytes) -> tuple[bytes, str]:
    """Insert a control character, a NUL, or a character that turns the direction."""
    place = random.randrange(len(content) + 1)
    what = random.choice(("\0", "\x1b[31m", "\r", "\u202e", "\u2028", "\x0c"))
    return content[:place] + what.encode() + content[place:], f"{what!r} inserted at {place}"


def replace_one(
    random: Random, content: bytes, pattern: re.Pattern[bytes], others: tuple[bytes, ...]
) -> tuple[bytes, str]:
    """Replace one match by one of these; unchanged where there is no match."""
    matches = list(pattern.finditer(content))
    if not matches:
        return content, "nothing"
    match, other = random.choice(matches), random.choice(others)
    return content[: match.start()] + other + content[match.end() :], \
        f"{match[0][:30]!r} at {match.start()} became {other[:30]!r}"


def slice_of(random: Random, content: bytes) -> tuple[int, int]:
    """Draw a slice: mostly short, sometimes long."""
    longest = random.choice((4, 64, 4096, len(content)))
    start = random.randrange(len(content))
    return start, min(len(content), start + random.randint(1, max(1, longest)))


BINARY: tuple[Change, ...] = (flip_bits, set_bytes, set_number, fill, delete, duplicate, swap, truncate, insert)
TEXT: tuple[Change, ...] = (change_number, change_string, nest, repeat_line, drop_line, encode, put_control)
