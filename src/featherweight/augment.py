"""Random changes of a batch of images on its own device, different for every image.

Pure functions: (images, random numbers) -> images. All geometric changes of an image form one affine map and one field
of displacements. So an image is resampled only once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

GRID = 5    # points per side of the coarse displacement grid: 7 pixels apart in 28 x 28 images


@dataclass(frozen=True)
class Augmentation:
    """Limits of the random changes; 0 is off. Angles are in degrees, shift is a part of the image size."""

    rotation: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    crop: int = 0                   # pixels kept by the centre crop before it is resized back
    crop_probability: float = 0.0
    elastic: float = 0.0            # largest displacement in pixels of the points of a coarse grid
    erasing: float = 0.0            # probability of blanking a rectangle
    fade: float = 0.0               # last part of a training, in which all changes shrink to 0

    def left(self, done: float) -> float:
        """Return the strength of the changes, from 1 down to 0. done: finished part of the training, 0 to below 1."""
        return 1.0 if done <= 1 - self.fade else (1 - done) / self.fade

    @property
    def moves(self) -> bool:
        """True if any change is geometric."""
        affine = self.rotation, self.shift, self.scale, self.shear, self.crop and self.crop_probability
        return any(affine) or self.elastic > 0

    @property
    def numbers(self) -> int:
        """Number of random numbers per image."""
        return 6 * self.moves + 2 * GRID * GRID * (self.elastic > 0) + 5 * (self.erasing > 0)

    def __call__(self, images: Tensor, *generators: torch.Generator, left: float | Tensor = 1.0) -> Tensor:
        """Return the images with random changes, same shape. images: float (N, C, H, W), black is 0.

        left: strength of all changes, 0..1. With several generators, each draws for an equal part of the images, in
        order.
        """
        return self.apply(images, self.draw(len(images) // len(generators), *generators), left)

    def draw(self, count: int, *generators: torch.Generator) -> Tensor:
        """Return the random numbers for `count` images: (numbers, count) in [-1, 1], on the generator's device.

        With several generators, the draws of each generator are side by side: (numbers, generators x count).
        """
        draws = [torch.rand(self.numbers, count, generator=one, device=one.device) for one in generators]
        return torch.cat(draws, dim=1) * 2 - 1

    def apply(self, images: Tensor, numbers: Tensor, left: float | Tensor = 1.0) -> Tensor:
        """Change images (N, C, H, W) by random numbers (numbers, N). left may be a scalar tensor, for CUDA graphs."""
        bends, erases = 2 * GRID * GRID * (self.elastic > 0), 5 * (self.erasing > 0)
        affine, bend, hole = torch.split(numbers, [6 * self.moves, bends, erases])
        if self.moves:
            field = bend_field(images, self.elastic, bend * left) if self.elastic else None
            images = resample(images, self.affine(images, affine, left), field)
        return erase(images, self.erasing * left, hole) if self.erasing else images

    def affine(self, images: Tensor, numbers: Tensor, left: float | Tensor = 1.0) -> Tensor:
        """Return (N, 2, 3): maps from output pixel to input position, in [-1, 1] coordinates. numbers: (6, N)."""
        smaller = numbers * left
        angle = smaller[0] * math.radians(self.rotation)
        shear = (smaller[1] * math.radians(self.shear)).tan()
        zoom = 1 + smaller[2] * self.scale
        if self.crop:
            cropped = numbers[3] < 2 * self.crop_probability * left - 1
            zoom = torch.where(cropped, zoom * images.shape[-1] / self.crop, zoom)
        cos, sin = angle.cos() / zoom, angle.sin() / zoom                   # reading from closer positions zooms in
        shift = smaller[4:6] * 2 * self.shift                               # the axis has length 2
        rows = [cos, cos * shear - sin, shift[0], sin, sin * shear + cos, shift[1]]
        return torch.stack(rows, dim=1).view(-1, 2, 3)


def bend_field(images: Tensor, pixels: float, numbers: Tensor) -> Tensor:
    """Return the displacement of each pixel in [-1, 1] coordinates, (N, H, W, 2). At grid points up to `pixels` pixels.

    numbers: (2 GRID GRID, N) in [-1, 1]. Between the grid's points the field is bicubic.
    Source: Ronneberger et al. (2015), U-Net, section 3.1.
    """
    height, width = images.shape[-2:]
    points = numbers.T.reshape(-1, 2, GRID, GRID)
    across = points @ bicubic(width, images).T                             # (N, 2, GRID, W)
    field = bicubic(height, images) @ across                               # (N, 2, H, W)
    return torch.stack([field[:, 0] * (2 * pixels / width), field[:, 1] * (2 * pixels / height)], dim=3)


def resample(images: Tensor, affine: Tensor, bend: Tensor | None = None) -> Tensor:
    """Resample images (N, C, H, W) bilinearly by affine maps (N, 2, 3) and displacements (N, H, W, 2).

    Pixels from outside the image are black.
    """
    grid = affine_grid(images, affine)                                      # (N, H, W, 2)
    grid = grid if bend is None else grid + bend
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def affine_grid(images: Tensor, affine: Tensor) -> Tensor:
    """Return F.affine_grid of (N, 2, 3), shape (N, H, W, 2). Faster: adds the parts of columns and rows in one pass."""
    height, width = images.shape[-2:]
    across, down = (((2 * torch.arange(n, device=images.device) + 1) / n - 1).unsqueeze(1) for n in (width, height))
    x, y, shift = affine[:, None, None].unbind(dim=4)                       # (N, 1, 1, 2)
    return (x * across + shift) + (y * down).transpose(1, 2)                # (N, 1, W, 2) + (N, H, 1, 2)


def erase(images: Tensor, probability: float | Tensor, numbers: Tensor) -> Tensor:
    """Set a rectangle of 2 % to 20 % of the area to 0, with this probability per image. numbers: (5, N) in [-1, 1].

    Source: Zhong et al. (2020), Random Erasing Data Augmentation; their areas of up to 40 % would hide whole digits.
    """
    height, width = images.shape[-2:]
    uniform = (numbers + 1) / 2
    area, aspect = 0.02 + 0.18 * uniform[0], 0.3 * (3.3 / 0.3) ** uniform[1]
    tall, wide = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    top, left = uniform[2] * (1 - tall), uniform[3] * (1 - wide)
    rows = _between(height, top, top + tall, images).unsqueeze(2)           # (N, H, 1)
    columns = _between(width, left, left + wide, images).unsqueeze(1)       # (N, 1, W)
    hit = (uniform[4] < probability).view(-1, 1, 1)
    return images.masked_fill((rows & columns & hit).unsqueeze(1), 0.0)


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return images (N, C, H, W) in [0, 1] with mean (C,) subtracted, divided by std (C,)."""
    return (images - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)


def bicubic(size: int, like: Tensor) -> Tensor:
    """Return bicubic weights (size, GRID) of grid points for pixels.

    Two matrix products with them take a sixth of the time of F.interpolate.
    """
    unit = torch.eye(GRID, device=like.device)[None, None]
    return F.interpolate(unit, (size, GRID), mode="bicubic", align_corners=True)[0, 0]


def _between(size: int, low: Tensor, high: Tensor, images: Tensor) -> Tensor:
    """Return a mask (N, size): True for pixel centres between the two fractions of the axis."""
    centres = (torch.arange(size, device=images.device) + 0.5) / size
    return (centres >= low.unsqueeze(1)) & (centres < high.unsqueeze(1))
