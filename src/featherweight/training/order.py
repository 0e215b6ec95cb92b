"""Which images an epoch takes, and in which order."""

from __future__ import annotations

import torch
from torch import Tensor


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """All images of an epoch, from seed and epoch alone, so that a resume finds the order again."""
    return torch.randperm(count, generator=_generator(seed, epoch))


def selected_order(losses: Tensor, count: int, seed: int, epoch: int) -> Tensor:
    """int64 (count,): half of them the images with the highest of (N,) losses, half drawn from the others, mixed.

    The drawn half keeps what is easy in the batch statistics, and lets an image's old loss be found out as wrong.
    Source: Jiang et al. (2019), Accelerating Deep Learning by Focusing on the Biggest Losers.
    """
    generator = _generator(seed, epoch)
    hardest = losses.topk((count + 1) // 2).indices
    is_other = torch.ones(len(losses), dtype=torch.bool).index_fill(0, hardest, False)
    others = is_other.nonzero().flatten()
    drawn = others[torch.randperm(len(others), generator=generator)[: count // 2]]
    return torch.cat([hardest, drawn])[torch.randperm(count, generator=generator)]


def _generator(seed: int, epoch: int) -> torch.Generator:
    """One an epoch, on the CPU, so that every device sees the same."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
