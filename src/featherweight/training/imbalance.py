"""Classes with unequal numbers of training images: the weights that even them out, and the note about them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from featherweight.statistics import UNEVEN

BALANCED = ("class-weights", "balanced-sampling")


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return a weight for each class, float32 (classes,): N / (K n) for a class with n of the N images.

    K is the number of classes with images. The mean weight of an image is 1. A class without images gets 0.
    Source: King and Zeng (2001), Logistic Regression in Rare Events Data; scikit-learn's class_weight="balanced".
    """
    counts = torch.bincount(labels, minlength=classes).double()
    weights = len(labels) / (int((counts > 0).sum()) * counts)
    return weights.where(counts > 0, 0.0).float()


def imbalance_note(labels: Tensor, classes: Sequence[str], balance: str) -> list[str]:
    """Return a sentence if the largest class has at least UNEVEN times as many training images as the smallest.

    labels: int64 (N,). balance: value of training.balance.
    """
    counts = torch.bincount(labels.cpu(), minlength=len(classes)).tolist()
    low, high = min(counts), max(counts)
    if high < UNEVEN * low:
        return []
    rare, frequent = classes[counts.index(low)], classes[counts.index(high)]
    said = f"the classes are unbalanced: {low:,} training images of {rare}, {high:,} of {frequent}"
    if balance != "none":
        return [f"{said}; training.balance={balance} evens them out."]
    return [f"{said}. training.balance={' or '.join(BALANCED)} evens them out."]
