"""Random changes of a whole batch on its own device; every image draws its own.

Pure functions: (images, random numbers) -> images. All geometry is one affine map an image and one field that bends
it, so that an image is resampled once however many changes are asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

GRID = 5    # points a side of the coarse grid that bends an image: 7 pixels apart on 28


@dataclass(frozen=True)
class Augmentation:
    """The largest random changes; 0 is off. Angles in degrees, shift as a part of the image's size."""

    rotation: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    crop: int = 0                   # pixels kept by the centre crop before it is resized back
    crop_probability: float = 0.0
    elastic: float = 0.0            # pixels that the points of a coarse grid move, each its own way
    erasing: float = 0.0            # probability of blanking a rectangle
    fade: float = 0.0               # last part of a training, in which all of these go down to 0

    def left(self, done: float) -> float:
        """How much is left of it, of 1, when this part of a training is done, from 0 to below 1."""
        return 1.0 if done <= 1 - self.fade else (1 - done) / self.fade

    @property
    def moves(self) -> bool:
        """Whether any change is geometric."""
        affine = self.rotation, self.shift, self.scale, self.shear, self.crop and self.crop_probability
        return any(affine) or self.elastic > 0

    @property
    def numbers(self) -> int:
        """How many random numbers one image takes."""
        return 6 * self.moves + 2 * GRID * GRID * (self.elastic > 0) + 5 * (self.erasing > 0)

    def __call__(self, images: Tensor, *generators: torch.Generator, left: float | Tensor = 1.0) -> Tensor:
        """(N, C, H, W) float images, black = 0 -> the same shape, changed; left is how much is left of all changes.

        With several generators each is that of an equal part of the images, in their order.
        """
        return self.apply(images, self.draw(len(images) // len(generators), *generators), left)

    def draw(self, count: int, *generators: torch.Generator) -> Tensor:
        """(numbers, count) in [-1, 1], all that is random about so many images, on the generator's device.

        With several generators the draws of each stand side by side: (numbers, generators x count).
        """
        draws = [torch.rand(self.numbers, count, generator=one, device=one.device) for one in generators]
        return torch.cat(draws, dim=1) * 2 - 1

    def apply(self, images: Tensor, numbers: Tensor, left: float | Tensor = 1.0) -> Tensor:
        """(N, C, H, W) changed as (numbers, N) say. left may be a tensor (), for work that is recorded once."""
        bends, erases = 2 * GRID * GRID * (self.elastic > 0), 5 * (self.erasing > 0)
        affine, bend, hole = torch.split(numbers, [6 * self.moves, bends, erases])
        if self.moves:
            field = bend_field(images, self.elastic, bend * left) if self.elastic else None
            images = resample(images, self.affine(images, affine, left), field)
        return erase(images, self.erasing * left, hole) if self.erasing else images

    def affine(self, images: Tensor, numbers: Tensor, left: float | Tensor = 1.0) -> Tensor:
        """(N, 2, 3): for each image where, in [-1, 1] coordinates, an output pixel is read from. numbers: (6, N)."""
        smaller = numbers * left
        angle = smaller[0] * math.radians(self.rotation)
        shear = (smaller[1] * math.radians(self.shear)).tan()
        zoom = 1 + smaller[2] * self.scale
        if self.crop:
            cropped = numbers[3] < 2 * self.crop_probability * left - 1
            zoom = torch.where(cropped, zoom * images.shape[-1] / self.crop, zoom)
        cos, sin = angle.cos() / zoom, angle.sin() / zoom                   # reading closer is zooming in
        shift = smaller[4:6] * 2 * self.shift                               # the axis is 2 long
        rows = [cos, cos * shear - sin, shift[0], sin, sin * shear + cos, shift[1]]
        return torch.stack(rows, dim=1).view(-1, 2, 3)


def bend_field(images: Tensor, pixels: float, numbers: Tensor) -> Tensor:
    """(N, H, W, 2): how far, in [-1, 1] coordinates, each pixel is bent; up to these pixels at the points of a grid.

    numbers: (2 GRID GRID, N) in [-1, 1]. Between the grid's points the field is bicubic.
    Source: Ronneberger et al. (2015), U-Net, section 3.1.
    """
    height, width = images.shape[-2:]
    points = numbers.T.reshape(-1, 2, GRID, GRID)
    across = points @ _bicubic(width, images).T                             # (N, 2, GRID, W)
    field = _bicubic(height, images) @ across                               # (N, 2, H, W)
    return torch.stack([field[:, 0] * (2 * pixels / width), field[:, 1] * (2 * pixels / height)], dim=3)


def resample(images: Tensor, affine: Tensor, bend: Tensor | None = None) -> Tensor:
    """Read (N, C, H, W) where (N, 2, 3) and (N, H, W, 2) say, bilinear; what comes from outside is black."""
    grid = affine_grid(images, affine)                                      # (N, H, W, 2)
    grid = grid if bend is None else grid + bend
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def affine_grid(images: Tensor, affine: Tensor) -> Tensor:
    """F.affine_grid of (N, 2, 3), (N, H, W, 2): what each column and each row contribute, added in one pass."""
    height, width = images.shape[-2:]
    across, down = (((2 * torch.arange(n, device=images.device) + 1) / n - 1).unsqueeze(1) for n in (width, height))
    x, y, shift = affine[:, None, None].unbind(dim=4)                       # (N, 1, 1, 2)
    return (x * across + shift) + (y * down).transpose(1, 2)                # (N, 1, W, 2) + (N, H, 1, 2)


def erase(images: Tensor, probability: float | Tensor, numbers: Tensor) -> Tensor:
    """Blank, with this probability an image, a rectangle of 2 % to 20 % of the area. numbers: (5, N) in [-1, 1].

    Source: Zhong et al. (2020), Random Erasing Data Augmentation; their area up to 40 % hides whole digits.
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
    """(N, C, H, W) in [0, 1] -> zero mean and unit spread; mean and std are (C,)."""
    return (images - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)


def _bicubic(size: int, like: Tensor) -> Tensor:
    """(size, GRID): what each pixel takes of each point; two products are a sixth of F.interpolate's time."""
    unit = torch.eye(GRID, device=like.device)[None, None]
    return F.interpolate(unit, (size, GRID), mode="bicubic", align_corners=True)[0, 0]


def _between(size: int, low: Tensor, high: Tensor, images: Tensor) -> Tensor:
    """(N, size): which pixel centres lie between the two fractions of the axis."""
    centres = (torch.arange(size, device=images.device) + 0.5) / size
    return (centres >= low.unsqueeze(1)) & (centres < high.unsqueeze(1))
