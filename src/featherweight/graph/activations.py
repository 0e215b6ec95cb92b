"""Activations in numpy: the functions of single numbers that C and ONNX compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from featherweight.graph.plain import Activation, Array


def activated(layer: Activation, x: Array) -> Array:
    """Return the activation of each number, in float64."""
    found: Array = FUNCTIONS[layer.name](np.asarray(x, np.float64), *layer.numbers)
    return found


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)) without overflow."""
    half: Array = 0.5 * (1 + np.tanh(0.5 * x))
    return half


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x)) without overflow."""
    return np.logaddexp(0.0, x)


def gelu(x: Array) -> Array:
    """Return x times the probability that a normal number is below x."""
    return np.array([0.5 * value * (1 + math.erf(value / math.sqrt(2))) for value in x.reshape(-1)]).reshape(x.shape)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sigmoid": sigmoid, "tanh": np.tanh, "silu": lambda x: x * sigmoid(x), "gelu": gelu,
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1), "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "softplus": softplus, "mish": lambda x: x * np.tanh(softplus(x)),
    "leaky_relu": lambda x, slope: np.where(x > 0, x, slope * x),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "clip": np.clip, "square": np.square, "abs": np.abs,
    "sqrt": lambda x: np.sqrt(np.maximum(x, 0)),
}
