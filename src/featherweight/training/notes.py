"""Sentences about a training that its numbers do not tell; result.json holds them under "notes"."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

SETTLED = 0.05      # part of the running statistics that may still be their initial values


def batch_norm_note(model: nn.Module) -> str | None:
    """A sentence where running statistics of batch normalisation are still far from those of the data, or None.

    Each layer counts its own batches. Without a momentum a layer averages over all of them and is settled at once.
    """
    unsettled = [
        ((1 - layer.momentum) ** batches, batches)
        for layer in model.modules()
        if isinstance(layer, _BatchNorm) and layer.num_batches_tracked is not None and layer.momentum is not None
        and (batches := int(layer.num_batches_tracked)) > 0     # those that were trained at all
    ]
    left, batches = max(unsettled, default=(0.0, 0))
    if left <= SETTLED:
        return None
    steps = "1 step" if batches == 1 else f"{batches} steps"
    return (
        f"batch normalisation has seen {steps}: {100 * left:.0f} % of its running statistics are still their initial "
        "values, so test is lower than the network deserves. Train longer, or with smaller batches."
    )
