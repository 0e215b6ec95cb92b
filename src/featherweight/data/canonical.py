"""Bring the splits of arrays, in any accepted form, to uint8 images and class numbers. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featherweight.data.arrays import Span, as_array, channels_first, check_span, shaped, span_of, to_bytes
from featherweight.data.foreign import Given, Wanted
from featherweight.data.labels import checked_labels, class_names, numbered
from featherweight.data.splits import SPLIT_SEED, TEST_SHARE, stratified_split
from featherweight.errors import DataError

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]     # images (N, C, H, W), labels (N,)


def canonical(
    given: list[Given], wanted: Wanted, whats: Sequence[str] = ("training", "test")
) -> tuple[tuple[str, ...], list[Split], Span]:
    """Return (class names, splits, span): each split as images uint8 (N, C, H, W) and labels int64 (N,).

    given: the training split, then others. The class names and the span are measured on the training split.
    whats: names of the splits in messages.
    Raises DataError if the splits do not match.
    """
    raw = [channels_first(as_array(one.images, f"{what} images"), f"{what} images")
           for one, what in zip(given, whats, strict=False)]
    labels = [checked_labels(as_array(one.labels, f"{what} labels"), len(images), f"{what} labels")
              for one, images, what in zip(given, raw, whats, strict=False)]
    classes, span = class_names(labels[0], given[0].classes), span_of(raw[0], "training images")
    for images, what in zip(raw[1:], whats[1:], strict=False):
        check_span(images, span, raw[0], f"{what} images")
    pixels = [shaped(to_bytes(images, span.low, span.high), wanted.channels, wanted.size, wanted.fit) for images in raw]
    for images, what in zip(pixels, whats, strict=False):
        if pixels[0].shape[1:] != images.shape[1:]:
            raise DataError(f"data: training images have the shape {pixels[0].shape[1:]}, {what} images "
                            f"{images.shape[1:]}. Give size= or channels= to make them alike.")
    splits = [(one, numbered(numbers, classes, f"{what} labels"))
              for one, numbers, what in zip(pixels, labels, whats, strict=False)]
    return classes, splits, span


def draw_test(split: Split, classes: tuple[str, ...]) -> tuple[Split, Split]:
    """Divide one split into (training, test). A fifth of each class, drawn with seed 0, becomes test."""
    images, labels = split
    few = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 1)
    if len(few):
        raise DataError(f"data: class {classes[few[0]]!r} has one image, and one is needed for training and one for "
                        "test. Add images, or give (train, test).")
    train, test = stratified_split(labels, round(TEST_SHARE * len(labels)), SPLIT_SEED)
    return (images[train], labels[train]), (images[test], labels[test])
