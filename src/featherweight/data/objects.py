"""Make a Dataset from Python objects: arrays, tensors, lists, and the data sets of other libraries.

Steps:
1. Separate the training split and the test split.
2. Read each split (foreign.py).
3. Convert images to bytes (arrays.py) and labels to class numbers (labels.py).
4. Draw a test split if the data have only one split.
5. Name the data set after a hash of its content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from featherweight.data.arrays import as_array, channels_first, shaped, span_of, to_bytes, writable
from featherweight.data.canonical import Split, canonical, draw_test
from featherweight.data.dataset import Dataset, mean_and_std
from featherweight.data.foreign import ALLOWED, Wanted, is_pair, read_split
from featherweight.data.labels import checked_labels, numbered
from featherweight.data.names import ARRAYS_PREFIX, is_loadable
from featherweight.data.store import Images
from featherweight.errors import DataError
from featherweight.specification import Fit

DRAWN = ", a fifth of each class drawn for test"


def as_dataset(
    data: Any, *, name: str | None = None, channels: int | None = None, size: int | None = None,
    fit: Fit = "letterbox",
) -> Dataset:
    """Make a Dataset of Python objects. A Dataset is returned unchanged.

    data: one split, a pair (train, test), or {"train": ..., "test": ...}. If only one split is given, a fifth of each
        class becomes the test split.
    A split: a pair (images, labels), a torch Dataset, DataLoader or Subset, or a data set of torchvision or
        Hugging Face.
    Images: (N, H, W), (N, C, H, W) or (N, H, W, C), of uint8, other whole numbers or floats.
    Labels: class numbers from 0, class names, or one-hot rows.
    channels: 1 or 3. size: side in pixels to which images are resized. None keeps those of the images.
    fit: "letterbox" adds a border to an image that is not square, "stretch" distorts the image.
    name: by default "arrays-" and eight digits of a hash of the content.
    Raises DataError with a message of one line.
    """
    if isinstance(data, Dataset):
        return data
    if name is not None and is_loadable(name):
        raise DataError(f"name={name!r} is the name of another data set. Give another name.")
    wanted = Wanted(channels, size, fit)
    given = [read_split(split, wanted) for split in splits_of(data)]
    classes, splits, span = canonical(given, wanted)
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
    """Return the data set with images of `channels` channels and `size` x `size` pixels.

    The result equals that of as_dataset with these channels and size. Its training and test images are converted.
    """
    train, test = ((shaped(split.images.numpy(), channels, size), split.labels.numpy())
                   for split in (dataset.train, dataset.test))
    ours = dataset.name.startswith(ARRAYS_PREFIX)
    name = ARRAYS_PREFIX + fingerprint([train, test], dataset.classes) if ours else dataset.name
    mean, std = mean_and_std(name, train[0])
    return replace(dataset, name=name, mean=mean, std=std, train=tensors(train, mean, std),
                   test=tensors(test, mean, std))


def as_test_data(
    data: Any, *, classes: Sequence[str], mean: Sequence[float], std: Sequence[float], channels: int, size: int,
    span: tuple[float, float], fit: Fit = "letterbox",
) -> Dataset:
    """Make a Dataset of test images from Python objects, for a network that was trained on other images.

    data: as in as_dataset. If only one split is given, all its images are test images.
    classes, mean, std, channels, size: those of the network.
    span: pixel values that were mapped to 0 and 255 in training. fit: as in training.
    """
    given = read_split(splits_of(data)[-1], Wanted(channels, size, fit))
    raw = channels_first(as_array(given.images, "test images"), "test images")
    labels = checked_labels(as_array(given.labels, "test labels"), len(raw), "test labels")
    low, high = span
    if raw.dtype != np.uint8 and span == (0, 255):      # the network was trained on bytes: measure the values here
        found = span_of(raw, "test images")
        low, high = found.low, found.high
    split = shaped(to_bytes(raw, low, high), channels, size, fit), numbered(labels, classes, "test labels")
    name = ARRAYS_PREFIX + fingerprint([split], tuple(classes))
    images = tensors(split, mean, std)
    return Dataset(name=name, classes=tuple(classes), mean=tuple(mean), std=tuple(std), train=images,
                   validation=None, test=images, source=given.words, span=span)


def splits_of(data: Any) -> list[Any]:
    """Return [training split, test split], or a list of one split if `data` holds only one."""
    if isinstance(data, Mapping):
        if "train" not in data or ("test" not in data and len(data) > 1):
            raise DataError(f"data: the keys {', '.join(map(str, data))} are not 'train' and 'test'. {ALLOWED}")
        return [data[key] for key in ("train", "test") if key in data]
    if isinstance(data, list | tuple) and len(data) == 2 and all(is_split(part) for part in data):
        return list(data)
    return [data]


def is_split(part: Any) -> bool:
    """Return True for a complete split: a pair (images, labels) or a data set. False for a bare array or list."""
    if is_pair(part):
        return depth(part[0]) > depth(part[1]) > 0
    bare = hasattr(part, "dtype") or isinstance(part, list | tuple)
    return not bare and (hasattr(part, "__getitem__") or hasattr(part, "__iter__"))


def depth(values: Any) -> int:
    """Number of axes of an array, a tensor, a picture or nested lists."""
    if hasattr(values, "ndim"):
        return int(values.ndim)
    if isinstance(values, list | tuple):
        return 1 + (depth(values[0]) if values else 0)
    return 2 if hasattr(values, "getpixel") else 0


def fingerprint(splits: list[Split], classes: tuple[str, ...]) -> str:
    """Eight hex digits of the sha256 of all shapes, pixels, labels and class names."""
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
