"""Rules for functions that change the number of units on the image: interpolation and pixel shuffle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from featherweight.anatomy.call import FieldCall, along_axes, less
from featherweight.anatomy.geometry import Axis, Field, gather
from featherweight.anatomy.sliding import window_of

_PLANAR = {"linear": "bilinear", "trilinear": "bilinear"}


def resampled(call: FieldCall) -> Field | None:
    """Return the field after interpolation, one axis at a time.

    Each input unit in turn is set to 1 and interpolated. The non-zero results are the units that it reaches.
    """
    value, field = call.first
    if value.shape == call.outputs[0].shape:
        return field
    given = call.arguments()
    n = value.dim() - 2
    mode = given.get("mode", "nearest")
    kept = ("align_corners", "recompute_scale_factor", "antialias")
    settings: dict[str, Any] = {key: given[key] for key in kept if key in given}

    def resampled(axis: Axis, k: int) -> Axis:
        count, after = len(axis.seen), call.outputs[0].shape[axis.dim or 0]
        probes = torch.eye(count, dtype=torch.float64).view(count, 1, count, 1).expand(-1, -1, -1, 2).contiguous()
        if given.get("size") is None:
            scale = given["scale_factor"]
            scales = tuple(scale) if isinstance(scale, Sequence) else (scale,) * n
            settings["scale_factor"] = (float(scales[k]), 1.0)
        else:
            settings["size"] = (after, 2)
        reached = F.interpolate(probes, mode=_PLANAR.get(mode, mode), **settings)[:, 0, :, 0] != 0
        sources = [torch.nonzero(line)[:, 0].tolist() for line in reached.T]
        return gather(axis, sources, less(axis, count / after), axis.dim)

    return along_axes(call, n, resampled)


def shuffled(call: FieldCall) -> Field | None:
    """Return the field after pixel_shuffle.

    Channels become positions, so factor x factor neighbouring positions see the same pixels.
    """
    factor = call.arguments()["upscale_factor"]

    def spread(axis: Axis, k: int) -> Axis:
        places = range(len(axis.seen) * factor)
        return gather(axis, [[place // factor] for place in places], less(axis, 1 / factor), axis.dim)

    return along_axes(call, 2, spread)


def unshuffled(call: FieldCall) -> Field | None:
    """Return the field after pixel_unshuffle: factor x factor positions become channels of one position."""
    factor = call.arguments()["downscale_factor"]
    return along_axes(call, 2, lambda axis, k: window_of(axis, factor, factor))
