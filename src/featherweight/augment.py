"""Random changes of a whole batch on its own device; every image draws its own.

Pure functions: (images, generator) -> images. All geometry is one affine map an image, so that
an image is resampled once however many changes are asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """The largest random changes; 0 is off. Angles in degrees, shift as a part of the image's size."""

    rotation: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    crop: int = 0                   # pixels kept by the centre crop before it is resized back
    crop_probability: float = 0.0
    erasing: float = 0.0            # probability of blanking a rectangle

    @property
    def moves(self) -> bool:
        """Whether any change is geometric."""
        return any((self.rotation, self.shift, self.scale, self.shear, self.crop and self.crop_probability))

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(N, C, H, W) float images, black = 0 -> the same shape, changed."""
        if self.moves:
            images = apply_affine(images, self.draw_affine(images, generator))
        if self.erasing:
            images = erase(images, self.erasing, generator)
        return images

    def draw_affine(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(N, 2, 3): for each image where, in [-1, 1] coordinates, an output pixel is read from."""
        uniform = _uniform(images, 6, generator)                            # (6, N) in [-1, 1]
        angle = uniform[0] * math.radians(self.rotation)
        shear = (uniform[1] * math.radians(self.shear)).tan()
        zoom = 1 + uniform[2] * self.scale
        if self.crop:
            cropped = uniform[3] < 2 * self.crop_probability - 1
            zoom = torch.where(cropped, zoom * images.shape[-1] / self.crop, zoom)
        cos, sin = angle.cos() / zoom, angle.sin() / zoom                   # reading closer is zooming in
        shift = uniform[4:6] * 2 * self.shift                               # the axis is 2 long
        rows = [cos, cos * shear - sin, shift[0], sin, sin * shear + cos, shift[1]]
        return torch.stack(rows, dim=1).view(-1, 2, 3)


def apply_affine(images: Tensor, affine: Tensor) -> Tensor:
    """Resample (N, C, H, W) by (N, 2, 3), bilinear; what comes from outside is black."""
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)   # (N, H, W, 2)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def erase(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Blank, with this probability an image, a rectangle of 2 % to 20 % of the area.

    Source: Zhong et al. (2020), Random Erasing Data Augmentation; their area up to 40 % hides whole digits.
    """
    height, width = images.shape[-2:]
    uniform = (_uniform(images, 5, generator) + 1) / 2                      # (5, N) in [0, 1]
    area, aspect = 0.02 + 0.18 * uniform[0], 0.3 * (3.3 / 0.3) ** uniform[1]
    tall, wide = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    top, left = uniform[2] * (1 - tall), uniform[3] * (1 - wide)
    rows = _between(height, top, top + tall, images).unsqueeze(2)           # (N, H, 1)
    columns = _between(width, left, left + wide, images).unsqueeze(1)       # (N, 1, W)
    hit = (uniform[4] < probability).view(-1, 1, 1)
    return images.masked_fill((rows & columns & hit).unsqueeze(1), 0.0)


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(N, C, H, W) in [0, 1] -> zero mean and unit spread; mean and std are (C,)."""
    return (images - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)


def _uniform(images: Tensor, rows: int, generator: torch.Generator) -> Tensor:
    """(rows, N) numbers in [-1, 1]."""
    return torch.rand(rows, len(images), generator=generator, device=images.device) * 2 - 1


def _between(size: int, low: Tensor, high: Tensor, images: Tensor) -> Tensor:
    """(N, size): which pixel centres lie between the two fractions of the axis."""
    centres = (torch.arange(size, device=images.device) + 0.5) / size
    return (centres >= low.unsqueeze(1)) & (centres < high.unsqueeze(1))
