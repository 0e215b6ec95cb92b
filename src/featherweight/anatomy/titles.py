"""Titles of the boxes in a network's drawing: inputs, layers and functions with their settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.pooling import _AvgPoolNd, _MaxPoolNd

from featherweight.anatomy.graph import by
from featherweight.graph import Call, calls
from featherweight.graph.twin import kind_of


def input_titles(module: nn.Module, count: int) -> list[str]:
    """Return a title for each input: ["input"] for a single input.

    Several inputs are titled by their names in forward's signature: ["input image", "input noise"].
    """
    if count == 1:
        return ["input"]
    parameters = inspect.signature(module.forward).parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return [f"input {names[k] if k < len(names) else k + 1}" for k in range(count)]


def module_title(module: nn.Module) -> tuple[str, str]:
    """Return a title and the unusual settings, such as ("Conv2d 3x3, 16", "stride 2, padding 1")."""
    kind = kind_of(module)
    if isinstance(module, nn.Linear):
        return f"{kind} {module.out_features}", ""
    if isinstance(module, _DropoutNd):
        return f"{kind} {module.p:g}", ""
    if isinstance(module, _ConvNd):
        usual: dict[str, Any] = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        return f"{kind} {by(module.kernel_size)}, {module.out_channels}", _unusual(module, usual)
    if isinstance(module, (_MaxPoolNd, _AvgPoolNd)):
        axes = next((int(letter) for letter in kind if letter in "123"), 2)
        usual = {"stride": module.kernel_size, "padding": 0}
        return f"{kind} {by(calls.per_axis(module.kernel_size, axes))}", _unusual(module, usual)
    return kind, ""


def _unusual(module: nn.Module, usual: Mapping[str, Any]) -> str:
    """Return the settings that differ from their usual values, as text."""
    told = []
    for name, expected in usual.items():
        value = getattr(module, name)
        values = set(value) if isinstance(value, tuple) else {value}
        if value != expected and values != {expected}:
            told.append(f"{name} {values.pop() if len(values) == 1 else by(value)}")
    return ", ".join(told)


def call_title(call: Call) -> str:
    """Return "max_pool2d 2x2" or "conv2d 3x3, 16"; for most functions, only the name."""
    name = call.operation
    if name in calls.POOLS:
        kernel = calls.named(name, call.args, call.kwargs).get("kernel_size", ())
        return f"{name} {by(calls.per_axis(kernel, int(name[-2])))}"
    if name in calls.CONVOLUTIONS or name == "linear":
        outputs, *rest = calls.named(name, call.args, call.kwargs)["weight"].shape
        return f"{name} {outputs}" if name == "linear" else f"{name} {by(rest[1:])}, {outputs}"
    return name
