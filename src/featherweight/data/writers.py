"""Who wrote the training images of MNIST.

539 people wrote them and 297 others the test images: a validation split that is drawn image by image knows all of its
writers, test knows none. Source: Yadav and Bottou (2019), Cold Case: The Lost MNIST Digits; the numbers of the writers
are those of its QMNIST labels, whose licence lies beside them.
"""

from __future__ import annotations

import gzip
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

MNIST_WRITERS = "mnist-writers.gz"      # two bytes an image, the higher first


def mnist_writers() -> NDArray[np.int64]:
    """int64 (60000,), a number for each writer, in the order of the published training file."""
    packed = files("featherweight.data").joinpath(MNIST_WRITERS).read_bytes()
    return np.frombuffer(gzip.decompress(packed), ">u2").astype(np.int64)
