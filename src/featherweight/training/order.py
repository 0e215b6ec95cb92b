"""The images of an epoch and their order, used by the training loop."""

from __future__ import annotations

import torch
from torch import Tensor


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """Return all images in random order, int64 (count,). Depends on seed and epoch only, so resuming repeats it."""
    return torch.randperm(count, generator=_generator(seed, epoch))


def selected_order(losses: Tensor, count: int, seed: int, epoch: int) -> Tensor:
    """Return int64 (count,): half are the images with the highest losses (N,), half a random draw from the others.

    Both halves are shuffled together. The random half keeps easy images in the batch statistics. It also renews losses
    that are out of date.
    Source: Jiang et al. (2019), Accelerating Deep Learning by Focusing on the Biggest Losers.
    """
    generator = _generator(seed, epoch)
    hardest = losses.topk((count + 1) // 2).indices
    is_other = torch.ones(len(losses), dtype=torch.bool).index_fill(0, hardest, False)
    others = is_other.nonzero().flatten()
    drawn = others[torch.randperm(len(others), generator=generator)[: count // 2]]
    return torch.cat([hardest, drawn])[torch.randperm(count, generator=generator)]


def balanced_order(labels: Tensor, seed: int, epoch: int) -> Tensor:
    """Return as many images as there are labels (N,), int64 (N,), in random order: each class equally often.

    Images of a rare class are repeated, each about equally often. Of a frequent class, each epoch draws other images.
    The classes differ by at most one image. Depends on labels, seed and epoch only, so resuming repeats it.
    """
    generator = _generator(seed, epoch)
    members = [(labels == label).nonzero().flatten() for label in torch.unique(labels)]
    each, rest = divmod(len(labels), len(members))
    more = set(torch.randperm(len(members), generator=generator)[:rest].tolist())
    drawn = [repeated(images, each + (place in more), generator) for place, images in enumerate(members)]
    return torch.cat(drawn)[torch.randperm(len(labels), generator=generator)]


def repeated(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return `count` of these images: all of them as often as they fit, and a random draw of the others."""
    whole, rest = divmod(count, len(images))
    return torch.cat([images.repeat(whole), images[torch.randperm(len(images), generator=generator)[:rest]]])


def _generator(seed: int, epoch: int) -> torch.Generator:
    """Return the generator of an epoch. It is on the CPU, so the order is the same for all devices."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
