"""Decode IDX files, the format of MNIST, to uint8 arrays. Raise DataError for each deviation from the format.

An IDX file is a big-endian header and then the values, row after row. The header is two zero bytes, the type
(0x08 for uint8), the number of dimensions, and each dimension as uint32.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featherweight.data.signatures import GZIP, START, described
from featherweight.errors import DataError
from featherweight.outside import shortened

Bytes = NDArray[np.uint8]
MOST_BYTES = 2**30      # largest size that a header may announce; MNIST's largest file has 47 MB
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
    """Decode the two files of a split, gzipped or not. Return images uint8 (N, H, W) and labels int64 (N,).

    count: the expected number of examples; None accepts any number.
    files, name: used in error messages only. name: of the published data set, or "" for files of the user's own.
    Raises DataError for the first deviation found.
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
    """Decode one IDX file, gzipped or not. Return a writable uint8 array: (N, H, W) for IMAGES, (N,) for LABELS.

    The content decides if the file is gzipped, not its name.
    magic: IMAGES or LABELS, the expected first four bytes.
    """
    packed = content.startswith(GZIP)
    dimensions = 3 if magic == IMAGES else 1
    header = 4 + 4 * dimensions
    start = gunzip(content, START, file=file, name=name) if packed else content[:START]
    _check_magic(start, magic, file, name)
    start = start[:header]
    if len(start) < header:
        raise _fault(f"{file} ends in its header: {len(start)} bytes, expected {header}.", name)
    shape = struct.unpack_from(f">{dimensions}I", start, 4)
    size, said = math.prod(shape), f"its header says {'x'.join(map(str, shape))} {KINDS[magic]}"
    if size == 0:
        raise _fault(f"{file} is empty: {said}.", name)
    if packed and size > MOST_BYTES:
        raise _fault(f"{file} is too large: {said}, at most {MOST_BYTES:,} bytes are read.", name)
    if packed:
        content = gunzip(content, header + size + 1, file=file, name=name)
    found = len(content) - header
    if found != size:
        what = "is cut off" if found < size else "has trailing bytes"
        count = f"over {size:,}" if packed and found > size else f"{found:,}"
        raise _fault(f"{file} {what}: {count} bytes after the header, expected {size:,}.", name)
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()


def gunzip(content: bytes, most: int, *, file: Path, name: str) -> bytes:
    """Decompress at most `most` bytes of a gzip file. The file's checksum is verified only if all bytes are read."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as opened:
            return opened.read(most)
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
    raise _fault(f"{file} is no IDX file of {wanted}: it is {described(content)}.", name)


def _fault(what: str, name: str) -> DataError:
    move = f"Move it away and run: featherweight data get {name}" if name else "Give the right file, or the whole one."
    return DataError(f"{what} {move}")
