"""The shape of one example that a network takes, found by asking the network."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from featherweight.devices import cuda_devices
from featherweight.user_code import quietly

Shape = tuple[int, ...]
GREY = (1, 28, 28)
SIDES = (28, 32, 64, 224)       # pixels, tried in turn


def input_shapes(model: nn.Module) -> tuple[Shape, ...]:
    """Return the shape of one example for each input, without the batch axis.

    The network's own word (an attribute input_shapes), else the first usual image shape on which it runs: that of its
    first layer's channels, at 28 or 32 pixels a side. (1, 28, 28) for a network that runs on none of them.
    """
    own = getattr(model, "input_shapes", None)
    if own is not None:
        return tuple(tuple(shape) for shape in own)
    usual = list(usual_shapes(model))
    return (next((shape for shape in usual if runs_on(model, shape)), usual[0]),)


def image_shape(model: nn.Module, channels: int | None, size: int | None) -> Shape | None:
    """Return (C, H, W) of square grey or colour images on which a network of one input runs, None without one.

    channels and size are kept where they are given. A network that takes only flat images runs on their values.
    """
    for shape in (GREY, *usual_shapes(model)):
        fits = len(shape) == 3 and shape[0] in (1, 3) and channels in (None, shape[0]) and size in (None, shape[1])
        if fits and (runs_on(model, shape) or runs_on(model, (math.prod(shape),))):
            return shape
    return None


def usual_shapes(model: nn.Module) -> Iterator[Shape]:
    """Yield the image shapes to try, the likeliest first."""
    first = first_layer(model)
    if isinstance(first, nn.Linear):
        yield from flat_shapes(first.in_features)
    channels = getattr(first, "in_channels", 1) or 1       # a lazy layer says 0
    sides = SIDES if channels == 1 else (32, 28, *SIDES[2:])
    yield from ((channels, side, side) for side in sides)


def flat_shapes(features: int) -> Iterator[Shape]:
    """Yield the images of this many values, and the values in a row: 784 -> (1, 28, 28), (784,)."""
    for channels in (1, 3):
        side = math.isqrt(features // channels)
        if channels * side * side == features and side > 1:
            yield (channels, side, side)
    yield (features,)


def first_layer(model: nn.Module) -> nn.Module | None:
    """Return the first convolution or linear layer in the order of definition, None without one."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
    return next((part for part in model.modules() if isinstance(part, kinds)), None)


@contextmanager
def trying() -> Iterator[None]:
    """Keep the random state, take no gradients, and drop what a network that is tried prints and warns of."""
    with torch.random.fork_rng(devices=cuda_devices()), torch.no_grad(), quietly():
        yield


def runs_on(model: nn.Module, shape: Shape) -> bool:
    """True if the network runs on two blank examples of this shape. Its weights, modes and random state stay."""
    try:
        with trying():
            twin = copy.deepcopy(model).eval()
            like = next(twin.parameters(), torch.empty(0))
            twin(torch.zeros(2, *shape, dtype=like.dtype, device=like.device))
    except Exception:       # the network's own code may raise anything
        return False
    return True
