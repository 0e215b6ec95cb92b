"""Random networks against torch in float64.

FEATHERWEIGHT_NETWORKS is the number of random networks, 12 by default: each takes seconds of the C compiler.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from math import gcd

import pytest
import torch
import torch.nn.functional as F
from beside_torch import check
from torch import Tensor, nn

from featherweight.models.layers import GainlessNorm

NETWORKS = int(os.environ.get("FEATHERWEIGHT_NETWORKS", "12"))
Made = Callable[[nn.ModuleList, dict[int, Tensor]], Tensor]     # (layers, maps) -> map


class RandomNetwork(nn.Module):
    """Random operations, each on one or two earlier maps. Its outputs come from the last map of each size."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance, self.parts, self.steps = random.Random(seed), nn.ModuleList(), list[Made]()
        self.read = set[int]()
        draw = self.chance
        self.input_shapes = [(draw.randint(1, 3), draw.randint(5, 40), draw.randint(5, 40))]
        if draw.random() < 0.2:
            self.input_shapes.append((draw.randint(1, 10),))
        self.shapes: list[tuple[int, int, int]] = [(*shape, 1, 1)[:3] for shape in self.input_shapes]
        for _ in range(draw.randint(1, 8)):
            self.grow()
        self.finish()

    def forward(self, *inputs: Tensor) -> Tensor:
        maps = {index: one.view(*one.shape, *[1] * (4 - one.dim())) for index, one in enumerate(inputs)}
        for step in self.steps:
            maps[len(maps)] = step(self.parts, maps)
        return maps[len(maps) - 1]

    # --- growth

    def grow(self) -> None:
        """Add an operation on a random map, most often the last one."""
        draw = self.chance
        at = len(self.shapes) - 1 if draw.random() < 0.7 else draw.randrange(len(self.shapes))
        kinds = [self.convolve] * 6 + [self.normalise, self.rectify, self.pool, self.pad, self.crop, self.join,
                                       self.concatenate, self.log_softmax, self.pool_adaptively]
        draw.choice(kinds)(at)

    def add(self, shape: tuple[int, ...], step: Made, *sources: int) -> None:
        self.read.update(sources)
        self.shapes.append((shape[0], shape[1], shape[2]))
        self.steps.append(step)

    def layer(self, at: int, module: nn.Module) -> None:
        """Add a layer on a map. Its result's shape is that of a run."""
        number = len(self.parts)
        self.parts.append(module)
        with torch.no_grad():
            shape = module(torch.zeros(2, *self.shapes[at])).shape[1:]
        self.add(shape, lambda parts, maps: parts[number](maps[at]), at)

    def convolve(self, at: int) -> None:
        draw, (channels, height, width) = self.chance, self.shapes[at]
        padding = draw.randint(0, 2), draw.randint(0, 2)
        kernel = (draw.randint(1, min(5, height + 2 * padding[0])), draw.randint(1, min(5, width + 2 * padding[1])))
        filters = draw.choice([draw.randint(1, 70), draw.randint(1, 12), channels])
        groups = draw.choice([1, 1, gcd(channels, filters)])
        self.layer(at, nn.Conv2d(channels, filters, kernel, draw.choice([1, 1, 2, 3]), padding, groups=groups,
                                 bias=draw.random() < 0.5))
        for _ in range(draw.randint(0, 2)):
            draw.choice([self.normalise, self.rectify])(len(self.shapes) - 1)

    def normalise(self, at: int) -> None:
        channels = self.shapes[at][0]
        self.layer(at, self.chance.choice([
            nn.BatchNorm2d(channels), nn.BatchNorm2d(channels, affine=False), GainlessNorm(channels)]))

    def rectify(self, at: int) -> None:
        self.layer(at, nn.ReLU())

    def pool(self, at: int) -> None:
        _, height, width = self.shapes[at]
        window = self.chance.randint(1, min(3, height)), self.chance.randint(1, min(3, width))
        self.layer(at, self.chance.choice([nn.MaxPool2d, nn.AvgPool2d])(window))

    def pool_adaptively(self, at: int) -> None:
        _, height, width = self.shapes[at]
        size = (height // (2 - height % 2), width // (3 if width % 3 == 0 else 1))
        self.layer(at, self.chance.choice([nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d])(size))

    def pad(self, at: int) -> None:
        self.layer(at, nn.ZeroPad2d(tuple(self.chance.randint(0, 2) for _ in range(4))))

    def crop(self, at: int) -> None:
        channels, height, width = self.shapes[at]
        if height > 1 and width > 1:
            self.add((channels, height - 1, width - 1), lambda _, maps: maps[at][:, :, 1:, :-1], at)

    def join(self, at: int) -> None:
        """Add a map, cropped at its end, to one with as many channels."""
        channels, height, width = self.shapes[at]
        others = [index for index, shape in enumerate(self.shapes) if shape[0] == channels]
        other = self.chance.choice(others)
        rows, columns = min(height, self.shapes[other][1]), min(width, self.shapes[other][2])
        self.add((channels, rows, columns),
                 lambda _, maps: maps[at][:, :, :rows, :columns] + maps[other][:, :, -rows:, -columns:], at, other)

    def concatenate(self, at: int) -> None:
        _, height, width = self.shapes[at]
        others = [index for index, shape in enumerate(self.shapes) if shape[1:] == (height, width)]
        chosen = [at, *self.chance.choices(others, k=self.chance.randint(1, 2))]
        self.add((sum(self.shapes[one][0] for one in chosen), height, width),
                 lambda _, maps: torch.cat([maps[one] for one in chosen], 1), *chosen)

    def log_softmax(self, at: int) -> None:
        self.add(self.shapes[at], lambda _, maps: F.log_softmax(maps[at], 1), at)

    def finish(self) -> None:
        """Add ten outputs: from the last map, flattened or its mean, and the means of all maps that nothing reads."""
        last, mean = len(self.shapes) - 1, self.chance.random() < 0.5
        others = [index for index in range(last) if index not in self.read]
        self.parts.append(nn.LazyLinear(10))

        def outputs(parts: nn.ModuleList, maps: dict[int, Tensor]) -> Tensor:
            own = maps[last].mean((2, 3)) if mean else maps[last].flatten(1)
            return parts[-1](own) if not others else parts[-1](torch.cat(
                [maps[last].mean((2, 3)), *(maps[one].mean((2, 3)) for one in others)], 1))

        self.steps.append(outputs)
        self(*(torch.zeros(2, *shape) for shape in self.input_shapes))


@pytest.mark.parametrize("seed", range(NETWORKS))
def test_random_networks_have_the_gradients_of_torch(seed: int) -> None:
    torch.manual_seed(seed)
    model = RandomNetwork(seed)
    check(model, model.input_shapes, 2 + seed * 37 % 60, threads=1 + seed % 2)
