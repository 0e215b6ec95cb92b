"""The writers of MNIST's training images.

539 people wrote the training images, and 297 other people wrote the test images. If validation images are drawn one
by one, the training images include their writers. The writers of the test images do not appear in training.

Source: Yadav and Bottou (2019), Cold Case: The Lost MNIST Digits. The writers' numbers are from its QMNIST labels.
The licence of the numbers is in the same folder.
"""

from __future__ import annotations

import gzip
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

MNIST_WRITERS = "mnist-writers.gz"      # two bytes per image, big-endian


def mnist_writers() -> NDArray[np.int64]:
    """Return the writer's number of each training image, int64 (60000,), in the order of the published file."""
    packed = files("featherweight.data").joinpath(MNIST_WRITERS).read_bytes()
    return np.frombuffer(gzip.decompress(packed), ">u2").astype(np.int64)
