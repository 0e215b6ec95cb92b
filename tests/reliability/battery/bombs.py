"""Pictures that are larger than they look, that have no end, or that are none."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from io import BytesIO

from PIL import Image

GIF_FRAME = b"\x2c\0\0\0\0\x08\0\x08\0\0\x02\x02\x4c\x01\0"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(/etc/passwd) (r) file 99 string readstring pop show\n"
SVG = b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg><text>&x;</text></svg>'


def bomb(draw: random.Random) -> tuple[str, bytes]:
    """Draw one: (what it is, the file)."""
    name = draw.choice(list(BOMBS))
    return name, BOMBS[name](draw)


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes, *before: bytes) -> bytes:
    """A PNG that says what it likes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(before) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@cache
def zeros(megabytes: int) -> bytes:
    """Compressed zeros, a thousandth of their length."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1_000_000)) for _ in range(megabytes)) + packer.flush()


@cache
def noise(form: str) -> bytes:
    """A real picture in a file of that form."""
    file = BytesIO()
    Image.effect_noise((60, 60), 90).convert("RGB").save(file, form)
    return file.getvalue()


def tiff(entries: list[tuple[int, int, int, int]], following: int) -> bytes:
    """A TIFF of one directory; following: where the next one is said to be."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", following) + bytes(100)


def usual_tiff(draw: random.Random) -> list[tuple[int, int, int, int]]:
    """Width, height, depth, compression, ... of a small grey picture, one of them drawn anew."""
    side = draw.choice((8, 8, 60_000))
    entries = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, draw.choice((1, 5, 7, 8, 32773))),
               (262, 3, 1, 1), (273, 4, 1, draw.choice((8, 120))), (277, 3, 1, 1), (278, 4, 1, 8),
               (279, 4, 1, draw.choice((64, 1 << 31)))]
    k = draw.randrange(len(entries))
    tag, kind, count, value = entries[k]
    entries[k] = draw.choice(((tag, kind, 2**32 - 1, 8), (tag, 13, 1, 8), (tag, kind, count, value), (tag, 99, 1, 8)))
    return entries


def mutated(form: str, draw: random.Random) -> bytes:
    """A real picture with some bytes set anew."""
    body = bytearray(noise(form))
    for _ in range(draw.randint(1, 8)):
        body[draw.randrange(len(body))] = draw.randrange(256)
    return bytes(body)


def jpeg_of(width: int, height: int) -> bytes:
    """A JPEG that says it is so large."""
    body = noise("JPEG")
    at = body.index(b"\xff\xc0") + 5
    return body[:at] + struct.pack(">HH", height, width) + body[at + 4 :]


BOMBS: dict[str, Callable[[random.Random], bytes]] = {
    "PNG of 50,000 x 50,000": lambda draw: png(50_000, 50_000, draw.choice((1, 8)), draw.choice((0, 2)), zeros(10)),
    "PNG of 2,147,483,647 x 4": lambda _: png(2**31 - 1, 4, 8, 0, zeros(1)),
    "PNG of 0 x 0": lambda _: png(0, 0, 8, 0, zeros(1)),
    "PNG deeply compressed": lambda draw: png(4000, 4000, 8, draw.choice((2, 6)), zeros(60)),
    "PNG with text of 60 MB": lambda _: png(60, 60, 8, 0, zeros(1), chunk(b"zTXt", b"a\0\0" + zeros(60))),
    "PNG with a profile of 60 MB": lambda _: png(60, 60, 8, 0, zeros(1), chunk(b"iCCP", b"a\0\0" + zeros(60))),
    "PNG with too many data": lambda _: png(60, 60, 8, 0, zeros(60)),
    "PNG of thousands of chunks": lambda _: png(60, 60, 8, 0, zeros(1), chunk(b"tEXt", b"a\0b") * 50_000),
    "PNG of thousands of frames": lambda _: png(60, 60, 8, 0, zeros(1), chunk(b"acTL", b"\x7f" * 8)),
    "PNG damaged": lambda draw: mutated("PNG", draw),
    "GIF of 10,000 frames": lambda _: b"GIF89a\x08\0\x08\0\x80\0\0\0\0\0\xff\xff\xff" + GIF_FRAME * 10_000 + b";",
    "GIF of 65,535 x 65,535": lambda _: b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff" + GIF_FRAME + b";",
    "GIF damaged": lambda draw: mutated("GIF", draw),
    "TIFF that comes back to itself": lambda draw: tiff(usual_tiff(draw), 8),
    "TIFF of nonsense": lambda draw: tiff(usual_tiff(draw), draw.randrange(1 << 32)),
    "TIFF damaged": lambda draw: mutated("TIFF", draw),
    "SVG": lambda _: SVG,
    "SVG of many entities": lambda _: b"<!DOCTYPE s [<!ENTITY a 'aa'>" + b"<!ENTITY b '&a;&a;'>" * 1000 + b"]><svg/>",
    "JPEG cut": lambda draw: noise("JPEG")[: draw.randrange(2, 2000)],
    "JPEG of 65,500 x 65,500": lambda _: jpeg_of(65_500, 65_500),
    "JPEG of 12,000 x 12,000": lambda _: jpeg_of(12_000, 12_000),
    "JPEG damaged": lambda draw: mutated("JPEG", draw),
    "WebP damaged": lambda draw: mutated("WEBP", draw),
    "BMP damaged": lambda draw: mutated("BMP", draw),
    "BMP of 2,000,000,000": lambda draw: noise("BMP")[:18] + struct.pack("<ii", 2_000_000_000, -1) + noise("BMP")[26:],
    "PPM of 99,999 x 99,999": lambda _: b"P6 99999 99999 255\n" + bytes(1000),
    "ICO damaged": lambda draw: mutated("ICO", draw),
    "EPS": lambda _: EPS,
    "XPM": lambda _: b'/* XPM */\nstatic char *x[] = {\n"' + b"9" * 5000 + b' 9 9 1",\n',
    "nothing but zeros": lambda draw: bytes(draw.randrange(1, 100_000)),
    "a blank page": lambda draw: png(300, 300, 1, 0, zeros(1)),
    "empty": lambda _: b"",
}
