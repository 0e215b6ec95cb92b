"""The input shape of a network, found by running the network on blank images."""

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
SIDES = (28, 32, 64, 224)       # pixels, tried in this order


def input_shapes(model: nn.Module) -> tuple[Shape, ...]:
    """Return the shape of one example for each input, without the batch axis.

    The attribute `input_shapes` of the network, if it has one. Else the first of usual_shapes on which the network
    runs. Else the first of usual_shapes.
    """
    own = getattr(model, "input_shapes", None)
    if own is not None:
        return tuple(tuple(shape) for shape in own)
    usual = list(usual_shapes(model))
    return (next((shape for shape in usual if runs_on(model, shape)), usual[0]),)


def image_shape(model: nn.Module, channels: int | None, size: int | None) -> Shape | None:
    """Return the shape (C, H, W) of square grey or colour images on which a network with one input runs, or None.

    channels, size: fixed values, or None for any. A network for flattened images is tried with C * H * W values.
    """
    for shape in (GREY, *usual_shapes(model)):
        fits = len(shape) == 3 and shape[0] in (1, 3) and channels in (None, shape[0]) and size in (None, shape[1])
        if fits and (runs_on(model, shape) or runs_on(model, (math.prod(shape),))):
            return shape
    return None


def usual_shapes(model: nn.Module) -> Iterator[Shape]:
    """Yield the image shapes to try, the most likely first.

    The channels are those of the first layer. A first linear layer gives the shapes of flat_shapes.
    """
    first = first_layer(model)
    if isinstance(first, nn.Linear):
        yield from flat_shapes(first.in_features)
    channels = getattr(first, "in_channels", 1) or 1       # a lazy layer has 0
    sides = SIDES if channels == 1 else (32, 28, *SIDES[2:])
    yield from ((channels, side, side) for side in sides)


def flat_shapes(features: int) -> Iterator[Shape]:
    """Yield the shapes of square images with `features` values, and the flat shape: 784 -> (1, 28, 28), (784,)."""
    for channels in (1, 3):
        side = math.isqrt(features // channels)
        if channels * side * side == features and side > 1:
            yield (channels, side, side)
    yield (features,)


def first_layer(model: nn.Module) -> nn.Module | None:
    """Return the first convolution or linear layer in the order of definition, or None."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
    return next((part for part in model.modules() if isinstance(part, kinds)), None)


@contextmanager
def trying() -> Iterator[None]:
    """Preserve the random state, disable gradients, and hide prints and warnings inside the block."""
    with torch.random.fork_rng(devices=cuda_devices()), torch.no_grad(), quietly():
        yield


def runs_on(model: nn.Module, shape: Shape) -> bool:
    """True if the network runs on two blank examples of this shape.

    The network's weights and modes, and the random state, do not change.
    """
    try:
        with trying():
            twin = copy.deepcopy(model).eval()
            like = next(twin.parameters(), torch.empty(0))
            twin(torch.zeros(2, *shape, dtype=like.dtype, device=like.device))
    except Exception:       # the network's code may raise any exception
        return False
    return True
