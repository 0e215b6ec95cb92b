"""Load images from folders. Decoded images are cached, and later read memory-mapped.

Splits: DIR/train with DIR/test, and perhaps DIR/val, or DIR alone. Without a test split, a fifth of each class becomes
one. In a split: a folder for each class, or pictures with their label in the name or in a table (flat.py).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featherweight.data.flat import Rule, flat_labels
from featherweight.data.foreign import Wanted
from featherweight.data.pictures import decode_pictures
from featherweight.data.pixel_cache import cached_pixels, known_faults, write_faults
from featherweight.data.splits import SPLIT_SEED, TEST_SHARE, split_named, stratified_split
from featherweight.errors import DataError
from featherweight.outside import MOST_CLASSES, bad_name
from featherweight.picture_files import SUFFIXES, some_of
from featherweight.specification import Fit

CACHE_VERSION = 4  # increase it when decoded pixels or the format of the cache file change
LITTER = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Listing:
    """The image files of one split and their labels, int64 (N,)."""

    files: tuple[Path, ...]
    labels: NDArray[np.int64]


class Layout(NamedTuple):
    """The splits of a folder. words: a remark for the user about the use of the splits, or empty."""

    classes: tuple[str, ...]
    train: Listing
    test: Listing
    validation: Listing | None = None
    words: str = ""


def list_folder(folder: Path) -> Layout:
    """Return class names in order, and the files of each split. No picture is opened.

    Raises DataError if the folder has none of the known layouts.
    """
    if not folder.is_dir():
        raise DataError(
            f"folder {str(folder)!r} does not exist. Give folder:DIR, with a folder in DIR for each class."
        )
    splits = split_folders(folder)
    if "train" in splits and len(splits) > 1:
        return _as_divided(splits)
    if "train" in splits and _folders(splits["train"]):
        name = splits["train"].name
        raise DataError(
            f"{folder} has {name}/ but no test/. Add {folder / 'test'}/<class>/, or take {name}/ away."
        )
    classes, everything, _ = _labelled(folder)
    few = [name for label, name in enumerate(classes) if (everything.labels == label).sum() < 2]
    if few:
        raise DataError(
            f"{folder / few[0]} has one picture, and one is needed for training and one for test. "
            "Add pictures, or use train/ and test/ folders."
        )
    wanted = round(TEST_SHARE * len(everything.files))
    train, test = stratified_split(everything.labels, wanted, SPLIT_SEED)
    return Layout(classes, _pick(everything, train), _pick(everything, test), words="a fifth drawn for test")


def split_folders(folder: Path) -> dict[str, Path]:
    """Return "train", "test" or "validation" -> the folder of that name, such as training, testing or val."""
    return {split: path for path in reversed(_folders(folder)) if (split := split_named(path.name))}


def load_pictures(
    listing: Listing, root: Path, wanted: Wanted, cache_dir: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Return (images, labels, faults): images (N, channels, size, size) and labels of the pictures that can be read.

    faults: a line for each other picture.
    The images are memory-mapped from a cache file, which is created if necessary.
    The places of the pictures that cannot be read are cached beside it.
    The cache key contains names, sizes and modification times, so changed images are decoded again.
    """
    channels, size = wanted.channels or 1, wanted.size or 28
    shape = (channels, size, size)
    cache = cache_dir / "folders" / f"{_key(listing.files, root, (len(listing.files), *shape), wanted.fit)}.npy"
    faults = known_faults(cache.with_suffix(".json"))

    def make() -> NDArray[np.uint8]:
        pixels, found = decode_pictures(listing.files, channels, size, wanted.fit)
        faults.clear()
        faults.update(found)
        write_faults(cache.with_suffix(".json"), found)
        return pixels

    pixels = cached_pixels(cache, (len(listing.files) - len(faults), *shape), make)
    labels = np.delete(listing.labels, list(faults))
    return pixels, labels, tuple(faults.values())


