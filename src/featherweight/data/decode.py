"""IDX, the format of MNIST: bytes in, uint8 arrays out, and a plain word about anything that does not fit.

An IDX file is a big-endian header (two zero bytes, the type 0x08 for uint8, the number of dimensions,
then each dimension as uint32) and the values, row after row.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import DataError
from featherweight.outside import shortened

Bytes = NDArray[np.uint8]
IMAGES, LABELS = 0x00000803, 0x00000801
KINDS = {IMAGES: "images", LABELS: "labels"}


def decode_split(
    images: bytes,
    labels: bytes,
    *,
    files: tuple[Path, Path],
    name: str,
    classes: int,
    count: int | None = None,
) -> tuple[Bytes, NDArray[np.int64]]:
    """The two files of a split, packed or not -> images uint8 (N, H, W), labels int64 (N,).

    count is how many examples the data set is known to have. files and name are for the faults'
    texts only. Raises DataError for the first thing that does not fit.
    """
    pixels = decode_idx(images, IMAGES, file=files[0], name=name)
    numbers = decode_idx(labels, LABELS, file=files[1], name=name)
    if len(pixels) != len(numbers):
        what = f"{len(numbers):,} labels for the {len(pixels):,} images of {files[0].name}"
        raise _fault(f"{files[1]} has {what}.", name)
    if count is not None and len(pixels) != count:
        raise _fault(f"{files[0]} has {len(pixels):,} images, expected {count:,}.", name)
    if numbers.max() >= classes:
        where = int(np.argmax(numbers >= classes))
        what = f"the label {numbers[where]} at {where}, expected 0 to {classes - 1}"
        raise _fault(f"{files[1]} has {what}.", name)
    return pixels, numbers.astype(np.int64)


def decode_idx(content: bytes, magic: int, *, file: Path, name: str) -> Bytes:
    """One IDX file, packed or not -> a writable uint8 array: (N, H, W) for IMAGES, (N,) for LABELS."""
    if file.suffix == ".gz":
        content = gunzip(content, file=file, name=name)
    dimensions = 3 if magic == IMAGES else 1
    header = 4 + 4 * dimensions
    _check_magic(content, magic, file, name)
    if len(content) < header:
        raise _fault(f"{file} ends in its header: {len(content)} bytes, expected {header}.", name)
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    size = math.prod(shape)
    if size == 0:
        raise _fault(f"{file} is empty: its header says {'x'.join(map(str, shape))} {KINDS[magic]}.", name)
    found = len(content) - header
    if found != size:
        what = "is cut off" if found < size else "has trailing bytes"
        raise _fault(f"{file} {what}: {found:,} bytes after the header, expected {size:,}.", name)
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()


def gunzip(content: bytes, *, file: Path, name: str) -> bytes:
    """What a gzip file holds."""
    if content[:2] != b"\x1f\x8b":
        raise _fault(f"{file} is no gzip file: it starts with {content[:8]!r}, expected b'\\x1f\\x8b'.", name)
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as fault:
        raise _fault(f"{file} is a damaged gzip file: {shortened(fault)}.", name) from fault


def _check_magic(content: bytes, magic: int, file: Path, name: str) -> None:
    if len(content) < 4:
        raise _fault(f"{file} ends in its header: {len(content)} bytes, expected at least 4.", name)
    (found,) = struct.unpack_from(">I", content)
    if found == magic:
        return
    wanted = KINDS[magic]
    if found in KINDS:
        what = f"holds {KINDS[found]} where {wanted} are expected: were the two files swapped?"
        raise _fault(f"{file} {what}", name)
    what = f"starts with 0x{found:08x}, expected 0x{magic:08x}"
    raise _fault(f"{file} is no IDX file of {wanted}: it {what}.", name)


def _fault(what: str, name: str) -> DataError:
    return DataError(f"{what} Delete it and run: featherweight data get {name}")
