"""Split examples into training, validation and test by a seed. Pure functions with reproducible results."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import DataError

Indices = NDArray[np.int64]
TEST_SHARE = 0.2        # of data that have one split: part of each class that becomes the test split
SPLIT_SEED = 0          # seed of that test split: constant, so that a recipe's seeds do not change the test images
WORDS = {    # split -> names that people give it
    "train": ("train", "training"),
    "test": ("test", "testing", "t10k"),
    "validation": ("val", "valid", "validation"),
}


def validation_split(count: int, validation: int, seed: int) -> tuple[Indices, Indices]:
    """Split the indices 0..count-1 into (training, validation), both in ascending order.

    The validation indices are the first of a random permutation. Therefore a larger validation set contains every
    smaller one of the same seed.
    Raises DataError unless 0 <= validation < count and seed >= 0.
    """
    _check(count, validation, seed)
    order = np.random.default_rng(seed).permutation(count).astype(np.int64)
    return np.sort(order[validation:]), np.sort(order[:validation])


def unseen_writers_split(writers: NDArray[np.int64], validation: int, seed: int) -> tuple[Indices, Indices]:
    """Split images by writer into (training, validation) indices, ascending. No writer is in both.

    writers: the writer's number of each image, (N,).
    validation: largest number of validation images. Writers are drawn until the next one would exceed the number.
    Raises DataError if the first writer alone exceeds the number, and in the cases of validation_split.
    """
    _check(len(writers), validation, seed)
    everyone, counts = np.unique(writers, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(everyone))
    chosen = everyone[drawn[np.cumsum(counts[drawn]) <= validation]]
    if len(chosen) == 0 and validation:
        raise DataError(
            f"validation: {validation} images are fewer than one writer gave. Give at least {counts.max()}."
        )
    held_out = np.isin(writers, chosen)
    return np.flatnonzero(~held_out).astype(np.int64), np.flatnonzero(held_out).astype(np.int64)


def stratified_split(labels: NDArray[np.int64], test: int, seed: int) -> tuple[Indices, Indices]:
    """Split the indices of `labels` into (training, test), both ascending, in the same proportion for each class.

    test: number of test images. The shares of the classes are rounded by largest remainder, so that their sum is
    `test`. Then a share of 0 is raised to 1, if the class has an example.
    """
    generator = np.random.default_rng(seed)
    counts = np.bincount(labels)
    exact = counts * (test / len(labels))
    shares = exact.astype(np.int64)
    short = test - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:short]] += 1
    shares = np.where(counts > 0, np.maximum(shares, 1), 0)
    members = [np.flatnonzero(labels == label) for label in range(len(counts))]
    drawn = [generator.permutation(each)[:share] for each, share in zip(members, shares, strict=True)]
    chosen = np.sort(np.concatenate(drawn)).astype(np.int64)
    rest = np.setdiff1d(np.arange(len(labels)), chosen, assume_unique=True)
    return rest.astype(np.int64), chosen


def split_named(word: str) -> str | None:
    """Return "train", "test" or "validation" for a word that people use for the split, else None."""
    return next((split for split, words in WORDS.items() if word.lower() in words), None)


def _check(count: int, validation: int, seed: int) -> None:
    if not 0 <= validation < count:
        raise DataError(
            f"validation: {validation} is not from 0 to {count - 1}; there are {count} training images."
        )
    if seed < 0:
        raise DataError(f"split seed: {seed} is negative. Give 0 or more.")
