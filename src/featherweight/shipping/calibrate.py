"""Measurement of the range of each value in a network on training images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from featherweight.graph.plain import Array, Ranges, StepGraph
from featherweight.inference.network import Numbers, Pixels
from featherweight.inference.runtime import open_model
from featherweight.shipping.write_onnx import write_graph

BATCH = 100


@dataclass(frozen=True)
class Calibration:
    """Training images for measuring the 8-bit grids; if the network adds a number, also a number for each image."""

    images: Pixels
    numbers: Numbers | None


def measure_ranges(graph: StepGraph, images: Pixels, numbers: Numbers | None) -> Ranges:
    """Run the graph on all images in float32 and return the lowest and highest of every value at each place."""
    names = [step.output for step in graph.steps]
    session = open_model(write_graph(graph, names).SerializeToString())
    pixels = images.astype(np.float32)
    found: dict[str, list[tuple[Array, Array]]] = {"images": [(pixels.min(axis=0), pixels.max(axis=0))]}
    for start in range(0, len(images), BATCH):
        feed: dict[str, Any] = {"images": images[start : start + BATCH]}
        if numbers is not None:
            feed["numbers"] = numbers[start : start + BATCH]
        for name, value in zip(names, session.run(names, feed), strict=True):
            found.setdefault(name, []).append((value.min(axis=0), value.max(axis=0)))
    return {name: (np.minimum.reduce([low for low, _ in sides]), np.maximum.reduce([high for _, high in sides]))
            for name, sides in found.items()}
