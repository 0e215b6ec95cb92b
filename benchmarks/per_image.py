"""The input pipeline of the documents: each image is augmented with PIL and converted to a tensor in a worker process.

torchvision has no build for the CPU build of torch used here. Therefore this file repeats the transforms of torchvision
0.2x: RandomAffine, ToTensor, Normalize, Compose, and __getitem__ of the MNIST data set.
One difference: RandomAffine uses bilinear interpolation, like our augmentation. torchvision's default is nearest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset


class PictureDataset(Dataset[tuple[Tensor, int]]):
    """Data set of uint8 images (N, 1, H, W). An item is a label and one image, transformed from a PIL picture."""

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Image.Image], Tensor]) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.images[index, 0].numpy())
        return self.transform(image), int(self.labels[index])


class Compose:
    def __init__(self, transforms: Sequence[Callable]) -> None:
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class RandomAffine:
    """Random rotation, shift and scaling of a picture.

    degrees: largest rotation in both directions. translate: largest shift as a fraction of the size, rounded to pixels.
    scale: lowest and highest factor.
    """

    def __init__(self, degrees: float, translate: float, scale: tuple[float, float]) -> None:
        self.degrees, self.translate, self.scale = degrees, translate, scale

    def __call__(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        angle = draw(-self.degrees, self.degrees)
        shift = [round(draw(-self.translate * side, self.translate * side)) for side in (width, height)]
        zoom = draw(*self.scale)
        matrix = inverse_affine((width * 0.5, height * 0.5), math.radians(angle), shift, zoom)
        return image.transform((width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=0)


class ToTensor:
    def __call__(self, image: Image.Image) -> Tensor:
        tensor = torch.from_numpy(np.array(image, np.uint8, copy=True))
        tensor = tensor.view(image.size[1], image.size[0], 1).permute(2, 0, 1).contiguous()
        return tensor.to(dtype=torch.float32).div(255)


class Normalize:
    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = mean, std

    def __call__(self, tensor: Tensor) -> Tensor:
        mean = torch.as_tensor(self.mean, dtype=tensor.dtype).view(-1, 1, 1)
        std = torch.as_tensor(self.std, dtype=tensor.dtype).view(-1, 1, 1)
        return tensor.clone().sub_(mean).div_(std)


def draw(low: float, high: float) -> float:
    return float(torch.empty(1).uniform_(low, high).item())


def inverse_affine(centre: tuple[float, float], angle: float, shift: Sequence[float], zoom: float) -> list[float]:
    """Return the six coefficients for PIL's affine transform: they map an output pixel to its place in the input.

    Rotation and scaling are about `centre`.
    """
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    x, y = -centre[0] - shift[0], -centre[1] - shift[1]
    return [cos, sin, cos * x + sin * y + centre[0], -sin, cos, -sin * x + cos * y + centre[1]]
