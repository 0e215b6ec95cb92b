"""Surrogate of a network: the same network without anything that could hide a pixel from the gradient.

The gradient of a unit is then non-zero exactly at the pixels that the unit sees. Weights become equal, positive and
divided by their fan-in. Max pooling becomes average pooling. Activations, normalisation, dropout and softmax become the
identity. These replacements happen at the function calls, so functional code is covered and no weight is overwritten.

Equal weights make all channels of a layer equal. Only one channel is computed, and the others are views of it. So even
ResNet-50 needs little memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from featherweight.graph import calls

_CONVOLVE: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@dataclass(frozen=True)
class _Call:
    """One call with at least one argument that requires a gradient. These arguments are the sources."""

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    sources: Sequence[Tensor]

    def arguments(self) -> dict[str, Any]:
        return calls.named(calls.function_name(self.function), self.args, self.kwargs)


class Surrogate(TorchFunctionMode):
    """Mode that replaces torch functions while active. A tensor depends on an input if it requires a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self._singles: Any = WeakTensorKeyDictionary()      # map with equal channels -> its one channel
        self._meanings: Any = WeakTensorKeyDictionary()     # mask or integers -> tensor that carries their gradient
        self._replacements: dict[str, Callable[[_Call], Any]] = {
            **dict.fromkeys(calls.POINTWISE, _first),
            **dict.fromkeys(calls.ARITHMETIC, self._sum),
            **dict.fromkeys(calls.CONVOLUTIONS, self._convolution),
            **dict.fromkeys(calls.TRANSPOSED, _evenly),
            **dict.fromkeys(calls.POOLS, self._pool),
            **dict.fromkeys(calls.ADAPTIVE_POOLS, _adaptive_average),
            **dict.fromkeys(calls.REDUCTIONS | {"std", "var"}, self._mean),
            **dict.fromkeys(("matmul", "mm", "addmm"), _evenly),
            **dict.fromkeys(("view", "view_as"), _contiguous),      # equal channels share memory
            "linear": _linear,
        }

    @property
    def replaced(self) -> frozenset[str]:
        """Operations that are replaced. All others run as they are."""
        return frozenset(self._replacements)

    def single(self, tensor: Tensor) -> Tensor:
        """Return the one channel of a map whose channels are all equal; for any other tensor, the tensor itself."""
        found: Tensor = self._singles.get(tensor, tensor)
        return found

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = calls.function_name(function)
        if _reads_a_flag(function, name):
            return False            # as in the pass for the layer table, which has no gradients
        with torch.inference_mode(False), torch.enable_grad():      # forward may switch gradients off
            meant, named = self._meant(tuple(args)), self._meant(dict(kwargs))
            given = calls.floating_in(calls.values_of(name, meant, named))
            call = _Call(function, meant, named, [tensor for tensor in given if tensor.requires_grad])
            if call.sources and name in calls.WITHOUT_GRADIENT:
                result = function(*args, **kwargs)
                if isinstance(result, Tensor):      # bool(x) returns a Python bool
                    self._meanings[result] = self._sum(call)
                return result
            replacement = self._replacements.get(name)
            if call.sources and replacement is not None:
                return replacement(call)
            result = function(*args, **kwargs)
            if name in calls.MOVES and isinstance(args[0], Tensor) and args[0] in self._meanings:
                self._remember(result, function(*meant, **named))
            return result

    def _meant(self, value: Any) -> Any:
        """Return a call's arguments with masks and integers replaced by the tensors that carry their gradient."""
        return calls.replaced(value, Tensor, lambda tensor: self._meanings.get(tensor, tensor))

    def _remember(self, result: Any, meaning: Any) -> None:
        for tensor, carrier in zip(calls.tensors_in(result), calls.tensors_in(meaning), strict=True):
            self._meanings[tensor] = carrier

    def _spread(self, one: Tensor, channels: int) -> Tensor:
        """Expand (N, 1, ...) to (N, channels, ...) without copying, and store the one channel for `single`."""
        full = one.expand(-1, channels, *one.shape[2:])
        self._singles[full] = one
        return full

    def _sum(self, call: _Call) -> Tensor:
        """Return the mean of all sources, for any function of several tensors.

        Every source keeps a gradient, and the mean keeps the numbers small.
        """
        shapes = (tensor.shape for tensor in calls.tensors_in((call.args, call.kwargs)))
        shape = torch.Size(torch.broadcast_shapes(*shapes))     # type: ignore[no-untyped-call]
        if all(tensor in self._singles and tensor.shape == shape for tensor in call.sources):
            total = torch.stack([self.single(tensor) for tensor in call.sources]).mean(0)
            return self._spread(total, shape[1])
        return torch.stack([tensor.expand(shape) for tensor in call.sources]).mean(0)

    def _convolution(self, call: _Call) -> Tensor:
        given = call.arguments()
        tensor, weight, groups = given["input"], given["weight"], given.get("groups", 1)
        if tensor in self._singles or groups == 1:
            one, maps = self.single(tensor).mean(1, keepdim=True), 1
        else:
            one, maps = tensor.unflatten(1, (groups, -1)).mean(2), groups
        result = _CONVOLVE[weight.dim() - 2](
            one, _equal_kernel(maps, weight.shape[2:]), None,
            given.get("stride", 1), given.get("padding", 0), given.get("dilation", 1), maps,
        )
        if maps == 1:
            return self._spread(result, weight.shape[0])
        return result.repeat_interleave(weight.shape[0] // maps, 1)

    def _pool(self, call: _Call) -> Any:
        """Return average pooling with max pooling's dilation and ceil mode, computed as a convolution.

        Each map is convolved by itself.
        """
        given = call.arguments()
        tensor, one = given["input"], self.single(given["input"])
        n = tensor.dim() - 2
        with torch.no_grad():
            model = call.function(**{**given, "input": one})
        shape = model[0].shape if isinstance(model, tuple) else model.shape
        kernel = calls.per_axis(given["kernel_size"], n)
        stride = calls.per_axis(given.get("stride") or kernel, n)
        dilation = calls.per_axis(given.get("dilation", 1), n)
        before = calls.per_axis(given.get("padding", 0), n)
        amounts: list[int] = []         # F.pad takes the last axis first; ceil mode needs more at the end
        for k in reversed(range(n)):
            needed = (shape[2 + k] - 1) * stride[k] + (kernel[k] - 1) * dilation[k] + 1
            amounts += [before[k], needed - one.shape[2 + k] - before[k]]
        maps = one.shape[1]
        padded = F.pad(one, amounts)
        result = _CONVOLVE[n](padded, _equal_kernel(maps, kernel), None, stride, 0, dilation, maps)
        result = result if one is tensor else self._spread(result, tensor.shape[1])
        return (result, model[1].expand(result.shape)) if isinstance(model, tuple) else result

    def _mean(self, call: _Call) -> Any:
        """Return the mean in place of max, sum, std and other reductions. torch.max(a, b) is treated like a sum."""
        if len(call.args) > 1 and isinstance(call.args[1], Tensor):
            return self._sum(call)
        given = call.arguments()
        tensor, dim = given["input"], given.get("dim", given.get("axis"))
        keep = bool(given.get("keepdim", False))
        average = tensor.mean() if dim is None else tensor.mean(dim, keepdim=keep)
        result = call.function(*call.args, **call.kwargs)
        return type(result)((average, result[1])) if isinstance(result, tuple) else average


def _reads_a_flag(function: Callable[..., Any], name: str) -> bool:
    """Return True for x.requires_grad, which is a bool. x.requires_grad_() and x.data return a tensor."""
    return name == "requires_grad" and function.__name__ == "__get__"


def _first(call: _Call) -> Tensor:
    return call.sources[0]


def _adaptive_average(call: _Call) -> Tensor:
    name = calls.function_name(call.function).replace("max", "avg")
    average: Tensor = getattr(F, name)(call.sources[0], (*call.args, call.kwargs.get("output_size"))[1])
    return average


def _linear(call: _Call) -> Any:
    given = call.arguments()
    tensor, weight = given["input"], given["weight"]
    return tensor.mean(-1, keepdim=True).expand(*tensor.shape[:-1], weight.shape[0])


def _contiguous(call: _Call) -> Any:
    return call.function(call.args[0].contiguous(), *call.args[1:], **call.kwargs)


def _evenly(call: _Call) -> Any:
    """Call the function itself, with equal positive numbers in place of every weight."""
    return call.function(*_evened(tuple(call.args)), **_evened(dict(call.kwargs)))


def _evened(value: Any) -> Any:
    if isinstance(value, Tensor) and value.is_floating_point() and not value.requires_grad:
        return torch.full_like(value, 1 / max(value.numel(), 1))
    if isinstance(value, (tuple, list)):
        return type(value)(_evened(item) for item in value)
    return {key: _evened(item) for key, item in value.items()} if isinstance(value, dict) else value


def _equal_kernel(maps: int, kernel: Sequence[int]) -> Tensor:
    """Return a kernel (maps, 1, *kernel) whose weights are equal and add up to 1 for each map."""
    return torch.full((maps, 1, *kernel), 1 / math.prod(kernel), dtype=torch.float64)
