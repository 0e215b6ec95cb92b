"""Explain a prediction: important regions of the image and activations of each layer.

Needs only numpy and onnxruntime. answers.py uses this file.
"""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.inference.bundle import Bundle, feed
from featherweight.inference.network import Network, Numbers, Pixels, Probabilities, finite
from featherweight.serve.documents import Looked, Maps


class LayerReader:
    """The layers.onnx of a bundle, which gives probabilities and the activations of all layers in one pass."""

    def __init__(self, bundle: Bundle) -> None:
        self.folder = bundle.path
        self.session = bundle.open_model("layers.onnx")
        self.layers: list[dict[str, Any]] = json.loads(self.session.get_modelmeta().custom_metadata_map["layers"])
        heads = list(bundle.card.heads)
        self.heads, self.outputs = heads, [*heads, *(layer["output"] for layer in self.layers)]

    def read(self, image: Pixels, numbers: Numbers | None) -> tuple[Probabilities, list[Maps]]:
        """Return the probabilities and the activation maps of all layers for one image (1, C, H, W)."""
        found = self.session.run(self.outputs, feed(image, numbers))
        count = len(self.heads)
        maps = [as_maps(layer["title"], values[0]) for layer, values in zip(self.layers, found[count:], strict=True)]
        return finite(dict(zip(self.heads, found[:count], strict=True)), self.folder), maps


def as_maps(title: str, values: NDArray[Any]) -> Maps:
    """Return activations, (C, H, W) or (features,), as bytes: the lowest value becomes 0, the highest 255."""
    values = np.nan_to_num(values.astype(np.float64))
    values = values.reshape(len(values), *(values.shape[1:] or (1, 1)))
    low, high = float(values.min()), float(values.max())
    scaled = np.zeros(values.shape) if high == low else (values - low) * (255 / (high - low))
    bytes_ = base64.b64encode(scaled.round().astype(np.uint8).tobytes()).decode()
    return Maps(title=title, shape=list(values.shape), low=low, high=high, maps=bytes_)


def where_it_looked(
    network: Network, image: Pixels, numbers: Numbers | None, answer: Probabilities, blank: NDArray[np.uint8]
) -> dict[str, Looked]:
    """Return the important regions of one image (1, C, H, W) per head, by occlusion sensitivity.

    Each patch of the image is blanked in a copy of its own. The network runs on all copies in one batch.
    A patch that is blank already is skipped.
    answer: probabilities for the original image. blank: colour of the background, (C,).
    Source: Zeiler and Fergus (2014).
    """
    masks = patches(*image.shape[2:])
    covered = np.where(masks[:, None], blank[:, None, None], image)
    changed = np.flatnonzero((covered != image).any(axis=(1, 2, 3)))
    repeated = None if numbers is None else numbers.repeat(len(changed))
    answers = network.probabilities(covered[changed], repeated) if len(changed) else None
    found = {}
    for head, probabilities in answer.items():
        winner, falls = int(probabilities[0].argmax()), np.zeros(len(masks), np.float32)
        if answers is not None:
            falls[changed] = probabilities[0, winner] - answers[head][:, winner]
        spread = np.tensordot(falls, masks, axes=1) / masks.sum(axis=0)
        name = network.card.heads[head][winner]
        found[head] = Looked(name=name, patch=side(image.shape[2]), falls=spread.ravel().round(4).tolist())
    return found


@cache
def patches(height: int, width: int) -> NDArray[np.bool_]:
    """Return masks (P, H, W) of square patches that overlap by two thirds and together cover every pixel."""
    size = side(height)
    step = max(1, size // 3)
    rows, columns = ([*range(0, length - size, step), length - size] for length in (height, width))
    masks = np.zeros((len(rows) * len(columns), height, width), bool)
    for mask, (row, column) in zip(masks, ((row, column) for row in rows for column in columns), strict=True):
        mask[row : row + size, column : column + size] = True
    return masks


def side(height: int) -> int:
    """Return the side of a patch in pixels: 6 for an image of height 28, about two strokes wide."""
    return max(1, height * 3 // 14)
