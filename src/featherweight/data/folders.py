"""Load images from folders, one folder per class. Decoded images are cached, and later read memory-mapped.

Layouts: DIR/train/<class>/* with DIR/test/<class>/*, or DIR/<class>/*. For the second layout a fifth of each class
becomes the test split.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featherweight.data.pictures import decode_pictures
from featherweight.data.pixel_cache import cached_pixels
from featherweight.data.splits import stratified_split
from featherweight.errors import DataError
from featherweight.outside import MOST_CLASSES, bad_name
from featherweight.picture_files import SUFFIXES

TEST_SHARE = 0.2
SPLIT_SEED = 0  # seed of the test split: constant, so that a recipe's seeds do not change the test images
CACHE_VERSION = 3  # increase it when decoded pixels or the format of the cache file change
LITTER = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Listing:
    """The image files of one split and their labels, int64 (N,)."""

    files: tuple[Path, ...]
    labels: NDArray[np.int64]


def list_folder(folder: Path) -> tuple[tuple[str, ...], Listing, Listing]:
    """Return (class names in order, training files, test files). No file is opened.

    Raises DataError if the folder has neither of the two layouts.
    """
    if not folder.is_dir():
        raise DataError(
            f"folder {str(folder)!r} does not exist. Give folder:DIR, with a folder in DIR for each class."
        )
    inside = {path.name for path in _folders(folder)}
    if {"train", "test"} <= inside:
        return _two_splits(folder / "train", folder / "test")
    if "train" in inside and _folders(folder / "train"):
        raise DataError(
            f"{folder} has train/ but no test/. Add {folder / 'test'}/<class>/, or take train/ away."
        )
    classes = _classes(folder)
    everything = _listing(folder, classes)
    few = [name for label, name in enumerate(classes) if (everything.labels == label).sum() < 2]
    if few:
        raise DataError(
            f"{folder / few[0]} has one picture, and one is needed for training and one for test. "
            "Add pictures, or use train/ and test/ folders."
        )
    wanted = round(TEST_SHARE * len(everything.files))
    train, test = stratified_split(everything.labels, wanted, SPLIT_SEED)
    return classes, _pick(everything, train), _pick(everything, test)


def load_pictures(
    files: Sequence[Path], root: Path, channels: int, size: int, cache_dir: Path
) -> NDArray[np.uint8]:
    """Return images (N, channels, size, size), memory-mapped from a cache file. Create the cache file if necessary.

    The cache key contains names, sizes and modification times, so changed images are decoded again.
    """
    shape = (len(files), channels, size, size)
    cache = cache_dir / "folders" / f"{_key(files, root, shape)}.npy"
    return cached_pixels(cache, shape, lambda: decode_pictures(files, channels, size))


def _two_splits(train: Path, test: Path) -> tuple[tuple[str, ...], Listing, Listing]:
    classes = _classes(train)
    in_test = {path.name for path in _folders(test)}
    unknown, missing = sorted(in_test - set(classes)), sorted(set(classes) - in_test)
    if unknown:
        raise DataError(f"{test / unknown[0]} is no class of {train}. Allowed: {', '.join(classes)}.")
    if missing:
        raise DataError(f"{test} lacks the class {missing[0]!r} of {train}. Add {test / missing[0]}/.")
    return classes, _listing(train, classes), _listing(test, classes)


def _classes(folder: Path) -> tuple[str, ...]:
    classes = tuple(path.name for path in _folders(folder))
    if len(classes) > MOST_CLASSES:
        raise DataError(f"{folder} has {len(classes):,} class folders; at most {MOST_CLASSES:,} are allowed. Give a "
                        "folder with one for each class.")
    if bad := bad_name(classes):
        raise DataError(f"class folder {bad[0]} of {folder} {bad[1]}. Rename the folder.")
    if not classes:
        raise DataError(f"{folder} has no class folders. Put pictures into {folder}/<class>/.")
    if len(classes) < 2:
        raise DataError(f"{folder} has one class folder, {classes[0]!r}; a classifier needs at least 2.")
    return classes


def _listing(folder: Path, classes: Sequence[str]) -> Listing:
    each = [_pictures(folder / name) for name in classes]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(files) for files in each])
    return Listing(tuple(file for files in each for file in files), labels)


def _pictures(folder: Path) -> list[Path]:
    """Return the image files of one class, sorted by name. Raise DataError for any other file that is not hidden."""
    files = [path for path in sorted(folder.iterdir()) if not _is_litter(path)]
    for path in files:
        if path.is_dir():
            raise DataError(f"{path} is a folder where pictures are expected. Is {folder.name!r} a class?")
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path} is no picture. Allowed: {', '.join(SUFFIXES)}. Move it away.")
    if not files:
        raise DataError(f"{folder} is an empty class. Add pictures, or remove the folder.")
    return files


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_litter(path))


def _is_litter(path: Path) -> bool:
    return path.name.startswith((".", "__MACOSX")) or path.name.lower() in LITTER


def _pick(listing: Listing, indices: NDArray[np.int64]) -> Listing:
    return Listing(tuple(listing.files[index] for index in indices), listing.labels[indices])


def _key(files: Sequence[Path], root: Path, shape: tuple[int, ...]) -> str:
    digest = hashlib.sha256(os.fsencode(f"{CACHE_VERSION} {root.resolve()} {shape}"))
    for file in files:
        status = file.stat()
        digest.update(os.fsencode(f"\0{file.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}"))
    return digest.hexdigest()[:32]
