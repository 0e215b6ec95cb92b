"""Labelled images, stored once. Every split, subset and batch is a view: row numbers into the stored tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images: the rows `rows` of stored tensors. M images are stored, N are in the view.

    Views share the stored tensors, so splits and replicas need no second copy.
    """

    stored: Tensor                      # uint8 (M, C, H, W), 0..255
    stored_labels: Tensor               # int64 (M,)
    mean: Tensor                        # float32 (C,), of training pixels in [0, 1]
    std: Tensor                         # float32 (C,)
    stored_soft: Tensor | None = None   # float32 (M, classes), soft labels: the teacher's probabilities
    class_weights: Tensor | None = None     # float32 (classes,), weight of an image's loss by its class
    rows: Tensor | None = None          # int64 (N,), the images of this view; None: all stored images

    @classmethod
    def of(cls, images: Tensor, labels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Images:
        """Return all of these images, on their device. mean, std: one number per channel."""
        return cls(images, labels, torch.tensor(mean, device=images.device), torch.tensor(std, device=images.device))

    def __len__(self) -> int:
        return len(self.stored_labels if self.rows is None else self.rows)

    @property
    def images(self) -> Tensor:
        """Pixels of the view, uint8 (N, C, H, W). A copy, unless the view is of all stored images."""
        return self.stored if self.rows is None else self.stored[self.rows]

    def pixels(self, part: slice) -> Tensor:
        """Pixels of a slice of the view, uint8 (n, C, H, W)."""
        return self.stored[part if self.rows is None else self.rows[part]]

    @property
    def labels(self) -> Tensor:
        """Labels of the view, int64 (N,)."""
        return self.stored_labels if self.rows is None else self.stored_labels[self.rows]

    @property
    def soft(self) -> Tensor | None:
        """Soft labels of the view, float32 (N, classes), or None without a teacher."""
        return self.stored_soft if self.stored_soft is None or self.rows is None else self.stored_soft[self.rows]

    @property
    def weights(self) -> Tensor | None:
        """Weight of the loss of each image of the view, float32 (N,), or None if all weights are 1."""
        return None if self.class_weights is None else self.class_weights[self.labels]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.stored.shape[1:]
        return channels, height, width

    @property
    def device(self) -> torch.device:
        """The device of the stored images."""
        return self.stored.device

    def pick(self, indices: Tensor) -> Images:
        """Return the view of the images at int64 (n,) indices of this view. Copies no pixels."""
        return replace(self, rows=indices if self.rows is None else self.rows[indices])

    def first(self, count: int) -> Images:
        """Return the view of the first `count` images, or of all if there are fewer."""
        return self.pick(torch.arange(min(count, len(self)), device=self.device))

    def to(self, device: torch.device) -> Images:
        """Return the same view on a device. Tensors that are there already are shared."""
        moved = {name: value.to(device) for name, value in vars(self).items() if value is not None}
        return replace(self, **moved)

    def weighted(self, class_weights: Tensor) -> Images:
        """Return the same view with a weight for each class, float32 (classes,)."""
        return replace(self, class_weights=class_weights.to(self.device))

    def taught(self, soft: Tensor) -> Images:
        """Return all stored images with soft labels, float32 (M, classes), on the images' device."""
        return replace(self, stored_soft=soft.to(self.device))
