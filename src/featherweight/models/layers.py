"""The block that all feather networks share."""

from __future__ import annotations

from torch import nn


def separable(in_channels: int, out_channels: int, dropout: float = 0.0) -> list[nn.Module]:
    """A 3x3 convolution for about a ninth of its parameters: 3x3 in each channel, then 1x1 across channels.

    (N, in, H, W) -> (N, out, H - 2, W - 2). Nothing stands between the two: a normalisation there costs two parameters
    a channel and gained nothing. Source: Howard et al. (2017), MobileNets; docs/experiments.md.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, in_channels, 3, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    ]
    return [*layers, nn.Dropout(dropout)] if dropout else layers
