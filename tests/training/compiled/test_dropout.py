"""Dropout of compiled networks: the part that is kept, its independence, and the gradient where it drops.

The networks copy their input before dropout and after it, so that the outputs show the masks.
"""

from __future__ import annotations

import pytest
import torch
from beside_torch import compiled
from torch import Tensor, nn

from featherweight.training.compiled.network import CompiledNetwork

SHAPE = (3, 5, 40)      # wider than the 32 bits of a word
COUNT = 100


class Masked(nn.Module):
    """Copies of the input after one dropout, and after another, each as a flat output."""

    def __init__(self, shape: tuple[int, int, int] = SHAPE, p: float = 0.3, *, pool: int = 1) -> None:
        super().__init__()
        self.copies = nn.ModuleList(identity(shape[0], shape[0]) for _ in range(2))
        self.drops = nn.ModuleList(nn.Dropout(p) for _ in range(2))
        self.pool = nn.MaxPool2d(pool)
        c, h, w = shape[0], shape[1] // pool, shape[2] // pool
        self.outputs = nn.ModuleList(full(c, h, w) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(output(drop(self.pool(copy(x)))).flatten(1)
                     for copy, drop, output in zip(self.copies, self.drops, self.outputs, strict=True))


def identity(inputs: int, outputs: int) -> nn.Conv2d:
    """A convolution that copies each channel."""
    made = nn.Conv2d(inputs, outputs, 1, bias=False)
    nn.init.dirac_(made.weight)
    return made


def full(c: int, h: int, w: int) -> nn.Conv2d:
    """A convolution with one output for each value of the map: the value itself."""
    made = nn.Conv2d(c, c * h * w, (h, w), bias=False)
    made.weight.data = torch.eye(c * h * w).view(c * h * w, c, h, w)
    return made


def network(p: float = 0.3, threads: int = 1) -> tuple[CompiledNetwork, Tensor]:
    images = torch.ones(COUNT, *SHAPE)
    return compiled(Masked(p=p), [images], threads), images


def masks(p: float = 0.3, key: int = 1, threads: int = 1) -> list[Tensor]:
    """What the two dropouts make of ones: (N, C, H, W) each."""
    made, images = network(p, threads)
    return [head.view(COUNT, *SHAPE) for head in made.forward([images], key=key)]


def correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


@pytest.mark.parametrize("p", [0.02, 0.1, 0.5, 0.9])
def test_the_kept_part_is_scaled_and_as_large_as_asked(p: float) -> None:
    for mask in masks(p):
        kept = (mask != 0).float()
        scale = 1 / (1 - round(p * 65536) / 65536)
        assert torch.allclose(mask[mask != 0], torch.tensor(scale))
        for axes in ((), (0, 2, 3), (1, 2, 3), (0, 1, 2)):          # all, each channel, image and column
            part = kept.mean(axes) if axes else kept.mean()
            deviation = (p * (1 - p) / (kept.numel() / part.numel())) ** 0.5
            assert ((part - (1 - p)).abs() < 5 * deviation).all()


def test_a_key_repeats_its_masks_and_another_key_differs() -> None:
    first, again, other = masks(key=7), masks(key=7), masks(key=8)
    assert all(one.equal(two) for one, two in zip(first, again, strict=True))
    assert all(abs(correlation(one, two)) < 0.02 for one, two in zip(first, other, strict=True))


def test_threads_do_not_change_the_masks() -> None:
    assert all(one.equal(two) for one, two in zip(masks(threads=1), masks(threads=2), strict=True))


def test_layers_images_channels_and_places_are_independent() -> None:
    first, second = masks()
    assert abs(correlation(first, second)) < 0.02
    for axis in range(4):
        for apart in (1, 2, 16, 32):
            size = first.shape[axis]
            if apart < size:
                pair = first.narrow(axis, 0, size - apart), first.narrow(axis, apart, size - apart)
                assert abs(correlation(*pair)) < 5 / pair[0].numel() ** 0.5, (axis, apart)


@pytest.mark.parametrize("pool", [1, 2])
def test_the_gradient_is_that_of_torch_with_the_same_mask(pool: int) -> None:
    shape = (3, 6, 80) if pool == 2 else SHAPE
    model, images = Masked(shape, pool=pool), torch.randn(40, *shape)
    made = compiled(model, [images])
    heads = [head.requires_grad_() for head in made.forward([images], key=3)]
    weights = [torch.randn_like(head) for head in heads]
    made.backward(weights)
    for index, (head, weight) in enumerate(zip(heads, weights, strict=True)):
        copy = identity(shape[0], shape[0])
        value = model.pool(copy(images)).flatten(1)
        mask = torch.where(head == 0, 0.0, head / value).detach()
        (value * mask * weight).sum().backward()
        assert torch.allclose(model.copies[index].weight.grad, copy.weight.grad, rtol=1e-4, atol=1e-3)
