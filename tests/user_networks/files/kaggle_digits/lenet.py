from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

writer = SummaryWriter("runs/lenet")


@dataclass
class Config:
    widths: tuple[int, int] = (6, 16)
    hidden: list[int] = field(default_factory=lambda: [30, 20])
    classes: int = 10


class LeNet5(nn.Module):
    """LeNet with tanh and average pooling, as in the paper."""

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config or Config()
        a, b = self.config.widths
        self.c1 = nn.Conv2d(1, a, 5, padding=2)
        self.s2 = nn.AvgPool2d(2)
        self.c3 = nn.Conv2d(a, b, 5)
        self.s4 = nn.AvgPool2d(2)
        sizes = [b * 5 * 5, *self.config.hidden]
        self.f = nn.ModuleList([nn.Linear(i, o) for i, o in zip(sizes, sizes[1:])])
        self.out = nn.Linear(sizes[-1], self.config.classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.s2(torch.tanh(self.c1(x)))
        x = self.s4(torch.tanh(self.c3(x)))
        x = torch.flatten(x, 1)
        for layer in self.f:
            x = torch.tanh(layer(x))
        return self.out(x)
