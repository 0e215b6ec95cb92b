"""Rules for layers with windows and for normalisation: convolution, pooling, padding, means, batch and group norm."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from featherweight.graph import calls
from featherweight.graph.lowering.reading import Reading, plain
from featherweight.graph.plain import (
    Array,
    Conv,
    Move,
    OneHot,
    Pad,
    Pads,
    Pool,
    PRelu,
    Scale,
    Shape,
    Softmax,
    Spread,
    Standardise,
)


def pair(value: Any, axes: int, rest: int) -> tuple[int, int]:
    """Return a setting for (height, width). With one axis, that is the height, and `rest` stands for the width."""
    first, *more = calls.per_axis(value, axes)
    return first, more[0] if more else rest


def kernel_of(at: Reading) -> tuple[Array, int]:
    """Return the weights of a convolution, with a width of 1 if it has one axis, and the number of its axes."""
    at.alone()
    weight, axes = at.weight("weight"), int(at.operation[-2])
    at.require(weight is not None and axes < 3 and len(at.shape) == axes + 1, "over other axes than height and width")
    assert weight is not None
    return weight[..., None] if axes == 1 else weight, axes


def convolution(at: Reading) -> None:
    """Lower conv1d and conv2d. `padding` may be "same" or "valid"."""
    weight, axes = kernel_of(at)
    dilation = pair(at.given.get("dilation", 1), axes, 1)
    padding = at.given.get("padding", 0)
    if padding == "same":
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        pads: Pads = (reach[0] // 2, reach[1] // 2, reach[0] - reach[0] // 2, reach[1] - reach[1] // 2)
    else:
        top, left = (0, 0) if padding == "valid" else pair(padding, axes, 0)
        pads = (top, left, top, left)
    at.finish(at.step(Conv(weight, bias_of(at, len(weight)), pair(at.given.get("stride", 1), axes, 1), pads, dilation,
                           at.given.get("groups", 1))))


def transposed(at: Reading) -> None:
    """Lower a transposed convolution: zeros between the rows and columns, then a convolution with the turned kernel."""
    weight, axes = kernel_of(at)
    groups = at.given.get("groups", 1)
    inputs, outputs, height, width = weight.shape
    turned = weight.reshape(groups, inputs // groups, outputs, height, width).swapaxes(1, 2)[..., ::-1, ::-1]
    turned = np.ascontiguousarray(turned.reshape(groups * outputs, inputs // groups, height, width))
    stride, dilation = pair(at.given.get("stride", 1), axes, 1), pair(at.given.get("dilation", 1), axes, 1)
    cut, added = pair(at.given.get("padding", 0), axes, 0), pair(at.given.get("output_padding", 0), axes, 0)
    before = [d * (k - 1) - p for d, k, p in zip(dilation, (height, width), cut, strict=True)]
    pads = before[0], before[1], before[0] + added[0], before[1] + added[1]
    name, (channels, rows, columns) = at.steps.read(at.source), plain(at.shape)
    if stride != (1, 1):
        rows, columns = (rows - 1) * stride[0] + 1, (columns - 1) * stride[1] + 1
        name = at.step(Spread(stride), name, (channels, rows, columns))
    if min(pads) < 0:
        crop: Pads = tuple(min(pad, 0) for pad in pads)
        name = at.step(Pad(crop), name, (channels, rows + crop[0] + crop[2], columns + crop[1] + crop[3]))
    kept: Pads = tuple(max(pad, 0) for pad in pads)
    at.finish(at.step(Conv(turned, bias_of(at, len(turned)), (1, 1), kept, dilation, groups), name))


def linear(at: Reading) -> None:
    """Lower a linear layer."""
    at.alone()
    weight = at.weight("weight")
    at.require(weight is not None, "without weights")
    assert weight is not None
    along_last_axis(at, weight, bias_of(at, len(weight)))


def product(at: Reading) -> None:
    """Lower x @ weight, with or without a summand."""
    *before, vectors, weight = at.call.args[: 3 if at.operation == "addmm" else 2]
    at.require(not at.call.kwargs and len(at.call.sources) == 1 and vectors is at.source, "of two values")
    at.given = {"weight": weight, "bias": before[0] if before else None}
    matrix = at.weight("weight")
    at.require(matrix is not None and matrix.ndim == 2, "of other axes than the last")
    assert matrix is not None
    bias = np.broadcast_to(bias_of(at, matrix.shape[1]), matrix.shape[1])
    along_last_axis(at, np.ascontiguousarray(matrix.T), bias)


def along_last_axis(at: Reading, weight: Array, bias: Array) -> None:
    """Add weight (O, I) times the last axis, as a 1x1 convolution. The last axis moves to the front and back again."""
    conv = Conv(weight[:, :, None, None], bias)
    if len(at.shape) == 1:
        at.finish(at.step(conv))
        return
    rest = prod(at.shape[:-1])
    ahead = np.arange(prod(at.shape)).reshape(rest, -1).T.reshape(-1)
    back = np.arange(prod(at.after)).reshape(-1, rest).T.reshape(-1)
    name = at.step(Move(ahead), shape=(at.shape[-1], rest, 1))
    name = at.step(conv, name, (len(weight), rest, 1))
    at.finish(at.step(Move(back), name))


def bias_of(at: Reading, count: int) -> Array:
    """Return the bias of a layer, or zeros."""
    found = at.weight("bias")
    return np.zeros(count, np.float32) if found is None else found


def pool(at: Reading) -> None:
    """Lower max_pool and avg_pool over one or two axes."""
    at.alone()
    axes, kind = int(at.operation[-2]), "max" if "max" in at.operation else "mean"
    at.require(axes < 3 and len(at.shape) == axes + 1, "over other axes than height and width")
    at.require(pair(at.given.get("dilation", 1), axes, 1) == (1, 1), "with dilation")
    rounds_up = bool(at.given.get("ceil_mode", False))
    at.require(kind == "max" or not rounds_up, "with ceil_mode")
    at.require(at.given.get("divisor_override") is None, "with divisor_override")
    kernel = pair(at.given["kernel_size"], axes, 1)
    top, left = pair(at.given.get("padding", 0), axes, 0)
    strides = pair(calls.stride_of(at.given.get("stride"), kernel), axes, 1)
    counts = bool(at.given.get("count_include_pad", True))
    whole = kernel == plain(at.shape)[1:] and (top, left) == (0, 0)
    at.finish(at.step(Pool(kind, kernel, strides, (top, left, top, left), counts, rounds_up, whole)))


def adaptive_pool(at: Reading) -> None:
    """Lower adaptive pooling whose windows all have the same size."""
    at.alone()
    (_, *before), (_, *after) = plain(at.shape), plain(at.after)
    at.require(not any(a % b for a, b in zip(before, after, strict=True)), "with windows of different sizes")
    kernel = before[0] // after[0], before[1] // after[1]
    kind = "max" if "max" in at.operation else "mean"
    at.finish(at.step(Pool(kind, kernel, kernel, whole=after == [1, 1])))


def reduction(at: Reading) -> None:
    """Lower a mean, sum or maximum over height, width or both, as a pool with one window along these axes."""
    at.alone()
    dim = at.given.get("dim", at.given.get("axis"))
    at.require(dim is not None and not isinstance(dim, bool) and len(at.shape) < 4, "over all axes")
    reduced = {d % (len(at.shape) + 1) for d in calls.per_axis(dim, 1)}
    at.require(reduced <= {2, 3} and bool(reduced), "over other axes than height and width")
    channels, height, width = plain(at.shape)
    kernel = height if 2 in reduced else 1, width if 3 in reduced else 1
    kind = "mean" if at.operation in ("mean", "sum") else "max"
    shape: Shape = (channels, height // kernel[0], width // kernel[1])
    name = at.step(Pool(kind, kernel, kernel, whole=shape[1:] == (1, 1)), shape=shape)
    if at.operation == "sum":
        name = at.step(Scale(np.full(channels, float(prod(kernel))), np.zeros(channels)), name, shape)
    at.finish(name)


def batch_norm(at: Reading) -> None:
    """Lower batch normalisation with stored statistics, as a factor and a summand for each channel."""
    at.alone()
    mean, variance = at.weight("running_mean"), at.weight("running_var")
    training = bool(at.given.get("training", False))
    at.require(mean is not None and not training, "with the statistics of the batch")
    assert mean is not None
    assert variance is not None
    factor = 1 / np.sqrt(variance.astype(np.float64) + at.given.get("eps", 1e-5))
    scaled = affine(at, -mean.astype(np.float64) * factor, factor)
    at.finish(at.step(scaled))


def affine(at: Reading, summand: Array, factor: Array) -> Scale:
    """Return factor * x + summand, followed by the gain and shift of the layer."""
    gain, shift = at.weight("weight"), at.weight("bias")
    gains = np.ones_like(factor) if gain is None else gain.astype(np.float64).reshape(-1)
    shifts = np.zeros_like(factor) if shift is None else shift.astype(np.float64).reshape(-1)
    return Scale(factor * gains, summand * gains + shifts)


def group_norm(at: Reading) -> None:
    """Lower group normalisation."""
    at.alone()
    standardised(at, at.given["num_groups"], at.shape[0])


def instance_norm(at: Reading) -> None:
    """Lower instance normalisation that computes its statistics from each image."""
    at.alone()
    at.require(at.given.get("running_mean") is None or bool(at.given.get("use_input_stats", True)),
               "with stored statistics")
    standardised(at, at.shape[0], at.shape[0])


def layer_norm(at: Reading) -> None:
    """Lower layer normalisation over all axes of an image."""
    at.alone()
    at.require(tuple(at.given["normalized_shape"]) == at.shape, "over some axes of the image")
    standardised(at, 1, prod(at.shape))


def standardised(at: Reading, groups: int, count: int) -> None:
    """Add the standardisation of groups, then the gain and shift of the layer, with `count` values each."""
    name = at.step(Standardise(groups, at.given.get("eps", 1e-5)))
    if at.given.get("weight") is not None or at.given.get("bias") is not None:
        shape: Shape = plain(at.after) if count == at.shape[0] else (count, 1, 1)
        name = at.step(affine(at, np.zeros(count), np.ones(count)), name, shape)
    at.finish(name)


def prelu(at: Reading) -> None:
    """Lower the ReLU with trained slopes."""
    at.alone()
    slopes = at.weight("weight")
    at.require(slopes is not None, "without slopes")
    assert slopes is not None
    at.finish(at.step(PRelu(np.broadcast_to(slopes.astype(np.float64), at.shape[0]))))


def softmax(at: Reading) -> None:
    """Lower softmax and log_softmax over the classes."""
    at.alone()
    dim = at.given.get("dim")
    classes = dim in (1, -1) if len(at.shape) == 1 else dim == 1 and prod(at.shape[1:]) == 1
    at.require(classes, "along other axes than the classes")
    at.finish(at.step(Softmax(log=at.operation == "log_softmax")))


def one_hot(at: Reading) -> None:
    """Lower the one-hot encoding of a number."""
    at.require(at.source in at.steps.record.inputs, "of a computed number")
    at.finish(at.step(OneHot(at.after[-1])))
