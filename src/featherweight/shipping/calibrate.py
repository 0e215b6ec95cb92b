"""What the values of a network reach on training images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from featherweight.inference.network import Numbers, Pixels
from featherweight.shipping.graph import Graph
from featherweight.shipping.session import open_model
from featherweight.shipping.write_onnx import write_graph

Ranges = Mapping[str, tuple[float, float]]      # value -> lowest and highest
BATCH = 100


@dataclass(frozen=True)
class Calibration:
    """Training images that the 8-bit grids are measured on, with numbers where one is added."""

    images: Pixels
    numbers: Numbers | None


def measure_ranges(graph: Graph, images: Pixels, numbers: Numbers | None) -> Ranges:
    """The lowest and highest of every value that a step gives; float32, in batches."""
    names = [step.output for step in graph.steps]
    session = open_model(write_graph(graph, names).SerializeToString())
    lowest, highest = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for start in range(0, len(images), BATCH):
        feed: dict[str, Any] = {"images": images[start : start + BATCH]}
        if numbers is not None:
            feed["numbers"] = numbers[start : start + BATCH]
        values = session.run(names, feed)
        lowest = np.minimum(lowest, [value.min() for value in values])
        highest = np.maximum(highest, [value.max() for value in values])
    return dict(zip(names, zip(lowest.tolist(), highest.tolist(), strict=True), strict=True))

