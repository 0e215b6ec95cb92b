"""Images that take long to make, kept in a cache file and read memory-mapped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.documents import parse_json
from featherweight.files import replacing, write_json

Pixels = NDArray[np.uint8]


def cached_pixels(cache: Path, shape: tuple[int, ...], make: Callable[[], Pixels]) -> Pixels:
    """Return an array of this shape, memory-mapped from a cache file. Create the file with `make` if necessary.

    The mapping is copy-on-write: a write to the array does not change the file.
    If the cache file cannot be written, the result of `make` is returned without a cache.
    """
    found = mapped(cache, shape)
    if found is not None:
        return found
    pixels = make()
    try:
        write(cache, pixels)
    except OSError:  # with a full or read-only disk, images are made again at the next start
        return pixels
    found = mapped(cache, shape)
    return pixels if found is None else found


def known_faults(file: Path) -> dict[int, str]:
    """Return the faults that `write_faults` stored: place of a picture -> line. Empty if the file is missing or odd."""
    try:
        found = parse_json(file.read_text())
        return {int(place): str(fault) for place, fault in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def write_faults(file: Path, faults: dict[int, str]) -> None:
    """Store the places of the pictures that cannot be read, and a line for each. Nothing is stored without faults."""
    if not faults:
        return
    with suppress(OSError):     # with a full or read-only disk, the pictures are decoded again at the next start
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {str(place): fault for place, fault in faults.items()})


def mapped(cache: Path, shape: tuple[int, ...]) -> Pixels | None:
    """Return the cached array, or None if the file is missing, damaged or of another shape."""
    try:
        pixels = np.load(cache, mmap_mode="c", allow_pickle=False)
    except Exception:  # for a damaged header numpy passes on any exception of Python's parser
        return None
    fits = isinstance(pixels, np.memmap) and pixels.shape == shape and pixels.dtype == np.uint8
    return pixels if fits and seal_of(cache, pixels) == seal(pixels) else None


def seal(pixels: Pixels) -> bytes:
    """Return the SHA-256 of the pixels."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).digest()


def seal_of(cache: Path, pixels: np.memmap[Any, Any]) -> bytes:
    """Return the bytes after the array in its cache file: the SHA-256 that `write` appended."""
    with cache.open("rb") as file:
        file.seek(pixels.offset + pixels.nbytes)
        return file.read(100)


def write(cache: Path, pixels: Pixels) -> None:
    """Write the array and its SHA-256 to the cache file. The write is atomic: a reader sees the whole file or none."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with replacing(cache) as file:
        np.save(file, pixels, allow_pickle=False)
        file.write(seal(pixels))
