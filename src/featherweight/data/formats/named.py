"""Arrays with names, as in .npz and .mat files and folders of .npy files: find the images and labels of each split."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.foreign import Given
from featherweight.data.splits import split_named
from featherweight.errors import DataError
from featherweight.outside import shortened

Array = NDArray[Any]
IMAGES = ("x", "images", "image", "imgs", "img", "data", "pixels", "features", "fea")
LABELS = ("y", "labels", "label", "targets", "target", "classes", "class", "gnd")
WHOLE = "whole"     # split of arrays whose name says none
ADVICE = "Name them x_train, y_train, x_test and y_test, or images and labels."


@dataclass(frozen=True)
class Pair:
    """The names of the images and of the labels of one split."""

    images: str
    labels: str


def pairs_of(names: Iterable[str], where: str) -> dict[str, Pair]:
    """Return split -> names of its images and labels. Examples: x_train, train_images, images, Y.

    Raises DataError if no images are named so, if images lack labels, or if two names say the same.
    """
    found: dict[tuple[str, str], str] = {}
    for name in names:
        split, what = meaning(name)
        if what and (split, what) in found:
            raise DataError(f"{where} holds {found[split, what]!r} and {name!r}, and both may be the {what}. Leave out "
                            "one of them.")
        if what:
            found[split, what] = name
    splits = [split for split, what in found if what == "images"]
    missing = next((split for split in splits if (split, "labels") not in found), None)
    if not splits or missing:
        what = f"no labels for {found[missing, 'images']!r}" if missing else "no arrays that are named as images"
        held = shortened(", ".join(names), 120) or "nothing"
        raise DataError(f"{where} holds {what} (found: {held}). {ADVICE}")
    if WHOLE in splits and len(splits) > 1:
        raise DataError(f"{where} holds {found[WHOLE, 'images']!r} beside splits, and it is unclear which to take. "
                        "Leave out one of them.")
    return {split: Pair(found[split, "images"], found[split, "labels"]) for split in splits}


def meaning(name: str) -> tuple[str, str]:
    """Return (split or WHOLE, "images" or "labels" or "") for the name of an array."""
    words = [word for word in re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) if word]
    split = next((split for word in words if (split := split_named(word))), WHOLE)
    if any(word in LABELS for word in words):
        return split, "labels"
    return split, "images" if any(word in IMAGES for word in words) else ""


def read_pairs(pairs: Mapping[str, Pair], load: Callable[[str], Array], where: str) -> dict[str, Given]:
    """Read the arrays of all splits. Arrays of no split become "train". load: returns the array of a name."""
    return {"train" if split == WHOLE else split: given(load(pair.images), load(pair.labels), where)
            for split, pair in pairs.items()}


def given(images: Array, labels: Array, where: str) -> Given:
    """Return images and labels of one split. Flat images become square; labels in floats become whole numbers.

    Images (N, side * side) or (N, 3 * side * side), the channels one after the other.
    Images and labels with the example in the last axis, as in MATLAB, are transposed.
    """
    if labels.ndim == 2 and 1 in labels.shape:
        labels = labels.ravel()
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all():
        labels = labels.astype(np.int64)
    if images.ndim in (2, 4) and len(images) != len(labels) and images.shape[-1] == len(labels):
        images = np.moveaxis(images, -1, 0)
    return Given(unflattened(images, where), labels)


def unflattened(images: Array, where: str) -> Array:
    """Return flat images (N, values) as (N, side, side) or (N, 3, side, side). Others are returned unchanged."""
    if images.ndim != 2:
        return images
    values = images.shape[1]
    for channels in (1, 3):
        side = round((values / channels) ** 0.5)
        if side > 1 and channels * side * side == values:
            return images.reshape(-1, side, side) if channels == 1 else images.reshape(-1, 3, side, side)
    raise DataError(f"{where} holds images of {values:,} values, which form no square of 1 or 3 channels. Reshape them "
                    "to (N, H, W) before they are saved.")
