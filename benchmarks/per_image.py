"""The documents' input pipeline: one PIL image at a time, changed and turned into a tensor in a worker process.

torchvision has no build beside the CPU build of torch used here, so its few transforms stand here as
torchvision 0.2x writes them: RandomAffine, ToTensor, Normalize, Compose and the MNIST data set's
__getitem__. RandomAffine is given bilinear interpolation, as ours has, where its default is nearest.
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
    """(N, 1, H, W) uint8 images that come out one by one as pictures, through the transform."""

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
    """Rotation in +-degrees, shift in +-translate parts of the size (whole pixels), scale in the given range."""

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
    """The six numbers PIL reads an output pixel's place in the input from; turns and scales about the centre."""
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    x, y = -centre[0] - shift[0], -centre[1] - shift[1]
    return [cos, sin, cos * x + sin * y + centre[0], -sin, cos, -sin * x + cos * y + centre[1]]
