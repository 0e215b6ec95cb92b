"""What feather networks are built from: the block that all share, and two savings for the smallest."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def separable(
    in_channels: int, out_channels: int, dropout: float = 0.0, norm: type[nn.BatchNorm2d] = nn.BatchNorm2d
) -> list[nn.Module]:
    """A 3x3 convolution for about a ninth of its parameters: 3x3 in each channel, then 1x1 across channels.

    (N, in, H, W) -> (N, out, H - 2, W - 2). Nothing stands between the two: a normalisation there costs two parameters
    a channel and gained nothing. Source: Howard et al. (2017), MobileNets; docs/experiments.md.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, in_channels, 3, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        norm(out_channels),
        nn.ReLU(),
    ]
    return [*layers, nn.Dropout(dropout)] if dropout else layers


class GainlessNorm(nn.BatchNorm2d):
    """Batch normalisation that learns a shift and no gain: one parameter a channel, (N, C, H, W) -> the same.

    A positive gain passes through ReLU, and the convolution behind it has a weight that can do the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        del self.weight
        self.register_buffer("weight", torch.ones(channels))


class RootMeanSquare(nn.Module):
    """(N, C, H, W) -> (N, C, 1, 1): the root of the mean square over all places.

    Mean pooling asks how much there is on average; this weighs strong answers more. Where a channel is dark everywhere
    the root alone has a gradient of NaN; what is added under it keeps it finite. Source: Boureau et al. (2010), "A
    theoretical analysis of feature pooling"; Gulcehre et al. (2014), "Learned-norm pooling".
    """

    ADDED = 1e-6

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))    # squares of bf16 would keep two digits
        mean = (wide**2).mean(dim=(2, 3), keepdim=True)             # (N, C, 1, 1)
        return (mean + self.ADDED).sqrt().to(x.dtype)
