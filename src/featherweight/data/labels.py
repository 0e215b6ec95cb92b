"""Convert the labels that a user passes in Python to class names and int64 class numbers. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featherweight.data.arrays import Array
from featherweight.errors import DataError
from featherweight.outside import MOST_CLASSES, bad_name


def checked_labels(labels: Array, images: int, what: str) -> Array:
    """Convert labels (N,), (N, 1) or one-hot (N, classes) to (N,) whole numbers or names.

    images: the expected number of labels. Raises DataError for other shapes and for floats.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "buif" and is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.ndim != 1:
        raise DataError(f"data: the {what} have the shape {labels.shape}. Give (N,) class numbers or names, or one-hot "
                        "rows.")
    if len(labels) != images:
        raise DataError(f"data: {len(labels):,} {what} for {images:,} images. Give a label for each image.")
    if labels.dtype.kind in "fc":
        raise DataError(f"data: the {what} are {labels.dtype}. Give whole numbers, e.g. labels.astype(int), or names.")
    return labels


def is_one_hot(labels: Array) -> bool:
    """Return True if each row holds a single 1 and otherwise zeros."""
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def class_names(labels: Array, given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the class names of training labels.

    For whole numbers: `given`, or by default "0" to the largest number. For names: the distinct names, sorted.
    Raises DataError for negative or mixed labels, and for fewer than 2 or too many classes.
    """
    if labels.dtype.kind not in "buiSU":
        kinds = sorted({type(label).__name__ for label in labels.tolist()})
        if len(kinds) > 1 or kinds == ["float"]:
            raise DataError(f"data: the training labels mix {' and '.join(kinds)}. Give whole numbers, or names.")
    distinct = np.unique(labels)
    if labels.dtype.kind not in "ui":
        names = tuple(str(one.decode() if isinstance(one, bytes) else one) for one in distinct.tolist())
    elif int(distinct[0]) < 0 or (given is None and int(distinct[-1]) >= MOST_CLASSES):
        raise DataError(f"data: the training labels reach from {distinct[0]} to {distinct[-1]}. Give class numbers "
                        f"from 0 to {MOST_CLASSES - 1}, or names: labels.astype(str).")
    else:
        names = tuple(given) if given else tuple(str(number) for number in range(int(distinct[-1]) + 1))
    if len(names) > MOST_CLASSES:
        raise DataError(f"data: the training labels have {len(names):,} names; at most {MOST_CLASSES:,} are allowed. "
                        "Give a label for each class, not for each image.")
    if bad := bad_name(names):
        raise DataError(f"data: the class {bad[0]} {bad[1]}. Rename it.")
    if len(distinct) < 2:
        raise DataError(f"data: the training labels hold one class, {names[-1]!r}; a classifier needs at least 2.")
    return names


def numbered(labels: Array, classes: Sequence[str], what: str) -> NDArray[np.int64]:
    """Convert labels to int64 indices in `classes`. Raise DataError for a label that no training image has."""
    if labels.dtype.kind in "ui":
        numbers = labels.astype(np.int64)
        strange = (numbers < 0) | (numbers >= len(classes))
        if strange.any():
            raise DataError(f"data: the {what} hold {numbers[strange][0]}, and the classes are 0 to "
                            f"{len(classes) - 1}. Give such training images too, or leave them out.")
        return numbers
    places = {name: place for place, name in enumerate(classes)}
    names = [str(one.decode() if isinstance(one, bytes) else one) for one in labels.tolist()]
    unknown = next((name for name in names if name not in places), None)
    if unknown is not None:
        raise DataError(f"data: the {what} hold {unknown!r}, which no training image is. Allowed: "
                        f"{', '.join(classes)}.")
    return np.array([places[name] for name in names], np.int64)
