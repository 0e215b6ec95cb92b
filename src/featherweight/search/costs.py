"""Exact costs of a network in words, without building it: parameters, MACs, and RAM and flash of its C code.

A network is written down as the layers that the export sees, with weights that hold no values. The writers of the C
code then count bytes instead of writing text. A candidate takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod

import numpy as np

from featherweight.budgets.usage import Count, in_bytes
from featherweight.errors import ModelError
from featherweight.graph.fold import fold
from featherweight.graph.plain import (
    Combine,
    Conv,
    Layer,
    MeanSquare,
    Pad,
    Pool,
    Scale,
    Shape,
    Softmax,
    Step,
    StepGraph,
)
from featherweight.models.layers import RootMeanSquare
from featherweight.models.words import Word, read_words
from featherweight.search.records import Costs
from featherweight.shipping.c_float import write_float
from featherweight.shipping.c_int8 import write_int8


class Outline:
    """The layers of a network as they are added one by one, with its parameters and MACs so far.

    shape: of one image, (C, H, W). gain: False if batch normalisation learns a shift only.
    """

    def __init__(self, shape: Shape, gain: bool = True) -> None:
        self.steps: list[Step] = []
        self.shapes: dict[str, Shape] = {"images": shape}
        self.last, self.gain = "images", gain
        self.parameters = self.macs = 0
        self.add(Scale(blank(shape[0]), blank(shape[0])), shape)      # the normalisation of the pixels

    @property
    def shape(self) -> Shape:
        """Shape of the last value."""
        return self.shapes[self.last]

    def add(self, layer: Layer, shape: Shape, *others: str) -> None:
        """Add a layer that reads the last value, and other values by name. Raises ModelError for an empty shape."""
        if min(shape) < 1:
            raise ModelError(f"{'x'.join(map(str, self.shape[1:]))} is too small for another layer.")
        name = f"value{len(self.steps)}"
        self.steps.append(Step(layer, (self.last, *others), name))
        self.shapes[name], self.last = shape, name

    def convolve(
        self, outputs: int, size: int = 1, *, pad: int = 0, stride: int = 1, relu: bool = True, depthwise: bool = False
    ) -> int:
        """Add a convolution. Return the number of its weights, which are not counted yet."""
        channels, *sides = self.shape
        weight = blank(outputs, 1 if depthwise else channels, size, size)
        groups = channels if depthwise else 1
        conv = Conv(weight, blank(outputs), (stride, stride), (pad,) * 4, groups=groups, relu=relu)
        height, width = ((side + 2 * pad - size) // stride + 1 for side in sides)
        self.add(conv, (outputs, height, width))
        self.macs += prod(self.shape) * prod(weight.shape[1:])
        return weight.size

    def normalised(self, weights: int) -> None:
        """Count the weights of the last convolution, and the batch normalisation behind it."""
        self.parameters += weights + self.shape[0] * (2 if self.gain else 1)

    def graph(self) -> StepGraph:
        """Return the folded layers, with the probabilities at their end."""
        steps = [*self.steps, Step(Softmax(log=False), (self.last,), "class")]
        return fold(StepGraph(tuple(steps), {**self.shapes, "class": self.shape}, ("class",)))


def costs_of(words: str, shape: Shape, classes: int, form: str = "int8", *, gain: bool = True) -> Costs:
    """Return the costs of a network on images of this shape. form: of the C code, "int8" or "float".

    Raises ModelError if a map becomes too small, or for a word that a search does not use.
    """
    outline = outline_of(words, shape, classes, gain=gain)
    return Costs(outline.parameters, outline.macs, *code_size(outline, form))


def outline_of(words: str, shape: Shape, classes: int, *, gain: bool = True) -> Outline:
    """Return the layers of a network in words. Raises the errors of costs_of."""
    outline = Outline(shape, gain)
    for word in read_words(words):
        if word.form not in STAGES:
            raise ModelError(f"{word.place} is not used in a search. Allowed: {', '.join(STAGES)}.")
        STAGES[word.form](outline, word, classes)
    return outline


def code_size(outline: Outline, form: str) -> tuple[int, int]:
    """Return the bytes of RAM and of flash of the C code in this form."""
    graph = outline.graph()
    body = write_int8(in_bytes(graph), Count) if form == "int8" else write_float(graph, Count)
    return body.ram, body.flash


@lru_cache(maxsize=4096)
def blank(*shape: int) -> np.ndarray:
    """Return a read-only array of ones that takes no memory."""
    return np.broadcast_to(np.float32(1), shape)


def plain(size: int, *, pad: int = 0, stride: int = 1) -> Callable[[Outline, Word, int], None]:
    """Return the stage of a plain convolution."""
    return lambda outline, word, _: outline.normalised(outline.convolve(word.n, size, pad=pad, stride=stride))


def separable(*, pad: int = 0, between: bool = False) -> Callable[[Outline, Word, int], None]:
    """Return the stage of a separable convolution. between: normalise also between its two halves."""
    def stage(outline: Outline, word: Word, _: int) -> None:
        weights = outline.convolve(outline.shape[0], 3, pad=pad, relu=between, depthwise=True)
        if between:
            outline.normalised(weights)
        outline.normalised(outline.convolve(word.n) + (0 if between else weights))

    return stage


def repeated(*, residual: bool) -> Callable[[Outline, Word, int], None]:
    """Return the stage of a separable convolution that is applied several times with the same weights."""
    def stage(outline: Outline, word: Word, _: int) -> None:
        if word.n != outline.shape[0]:
            raise ModelError(f"{word.place} keeps the number of channels, but {outline.shape[0]} come in.")
        for _time in range(word.times):
            before = outline.last
            weights = outline.convolve(word.n, 3, pad=int(residual), relu=False, depthwise=True)
            weights += outline.convolve(word.n)
            if residual:
                outline.add(Combine("add"), outline.shape, before)
        outline.parameters += weights + 2 * word.n * word.times

    return stage


def pool(outline: Outline, word: Word, _: int) -> None:
    """Add the 2x2 max pooling."""
    channels, height, width = outline.shape
    outline.add(Pool("max", (2, 2), (2, 2)), (channels, height // 2, width // 2))


def crop(outline: Outline, word: Word, _: int) -> None:
    """Add the cut of pixels at each side."""
    channels, height, width = outline.shape
    outline.add(Pad((-word.n,) * 4), (channels, height - 2 * word.n, width - 2 * word.n))


def mean(outline: Outline, word: Word, _: int) -> None:
    """Add the mean over all places."""
    channels, *sides = outline.shape
    outline.add(Pool("mean", (sides[0], sides[1]), (sides[0], sides[1]), whole=True), (channels, 1, 1))


def root_mean_square(outline: Outline, word: Word, _: int) -> None:
    """Add the root mean square over all places."""
    outline.add(MeanSquare(RootMeanSquare.ADDED, root=True), (outline.shape[0], 1, 1))


def head(outline: Outline, word: Word, classes: int) -> None:
    """Add the 1x1 convolution with bias to the classes."""
    outline.parameters += outline.convolve(classes, relu=False) + classes


STAGES: dict[str, Callable[[Outline, Word, int], None]] = {
    "cN": plain(3), "CN": plain(3, pad=1), "kN": plain(1), "tN": plain(3, pad=1, stride=2),
    "FN": plain(5, pad=2, stride=2), "sN": separable(), "SN": separable(pad=1), "eN": separable(between=True),
    "xNtR": repeated(residual=True), "wNtR": repeated(residual=False), "p": pool, "zN": crop, "g": mean,
    "q": root_mean_square, "h": head,
}
