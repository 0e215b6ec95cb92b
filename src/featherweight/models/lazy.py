"""Layers such as nn.LazyLinear, whose sizes follow from the first input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from featherweight.errors import ModelError
from featherweight.outside import shortened


def fill_lazy(model: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Give lazy layers their sizes and weights with one forward pass in evaluation mode.

    inputs: one batch for each input of the network, on its device. The weights are drawn from torch's random state. A
    network without lazy layers is left alone. Raises ModelError where a layer stays without sizes.
    """
    if not lazy_names(model):
        return
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad():
            model.eval()(*inputs)
    except Exception as fault:  # a network of a user's own may raise anything
        shapes = ", ".join(str(tuple(one.shape)) for one in inputs)
        reason = shortened(f"{type(fault).__name__}: {fault}")
        raise ModelError(f"the sizes of lazy layers cannot be found with inputs {shapes}: {reason}") from fault
    finally:
        for module, training in modes:
            module.training = training
    if left := lazy_names(model):
        raise ModelError(f"{left[0]!r} is lazy, and forward never gives it an input. Remove it, or give its sizes.")


def lazy_names(model: nn.Module) -> list[str]:
    """The parameters and buffers that have no sizes yet."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return [name for name, value in named if is_lazy(value)]