def _as_divided(splits: dict[str, Path]) -> Layout:
    """Return the layout of a training folder with a test folder, a validation folder, or both.

    A validation folder without a test folder is used for test.
    """
    classes, train, rule = _labelled(splits["train"])
    others = {split: _like(path, classes, splits["train"], rule) for split, path in splits.items() if split != "train"}
    if "test" not in others:
        return Layout(classes, train, others["validation"], words=f"test images from {splits['validation'].name}/")
    words = f"validation images from {splits['validation'].name}/" if "validation" in others else ""
    return Layout(classes, train, others["test"], others.get("validation"), words)


def _like(folder: Path, classes: tuple[str, ...], train: Path, rule: Rule | None) -> Listing:
    """Return the files of a split that must have the classes of the training split."""
    if rule is not None:
        found = flat_labels(folder, rule)
        assert found is not None        # with a rule, missing pictures are an error
        files, names, _ = found
    else:
        files, names = [], [path.name for path in _folders(folder)]
    unknown, missing = sorted(set(names) - set(classes)), sorted(set(classes) - set(names))
    if unknown:
        raise DataError(f"{folder / unknown[0]} is no class of {train}. Allowed: {', '.join(classes)}.")
    if missing:
        raise DataError(f"{folder} lacks the class {missing[0]!r} of {train}. Add {folder / missing[0]}/.")
    return _listing(folder, classes) if rule is None else _numbered(files, names, classes)


def _labelled(folder: Path) -> tuple[tuple[str, ...], Listing, Rule | None]:
    """Return (class names, files with labels, rule): of class folders, or of pictures labelled by a rule."""
    flat = flat_labels(folder) if len(_folders(folder)) < 2 else None
    if flat is None:
        classes = _classes(folder)
        return classes, _listing(folder, classes), None
    files, names, rule = flat
    classes = _checked(tuple(sorted(set(names))), folder)
    return classes, _numbered(files, names, classes), rule


def _numbered(files: Sequence[Path], names: Sequence[str], classes: Sequence[str]) -> Listing:
    places = {name: place for place, name in enumerate(classes)}
    return Listing(tuple(files), np.array([places[name] for name in names], np.int64))


def _classes(folder: Path) -> tuple[str, ...]:
    return _checked(tuple(path.name for path in _folders(folder)), folder)


def _checked(classes: tuple[str, ...], folder: Path) -> tuple[str, ...]:
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
    if strangers := [path for files in each for path in files if path.suffix.lower() not in SUFFIXES]:
        raise _no_pictures(strangers)
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(files) for files in each])
    return Listing(tuple(file for files in each for file in files), labels)


def _pictures(folder: Path) -> list[Path]:
    """Return the files of one class that are not hidden, sorted by name. Raise DataError for a folder in it."""
    files = [path for path in sorted(folder.iterdir()) if not _is_litter(path)]
    for path in files:
        if path.is_dir():
            raise DataError(f"{path} is a folder where pictures are expected. Is {folder.name!r} a class?")
    if not files:
        raise DataError(f"{folder} is an empty class. Add pictures, or remove the folder.")
    return files


def _no_pictures(files: Sequence[Path]) -> DataError:
    """Return the error for files in class folders that are no pictures by their names."""
    if len(files) == 1:
        return DataError(f"{files[0]} is no picture. Allowed: {', '.join(SUFFIXES)}. Move it away.")
    named = some_of([str(file) for file in files])
    return DataError(f"{len(files):,} files in class folders are no pictures: {named}. Allowed: {', '.join(SUFFIXES)}. "
                     "Move them away.")


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_litter(path))


def _is_litter(path: Path) -> bool:
    return path.name.startswith((".", "__MACOSX")) or path.name.lower() in LITTER


def _pick(listing: Listing, indices: NDArray[np.int64]) -> Listing:
    return Listing(tuple(listing.files[index] for index in indices), listing.labels[indices])


def _key(files: Sequence[Path], root: Path, shape: tuple[int, ...], fit: Fit) -> str:
    digest = hashlib.sha256(os.fsencode(f"{CACHE_VERSION} {root.resolve()} {shape} {fit}"))
    for file in files:
        status = file.stat()
        digest.update(os.fsencode(f"\0{file.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}"))
    return digest.hexdigest()[:32]
