"""Blocks of the feather networks: a separable convolution, and two layers that only feather-1k uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def separable(
    in_channels: int, out_channels: int, dropout: float = 0.0, norm: type[nn.BatchNorm2d] = nn.BatchNorm2d
) -> list[nn.Module]:
    """Return the layers of a depthwise separable 3x3 convolution, with normalisation and ReLU.

    (N, in, H, W) -> (N, out, H - 2, W - 2), with about a ninth of the parameters of a plain 3x3 convolution.
    There is no normalisation between the two convolutions: it costs two parameters per channel and brought no gain.
    Source: Howard et al. (2017), MobileNets; docs/experiments.md.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, in_channels, 3, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        norm(out_channels),
        nn.ReLU(),
    ]
    return [*layers, nn.Dropout(dropout)] if dropout else layers


class GainlessNorm(nn.BatchNorm2d):
    """Batch normalisation with a trainable shift and a gain fixed at 1: one parameter per channel.

    (N, C, H, W) -> (N, C, H, W). The gain is redundant before ReLU: relu(gain * x) = gain * relu(x) for a positive
    gain, and the weights of the next convolution can absorb it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        del self.weight
        self.register_buffer("weight", torch.ones(channels))


class RootMeanSquare(nn.Module):
    """Global root-mean-square pooling: (N, C, H, W) -> (N, C, 1, 1).

    Compared with average pooling, large activations weigh more. ADDED under the root keeps the gradient finite: at 0
    the gradient of the root alone is NaN.
    Source: Boureau et al. (2010), "A theoretical analysis of feature pooling"; Gulcehre et al. (2014), "Learned-norm
    pooling".
    """

    ADDED = 1e-6

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))    # squares in bf16 have only two digits
        mean = (wide**2).mean(dim=(2, 3), keepdim=True)             # (N, C, 1, 1)
        return (mean + self.ADDED).sqrt().to(x.dtype)
