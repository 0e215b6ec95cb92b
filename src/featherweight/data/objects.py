"""A data set from Python objects: arrays, tensors, lists, and the data sets of other libraries.

The story: tell the splits apart, read each (foreign.py), make bytes and class numbers of them (arrays.py), draw a test
split where there is none, and name the whole by its content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featherweight.data.arrays import (
    Span,
    as_array,
    channels_first,
    check_span,
    shaped,
    span_of,
    to_bytes,
)
from featherweight.data.dataset import Dataset, Split, mean_and_std
from featherweight.data.folders import SPLIT_SEED, TEST_SHARE
from featherweight.data.foreign import ALLOWED, Given, Wanted, is_pair, read_split
from featherweight.data.labels import checked_labels, class_names, numbered
from featherweight.data.sources import ARRAYS_PREFIX, is_loadable
from featherweight.data.splits import stratified_split
from featherweight.data.store import Images
from featherweight.errors import DataError

DRAWN = ", a fifth of each class drawn for test"


def as_dataset(
    data: Any, *, name: str | None = None, channels: int | None = None, size: int | None = None
) -> Dataset:
    """Make a Dataset of Python objects; a Dataset is returned as it is.

    data: (images, labels), a (train, test) pair of such, or {"train": ..., "test": ...}; each split may also be a torch
    Dataset, DataLoader or Subset, or a data set of torchvision or Hugging Face. images: (N, H, W), (N, C, H, W) or
    (N, H, W, C); uint8, other whole numbers or floats. labels: class numbers from 0, class names, or one-hot rows. Of
    one split a fifth of each class becomes test. channels: 1 or 3. size: side in pixels to resize to.
    name: default arrays- and eight digits of a hash of the content. Raises DataError, one line.
    """
    if isinstance(data, Dataset):
        return data
    if name is not None and is_loadable(name):
        raise DataError(f"name={name!r} is the name of another data set. Give another name.")
    given = [read_split(split, Wanted(channels, size)) for split in splits_of(data)]
    classes, splits, span = canonical(given, channels, size)
    train, test = splits if len(splits) == 2 else draw_test(splits[0], classes)
    name = name or ARRAYS_PREFIX + fingerprint([train, test], classes)
    mean, std = mean_and_std(name, train[0])
    done = f" ({span.words})" if span.words else ""
    return Dataset(
        name=name, classes=classes, mean=mean, std=std, train=tensors(train, mean, std), validation=None,
        test=tensors(test, mean, std), source=given[0].words + done + ("" if len(splits) == 2 else DRAWN),
        span=(span.low, span.high),
    )


def resized(dataset: Dataset, channels: int, size: int) -> Dataset:
    """The same images with this many channels and this side, as as_dataset gives them where they are asked for."""
    train, test = ((shaped(split.images.numpy(), channels, size), split.labels.numpy())
                   for split in (dataset.train, dataset.test))
    ours = dataset.name.startswith(ARRAYS_PREFIX)
    name = ARRAYS_PREFIX + fingerprint([train, test], dataset.classes) if ours else dataset.name
    mean, std = mean_and_std(name, train[0])
    return replace(dataset, name=name, mean=mean, std=std, train=tensors(train, mean, std),
                   test=tensors(test, mean, std))


def as_test_data(
    data: Any, *, classes: Sequence[str], mean: Sequence[float], std: Sequence[float], channels: int, size: int,
    span: tuple[float, float],
) -> Dataset:
    """Make test images of Python objects for a network that was trained on others; of one split, all images.

    Images get the network's channels and size, labels its classes. span: the values that became 0 and 255 in training.
    """
    given = read_split(splits_of(data)[-1], Wanted(channels, size))
    raw = channels_first(as_array(given.images, "test images"), "test images")
    labels = checked_labels(as_array(given.labels, "test labels"), len(raw), "test labels")
    low, high = span
    if raw.dtype != np.uint8 and span == (0, 255):      # the network learned bytes
        found = span_of(raw, "test images")
        low, high = found.low, found.high
    split = shaped(to_bytes(raw, low, high), channels, size), numbered(labels, classes, "test labels")
    name = ARRAYS_PREFIX + fingerprint([split], tuple(classes))
    images = tensors(split, mean, std)
    return Dataset(name=name, classes=tuple(classes), mean=tuple(mean), std=tuple(std), train=images,
                   validation=None, test=images, source=given.words, span=span)


def splits_of(data: Any) -> list[Any]:
    """The training and the test split, or the one from which both are drawn."""
    if isinstance(data, Mapping):
        if "train" not in data or ("test" not in data and len(data) > 1):
            raise DataError(f"data: the keys {', '.join(map(str, data))} are not 'train' and 'test'. {ALLOWED}")
        return [data[key] for key in ("train", "test") if key in data]
    if isinstance(data, list | tuple) and len(data) == 2 and all(is_split(part) for part in data):
        return list(data)
    return [data]


def is_split(part: Any) -> bool:
    """Whether this is a split of its own: a pair of images and labels, or a data set, and no bare array."""
    if is_pair(part):
        return depth(part[0]) > depth(part[1]) > 0
    bare = hasattr(part, "dtype") or isinstance(part, list | tuple)
    return not bare and (hasattr(part, "__getitem__") or hasattr(part, "__iter__"))


def depth(values: Any) -> int:
    """The number of axes of an array, a tensor, a picture or nested lists."""
    if hasattr(values, "ndim"):
        return int(values.ndim)
    if isinstance(values, list | tuple):
        return 1 + (depth(values[0]) if values else 0)
    return 2 if hasattr(values, "getpixel") else 0


def canonical(
    given: list[Given], channels: int | None, size: int | None
) -> tuple[tuple[str, ...], list[Split], Span]:
    """(classes, splits as uint8 (N, C, H, W) and int64 (N,), the values that became 0 and 255)."""
    whats = ("training", "test")
    raw = [channels_first(as_array(one.images, f"{what} images"), f"{what} images")
           for one, what in zip(given, whats, strict=False)]
    labels = [checked_labels(as_array(one.labels, f"{what} labels"), len(images), f"{what} labels")
              for one, images, what in zip(given, raw, whats, strict=False)]
    classes, span = class_names(labels[0], given[0].classes), span_of(raw[0], "training images")
    for images in raw[1:]:
        check_span(images, span, raw[0], "test images")
    pixels = [shaped(to_bytes(images, span.low, span.high), channels, size) for images in raw]
    if pixels[0].shape[1:] != pixels[-1].shape[1:]:
        raise DataError(f"data: training images have the shape {pixels[0].shape[1:]}, test images "
                        f"{pixels[-1].shape[1:]}. Give size= or channels= to make them alike.")
    splits = [(one, numbered(numbers, classes, f"{what} labels"))
              for one, numbers, what in zip(pixels, labels, whats, strict=False)]
    return classes, splits, span


def draw_test(split: Split, classes: tuple[str, ...]) -> tuple[Split, Split]:
    """One split -> training and test: a fifth of each class, drawn by seed 0."""
    images, labels = split
    few = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 1)
    if len(few):
        raise DataError(f"data: class {classes[few[0]]!r} has one image, and one is needed for training and one for "
                        "test. Add images, or give (train, test).")
    train, test = stratified_split(labels, round(TEST_SHARE * len(labels)), SPLIT_SEED)
    return (images[train], labels[train]), (images[test], labels[test])


def fingerprint(splits: list[Split], classes: tuple[str, ...]) -> str:
    """Eight hex digits of the sha256 of all shapes, pixels, labels and names."""
    digest = hashlib.sha256("\0".join(classes).encode())
    for images, labels in splits:
        digest.update(str(images.shape).encode())
        digest.update(np.ascontiguousarray(images).data)
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()[:8]


def tensors(split: Split, mean: Sequence[float], std: Sequence[float]) -> Images:
    """Return a split as tensors. A writable contiguous array is not copied."""
    images, labels = (torch.from_numpy(writable(part)) for part in split)
    return Images.of(images, labels, mean, std)


def writable(array: NDArray[Any]) -> NDArray[Any]:
    """The array in one piece, copied where it is not, or where it is read-only, which torch does not take."""
    whole = np.ascontiguousarray(array)
    return whole if whole.flags.writeable else whole.copy()
