"""Lazy layers such as nn.LazyLinear, whose sizes follow from the first input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from featherweight.errors import ModelError
from featherweight.outside import shortened


def fill_lazy(model: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Initialise lazy layers with one forward pass in evaluation mode. Does nothing without lazy layers.

    inputs: one batch per input of the network, on its device. The weights are drawn from torch's random state.
    Raises ModelError if the forward pass fails or a layer is still lazy after it.
    """
    if not lazy_names(model):
        return
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad():
            model.eval()(*inputs)
    except Exception as fault:  # a user's network may raise any exception
        shapes = ", ".join(str(tuple(one.shape)) for one in inputs)
        reason = shortened(f"{type(fault).__name__}: {fault}")
        raise ModelError(f"the sizes of lazy layers cannot be found with inputs {shapes}: {reason}") from fault
    finally:
        for module, training in modes:
            module.training = training
    if left := lazy_names(model):
        raise ModelError(f"{left[0]!r} is lazy, and forward never gives it an input. Remove it, or give its sizes.")


def lazy_names(model: nn.Module) -> list[str]:
    """Return the names of parameters and buffers that have no sizes yet."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return [name for name, value in named if is_lazy(value)]
