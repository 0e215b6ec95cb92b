"""From stored pixels to a network's outputs: scale, normalise, run, one tensor per head.

Training, evaluation, teachers, prediction and export all use these functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from featherweight.augment import normalise
from featherweight.devices import layout_for
from featherweight.tasks import run_network


def scaled(pixels: Tensor) -> Tensor:
    """Return pixels 0..255 as new float32 values in [0, 1], same shape."""
    return pixels.float() / 255


def as_input(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return pixels (N, C, H, W) 0..255 scaled and normalised, float32, as the network's input. mean, std: (C,)."""
    return normalise(scaled(pixels), mean, std)


def outputs_for(model: nn.Module, normalised: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the outputs (N, classes) of each head for normalised images and the task's further inputs.

    Images are put into the memory layout of their device first. Raises what tasks.run_network raises.
    """
    return run_network(model, normalised.contiguous(memory_format=layout_for(normalised.device)), *inputs)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for the block. Afterwards each module has its own mode again."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
