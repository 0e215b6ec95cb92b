"""Rules for functions that only move values: apply the function to the numbers of the places."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from featherweight.graph import calls
from featherweight.graph.lowering.reading import Reading, plain
from featherweight.graph.plain import Concat, Move, Pad, Pads, Resample
from featherweight.graph.record import Value, values_in


def moved(at: Reading) -> None:
    """Lower a function that moves values, as one move for each output that is not in the old order."""
    at.require(len(at.call.sources) == 1, "at computed places")
    for index, places in enumerate(places_of(at, [at.source])):
        if np.array_equal(places, np.arange(prod(at.shape))):
            at.finish(at.steps.names[at.source], index)
        else:
            shape = plain(at.call.outputs[index].shape[1:])
            at.finish(at.step(Move(places), shape=shape), index)


def places_of(at: Reading, sources: list[Value]) -> list[np.ndarray]:
    """Return for each output where its values come from: places in one image of all sources, one after the other.

    The function runs on the numbers of these places. Raises ModelError if it mixes the images of a batch.
    """
    batch, sizes = at.steps.record.batch, [prod(value.shape[1:]) for value in sources]
    total, start, numbered = sum(sizes), 0, dict[Value, Tensor]()
    for value, size in zip(sources, sizes, strict=True):
        one = torch.arange(start, start + size, dtype=torch.float64)
        numbered[value] = torch.stack([one + image * total for image in range(batch)]).view(value.shape)
        start += size
    assert at.call.function is not None
    try:
        made = at.call.function(*with_numbers(at.call.args, numbered), **with_numbers(at.call.kwargs, numbered))
    except (RuntimeError, TypeError, ValueError, IndexError):
        at.refuse("with these arguments")
    found = []
    for output in calls.tensors_in(made):
        images = output.reshape(batch, -1).round().long().numpy()
        alike = all(np.array_equal(images[0] + image * total, images[image]) for image in range(batch))
        at.require(alike and images[0].size > 0 and 0 <= images[0].min() <= images[0].max() < total,
                   "that mixes the images of a batch")
        found.append(images[0])
    return found


def with_numbers(arguments: Any, numbered: dict[Value, Tensor]) -> Any:
    """Return the arguments of a call with the numbers of the places in place of values.

    A constant is itself. Any other value only gives its shape.
    """
    def tensor_for(value: Value) -> Tensor:
        if value in numbered:
            return numbered[value]
        return torch.empty(value.shape) if value.constant is None else value.constant

    return calls.replaced(arguments, Value, tensor_for)


def joined(at: Reading) -> None:
    """Lower cat and stack: all parts one after the other, then a move unless they are joined along the channels."""
    parts = list(dict.fromkeys(values_in(at.call.args[:1] or at.given["tensors"])))
    at.require(all(value.dynamic for value in parts), "with a constant")
    (places,) = places_of(at, parts)
    names = [at.steps.read(value) for value in parts]
    if np.array_equal(places, np.arange(len(places))):
        at.finish(at.join(Concat(), *names))
        return
    total = sum(prod(value.shape[1:]) for value in parts)
    row = at.join(Concat(), *names, shape=(total, 1, 1)) if len(names) > 1 else names[0]
    at.finish(at.step(Move(places), row))


def pad(at: Reading) -> None:
    """Lower padding of height and width with a constant, or with values from inside the image."""
    at.alone()
    if at.given.get("mode", "constant") != "constant":
        moved(at)
        return
    amounts = tuple(at.given["pad"])
    at.require(not any(amounts[4:]) and len(at.shape) in (2, 3) and len(amounts) // 2 < len(at.shape),
               "of other axes than height and width")
    one = len(at.shape) == 2        # (channels, length) has its length as height
    left, right, top, bottom = (0, 0, *amounts[:2]) if one else (*amounts[:4], 0, 0)[:4]
    pads: Pads = (top, left, bottom, right)
    at.finish(at.step(Pad(pads, float(at.given.get("value") or 0.0))))


def interpolate(at: Reading) -> None:
    """Lower interpolation: the nearest value as a move, linear interpolation of height and width as two sums."""
    at.alone()
    mode = at.given.get("mode", "nearest")
    if mode in ("nearest", "nearest-exact"):
        moved(at)
        return
    at.require(mode == "bilinear" and not at.given.get("antialias", False), f"with mode {mode!r}")
    rows, columns = (taps(at, axis) for axis in (0, 1))
    at.finish(at.step(Resample(*rows, *columns)))


def taps(at: Reading, axis: int) -> tuple[Any, Any]:
    """Return the two places and two weights of each output row (axis 0) or column (axis 1), (outputs, 2) both.

    Each input row in turn is set to 1 and interpolated.
    """
    before, after = at.shape[1 + axis], at.after[1 + axis]
    settings: dict[str, Any] = {"align_corners": at.given.get("align_corners")}
    scale = at.given.get("scale_factor")
    if scale is None:
        settings["size"] = (after, 2)
    else:
        settings["scale_factor"] = (float(scale[axis] if isinstance(scale, list | tuple) else scale), 1.0)
        settings["recompute_scale_factor"] = at.given.get("recompute_scale_factor")
    probes = torch.eye(before, dtype=torch.float64).view(before, 1, before, 1).expand(-1, -1, -1, 2).contiguous()
    reached = F.interpolate(probes, mode="bilinear", **settings)[:, 0, :, 0].T.numpy()     # (after, before)
    places = np.argsort(-reached, axis=1, kind="stable")[:, :2]
    places = np.concatenate([places, places], axis=1)[:, :2]        # a single input row
    weights = np.take_along_axis(reached, places, axis=1)
    if before == 1:
        weights[:, 1] = 0.0
    return places.astype(np.int64), weights
