"""Where a network looked, and what its layers made of an image. numpy and onnxruntime only."""

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
    """layers.onnx of a bundle: the answer and every layer's activations in one pass."""

    def __init__(self, bundle: Bundle) -> None:
        self.folder = bundle.path
        self.session = bundle.open_model("layers.onnx")
        self.layers: list[dict[str, Any]] = json.loads(self.session.get_modelmeta().custom_metadata_map["layers"])
        heads = list(bundle.card.heads)
        self.heads, self.outputs = heads, [*heads, *(layer["output"] for layer in self.layers)]

    def read(self, image: Pixels, numbers: Numbers | None) -> tuple[Probabilities, list[Maps]]:
        """One image (1, C, H, W) -> its probabilities and the maps of all layers."""
        found = self.session.run(self.outputs, feed(image, numbers))
        count = len(self.heads)
        maps = [as_maps(layer["title"], values[0]) for layer, values in zip(self.layers, found[count:], strict=True)]
        return finite(dict(zip(self.heads, found[:count], strict=True)), self.folder), maps


def as_maps(title: str, values: NDArray[Any]) -> Maps:
    """(C, H, W) or (features,) activations as bytes between their lowest and their highest."""
    values = np.nan_to_num(values.astype(np.float64))
    values = values.reshape(len(values), *(values.shape[1:] or (1, 1)))
    low, high = float(values.min()), float(values.max())
    scaled = np.zeros(values.shape) if high == low else (values - low) * (255 / (high - low))
    bytes_ = base64.b64encode(scaled.round().astype(np.uint8).tobytes()).decode()
    return Maps(title=title, shape=list(values.shape), low=low, high=high, maps=bytes_)


def where_it_looked(
    network: Network, image: Pixels, numbers: Numbers | None, answer: Probabilities, blank: NDArray[np.uint8]
) -> dict[str, Looked]:
    """Occlusion sensitivity: patches of one image (1, C, H, W) are blanked, and all are answered in one batch.

    blank: the ground, (C,). A patch of ground changes nothing and is not computed. Source: Zeiler and Fergus (2014).
    """
    masks = patches(*image.shape[2:])
    covered = np.where(masks[:, None], blank[:, None, None], image)
    changed = np.flatnonzero((covered != image).any(axis=(1, 2, 3)))
    repeated = None if numbers is None else numbers.repeat(len(changed))
    answers = network.answer(covered[changed], repeated) if len(changed) else None
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
    """(P, H, W): square patches that overlap by two thirds and cover every pixel."""
    size = side(height)
    step = max(1, size // 3)
    rows, columns = ([*range(0, length - size, step), length - size] for length in (height, width))
    masks = np.zeros((len(rows) * len(columns), height, width), bool)
    for mask, (row, column) in zip(masks, ((row, column) for row in rows for column in columns), strict=True):
        mask[row : row + size, column : column + size] = True
    return masks


def side(height: int) -> int:
    """Of a patch: 6 pixels of 28, about two strokes wide."""
    return max(1, height * 3 // 14)
