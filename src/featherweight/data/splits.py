"""Which example goes where: seeded, exact to repeat, and pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import DataError

Indices = NDArray[np.int64]


def validation_split(count: int, validation: int, seed: int) -> tuple[Indices, Indices]:
    """0..count-1 -> (kept for training, held out for validation), both in ascending order.

    The held-out ones are the first of a permutation, so that a larger validation set contains a
    smaller one of the same seed. Raises DataError unless 0 <= validation < count.
    """
    _check(count, validation, seed)
    order = np.random.default_rng(seed).permutation(count).astype(np.int64)
    return np.sort(order[validation:]), np.sort(order[:validation])


def unseen_writers_split(writers: NDArray[np.int64], validation: int, seed: int) -> tuple[Indices, Indices]:
    """The writer of each image -> (kept for training, held out), ascending: no writer is on both sides.

    Writers are drawn by seed, as many as have at most this many validation images together. Raises DataError where the
    first has more, and as validation_split does.
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
    """Indices of labels -> (training, test), both ascending; each class gives its share to test.

    Shares are rounded by largest remainder so that they add up to test, then raised to one for a class
    that would give none.
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


def _check(count: int, validation: int, seed: int) -> None:
    if not 0 <= validation < count:
        raise DataError(
            f"validation: {validation} is not from 0 to {count - 1}; there are {count} training images."
        )
    if seed < 0:
        raise DataError(f"split seed: {seed} is negative. Give 0 or more.")
