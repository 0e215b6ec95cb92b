"""Rules for functions of single numbers: activations, and sums and products of two values or with constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from featherweight.graph.lowering.reading import Reading, numbers, plain
from featherweight.graph.plain import Activation, Array, Combine, Relu, Scale, Shape
from featherweight.graph.record import Value


def relu(at: Reading) -> None:
    """Lower the ReLU."""
    at.alone()
    at.finish(at.step(Relu()))


def named(name: str) -> Any:
    """Return a rule for an activation without settings."""
    def rule(at: Reading) -> None:
        at.alone()
        at.finish(at.step(Activation(name)))

    return rule


def with_number(key: str, default: float) -> Any:
    """Return a rule for an activation with one setting."""
    def rule(at: Reading) -> None:
        at.alone()
        at.finish(at.step(Activation(at.operation, (float(at.given.get(key, default)),))))

    return rule


def gelu(at: Reading) -> None:
    """Lower GELU, exact or with the approximation by tanh."""
    at.alone()
    at.finish(at.step(Activation("gelu_tanh" if at.given.get("approximate", "none") == "tanh" else "gelu")))


def clip(at: Reading) -> None:
    """Lower relu6, hardtanh and clamp. Without an upper end and with 0 as lower end, that is a ReLU."""
    at.alone()
    low, high = {
        "relu6": (0.0, 6.0), "hardtanh": (at.given.get("min_val", -1.0), at.given.get("max_val", 1.0)),
    }.get(at.operation) or (at.given.get("min"), at.given.get("max"))
    at.require(not isinstance(low, Value) and not isinstance(high, Value), "with computed ends")
    ends = -math.inf if low is None else float(low), math.inf if high is None else float(high)
    at.finish(at.step(Relu() if ends == (0.0, math.inf) else Activation("clip", ends)))


def power(at: Reading) -> None:
    """Lower x ** 2 and x ** 0.5."""
    at.alone()
    exponent = at.call.args[1] if len(at.call.args) > 1 else at.given.get("exponent")
    at.require(exponent in (1, 2, 0.5), f"with the exponent {exponent}")
    if exponent == 1:
        at.same()
    else:
        at.finish(at.step(Activation("square" if exponent == 2 else "sqrt")))


def dropout(at: Reading) -> None:
    """Leave out a dropout that is not active in evaluation mode."""
    at.alone()
    at.require(not at.given.get("training", at.given.get("train", True)), "that is active in evaluation")
    at.same()


def same(at: Reading) -> None:
    """Lower a function that returns the same numbers: a copy, or another type of float."""
    at.alone()
    at.require(at.call.outputs[0].floating, "into whole numbers")
    at.same()


def add(at: Reading) -> None:
    """Lower a sum of two values, or of a value and a constant."""
    first, second = two(at)
    if second is None:
        constant = other(at)
        scale(at, np.ones_like(constant), constant)
    else:
        combine(at, "add", first, second)


def subtract(at: Reading) -> None:
    """Lower a difference: the second value is multiplied by -1 and added."""
    first, second = two(at)
    if second is None:
        constant, reverse = other(at), (at.operation == "rsub") == (at.call.args[0] is at.source)
        scale(at, np.full_like(constant, -1.0 if reverse else 1.0), constant if reverse else -constant)
        return
    first, second = (second, first) if at.operation == "rsub" else (first, second)
    shape = plain(second.shape[1:])
    minus = Scale(np.full(shape[0], -1.0), np.zeros(shape[0]))
    negative = at.steps.add(minus, (at.steps.read(second),), shape, at.label)
    combine(at, "add", first, second, negative)


def multiply(at: Reading) -> None:
    """Lower a product of two values, of a value with itself, or of a value and a constant."""
    first, second = two(at)
    if second is None:
        constant = other(at)
        scale(at, constant, np.zeros_like(constant))
    elif first is second:
        at.finish(at.step(Activation("square")))
    else:
        combine(at, "multiply", first, second)


def divide(at: Reading) -> None:
    """Lower a value divided by a constant."""
    _, second = two(at)
    reverse = at.operation in ("rdiv", "rtruediv") or at.call.args[0] is not at.source
    at.require(second is None and not reverse and at.given.get("rounding_mode") is None, "by a value")
    constant = other(at)
    scale(at, 1 / constant, np.zeros_like(constant))


def negative(at: Reading) -> None:
    """Lower -x."""
    at.alone()
    scale(at, np.full(max(at.shape[0], 1), -1.0), np.zeros(max(at.shape[0], 1)))


def two(at: Reading) -> tuple[Value, Value | None]:
    """Return the two values, or one and None if the other argument is a constant."""
    at.require(set(at.call.kwargs) <= {"other"} and len(at.call.args) + len(at.call.kwargs) == 2, "with a factor")
    first, *rest = at.call.sources
    return first, rest[0] if rest else None


def other(at: Reading) -> Array:
    """Return the constant argument, one number for each channel if that suffices, otherwise one for each place."""
    given = [*at.call.args, *at.call.kwargs.values()]
    (constant,) = (one for one in given if one is not at.source)
    at.require(isinstance(constant, Value | int | float), "with another argument than a number")
    found = np.asarray(numbers(constant) if isinstance(constant, Value) else constant, np.float64)
    at.require(at.after == at.shape and len(at.shape) > 0, "that changes the shape")
    spread = np.broadcast_to(found, at.source.shape)
    at.require(bool((spread == spread[:1]).all()), "with other numbers for each image")
    by_channel: Array = spread[0].reshape(at.shape[0], -1)
    alike = bool((by_channel == by_channel[:, :1]).all())
    return by_channel[:, 0] if alike else by_channel.reshape(-1)


def scale(at: Reading, factor: Array, summand: Array) -> None:
    """Add factor * x + summand, for each channel or for each place."""
    shape: Shape = plain(at.after) if len(factor) == at.shape[0] else (len(factor), 1, 1)
    at.finish(at.step(Scale(factor, summand), shape=shape))


def combine(at: Reading, kind: str, first: Value, second: Value, name: str | None = None) -> None:
    """Add a sum or product of two values of one shape, or with one value for each channel.

    name: of the second value's step.
    """
    names = [at.steps.read(first), name or at.steps.read(second)]
    shapes = [plain(value.shape[1:]) for value in (first, second)]
    if torch.Size(first.shape) != torch.Size(second.shape):
        at.require(first.dim() == second.dim(), "of two values with different axes")
        if shapes[0][1:] == (1, 1):
            names, shapes = names[::-1], shapes[::-1]
        at.require(shapes[1] == (shapes[0][0], 1, 1), f"of {first.shape[1:]} and {second.shape[1:]}")
    at.finish(at.join(Combine(kind), *names))
