"""Notes about a finished training that its numbers do not show. result.json stores them under "notes"."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

SETTLED = 0.05      # largest part of the initial values that may remain in running statistics


def batch_norm_note(model: nn.Module) -> str | None:
    """Return a sentence if running statistics of batch normalisation still depend on their initial values, else None.

    Each layer counts its own batches. A layer with momentum None averages over all batches, so it needs no note.
    """
    unsettled = [
        ((1 - layer.momentum) ** batches, batches)
        for layer in model.modules()
        if isinstance(layer, _BatchNorm) and layer.num_batches_tracked is not None and layer.momentum is not None
        and (batches := int(layer.num_batches_tracked)) > 0     # layers that were trained
    ]
    left, batches = max(unsettled, default=(0.0, 0))
    if left <= SETTLED:
        return None
    steps = "1 step" if batches == 1 else f"{batches} steps"
    return (
        f"batch normalisation has seen {steps}: {100 * left:.0f} % of its running statistics are still their initial "
        "values, so test is lower than the network deserves. Train longer, or with smaller batches."
    )
