"""Measure how much a network's output for an image depends on the other images in the batch. numpy only.

Causes are a softmax over dim=0, batch statistics in evaluation mode, or a mean over the batch. With such a network the
accuracy is valid for one order of the test images only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-3    # difference of a probability; float32 sums in another order differ by about 1e-6
FEW = 100           # number of images that is enough to show a dependence
SEED = 0
CAUSES = ("Look for softmax or log_softmax with dim=0, BatchNorm with track_running_stats=False, a mean over dim 0, "
          "or an if on values of the batch in its forward")

Answer = Callable[..., Sequence[Any]]   # (N, ...) inputs -> probabilities (N, classes) of each head


def changed_by_neighbours(answer: Answer, *inputs: Any) -> float:
    """Return the largest change of a probability when the images are run one by one, or in another order.

    answer: function that runs the network; answer(*inputs) returns one array or CPU tensor (N, classes) per head.
    inputs: (N, ...) arrays or tensors, the images first.
    A value above TOLERANCE means that the network depends on the batch.
    Example: 0.0 for `lambda x: [x / x.sum(1, keepdims=True)]`.
    """
    count = len(inputs[0])
    together = asked(answer, inputs, [list(range(count))])
    order = np.random.default_rng(SEED).permutation(count).tolist()
    shuffled = asked(answer, inputs, [order[: count // 3], order[count // 3 :]])
    alone = asked(answer, inputs, [[place] for place in range(count)])
    return max(float(np.abs(other - head).max())
               for others in (shuffled, alone) for other, head in zip(others, together, strict=True))


def asked(answer: Answer, inputs: Sequence[Any], batches: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
    """Return the outputs for all images, one array per head, in the order of the images.

    batches: lists of image indices; the network is run on one list at a time.
    """
    batches = [batch for batch in batches if batch]
    parts = [[np.asarray(head) for head in answer(*(value[batch] for value in inputs))] for batch in batches]
    back = np.argsort(np.concatenate(batches))
    return [np.concatenate(heads)[back] for heads in zip(*parts, strict=True)]
