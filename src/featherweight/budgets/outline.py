"""Running of a network for its shapes only: convolutions and linear layers compute nothing.

A skeleton is a copy of a network that shares the weights. It can be edited and run; the network stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from featherweight.graph import calls
from featherweight.graph.recorder import Recorder, ends_here

NORMS = nn.BatchNorm1d, nn.BatchNorm2d
WEIGHTED = nn.Conv2d, nn.Linear, *NORMS


class Outline(TorchFunctionMode):
    """Inside this mode, functions with weights check the shapes and return zeros. All other functions run."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return outlined(function, args, kwargs or {})


class OutlineRecorder(Recorder):
    """A recorder of a pass that computes shapes only.

    Two hooks for all modules watch the pass, because two hooks for each module take longer than the pass. Tensors are
    kept until the recorder is deleted, because weak references to them take longer than the small tensors are worth.
    """

    def __init__(self, module: nn.Module, *, distinct: bool = False) -> None:
        super().__init__(module, distinct=distinct)
        self._values = ByIdentity()

    def _watch(self, module: nn.Module, name: str, seen: set[int]) -> Iterator[Any]:
        places = dict(places_in(module, name))
        if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
            yield from super()._watch(module, name, seen)
            return

        def enter(part: nn.Module, given: Any) -> None:
            if id(part) in places:
                self._enter(part, *places[id(part)])

        def leave(part: nn.Module, given: Any, result: Any) -> None:
            if id(part) in places:
                self._leave(part, given, result)

        yield register_module_forward_pre_hook(enter)
        yield register_module_forward_hook(leave)

    def compute(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return outlined(function, args, kwargs)


class ByIdentity:
    """A dictionary with tensors as keys. Tensors are compared by identity and kept alive."""

    def __init__(self) -> None:
        self.found: dict[int, tuple[Tensor, Any]] = {}

    def __contains__(self, tensor: Tensor) -> bool:
        return id(tensor) in self.found

    def __setitem__(self, tensor: Tensor, value: Any) -> None:
        self.found[id(tensor)] = tensor, value

    def __getitem__(self, tensor: Tensor) -> Any:
        return self.found[id(tensor)][1]

    def get(self, tensor: Tensor) -> Any:
        """Return the value of a tensor, or None."""
        pair = self.found.get(id(tensor))
        return None if pair is None else pair[1]


def places_in(module: nn.Module, name: str) -> Iterator[tuple[int, tuple[str, bool]]]:
    """Yield (id, (name, True for a layer)) of a module and its parts, down to the layers. The first name counts."""
    named = [(name, module)]
    found = set[int]()
    while named:
        name, part = named.pop()
        if id(part) in found:
            continue
        found.add(id(part))
        leaf = ends_here(part, name)
        yield id(part), (name, leaf)
        if not leaf:
            inner = [(f"{name}.{key}" if name else key, child) for key, child in part.named_children()]
            named += inner[::-1]


def outlined(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return the result of a function; of a function with weights, zeros in its shape."""
    rule = RULES.get(getattr(function, "__name__", ""))
    return function(*args, **kwargs) if rule is None else rule(function.__name__, args, kwargs)


def convolution(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Return zeros in the shape of the output. Raise RuntimeError if the shapes do not fit."""
    given = calls.named(name, args, kwargs)
    images, weight, padding = given["input"], given["weight"], given.get("padding", 0)
    if images.dim() != 4 or images.shape[1] != weight.shape[1] * given.get("groups", 1):
        raise RuntimeError(f"convolution of {tuple(images.shape)} with {tuple(weight.shape)}")
    stride, dilation = (calls.per_axis(given.get(key, 1), 2) for key in ("stride", "dilation"))
    reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    words = {"same": reach, "valid": [0, 0]}
    pads = words[padding] if isinstance(padding, str) else [2 * one for one in calls.per_axis(padding, 2)]
    sides = [(n + p - r - 1) // s + 1 for n, p, r, s in zip(images.shape[2:], pads, reach, stride, strict=True)]
    return zeros(images, (len(images), len(weight), *sides))


def linear(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Return zeros in the shape of the output. Raise RuntimeError if the shapes do not fit."""
    given = calls.named(name, args, kwargs)
    if given["input"].shape[-1] != given["weight"].shape[1]:
        raise RuntimeError(f"linear layer of {tuple(given['input'].shape)} with {tuple(given['weight'].shape)}")
    return zeros(given["input"], (*given["input"].shape[:-1], len(given["weight"])))


def normalisation(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Return zeros in the shape of the input. Raise RuntimeError if the number of channels differs."""
    value, *others = (*args, *kwargs.values())
    sizes = {len(one) for one in others if isinstance(one, Tensor)}
    if sizes - {value.shape[1]}:
        raise RuntimeError(f"batch normalisation of {tuple(value.shape)} with {sizes} channels")
    return zeros(value, value.shape)


def zeros(like: Tensor, shape: Sequence[int]) -> Tensor:
    """Return zeros of a shape. Raise RuntimeError if a side is smaller than 1."""
    if min(shape) < 1:
        raise RuntimeError(f"empty shape {tuple(shape)}")
    return like.new_zeros(tuple(shape), dtype=torch.float32)


RULES: dict[str, Callable[[str, Sequence[Any], Mapping[str, Any]], Tensor]] = {
    "conv2d": convolution, "linear": linear, "batch_norm": normalisation,
}


def blank(*shape: int) -> nn.Parameter:
    """Return a parameter of zeros that takes no memory."""
    return nn.Parameter(torch.zeros(()).expand(shape))


def skeleton(module: nn.Module, known: dict[int, nn.Module] | None = None, *, fresh: bool = False) -> nn.Module:
    """Return a copy of a module and its parts that shares all tensors. A part that is used twice is copied once.

    fresh: the parameters of layers with weights are new ones, as a second layer of the same form needs.
    """
    known = {} if known is None else known
    if isinstance(module, torch.jit.ScriptModule):      # has no form that could be copied
        return module
    if id(module) in known:
        return known[id(module)]
    twin: nn.Module = type(module).__new__(type(module))
    known[id(module)] = twin
    vars(twin).update(vars(module))
    for key in ("_parameters", "_buffers", "_forward_hooks", "_forward_pre_hooks"):
        vars(twin)[key] = type(vars(module)[key])(vars(module)[key])
    parts = {name: part and skeleton(part, known, fresh=fresh) for name, part in module._modules.items()}
    vars(twin)["_modules"] = parts
    if fresh:
        for name, parameter in module._parameters.items():
            twin._parameters[name] = parameter if parameter is None else blank(*parameter.shape)
    return twin


def hollow(module: nn.Module) -> nn.Module:
    """Replace the weights of convolutions, linear layers and normalisations by blank ones, and return the module."""
    blanks: dict[int, nn.Parameter] = {}
    for part in module.modules():
        for name, parameter in part._parameters.items() if isinstance(part, WEIGHTED) else ():
            if parameter is not None:
                part._parameters[name] = blanks.setdefault(id(parameter), blank(*parameter.shape))
    return module


def adapted(module: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Run an edited skeleton once. Each layer whose input has other channels than before is adapted to them.

    Returns the outputs. Raises the exception of the network if it cannot run.
    """
    seen: set[int] = set()

    def look(layer: nn.Module, given: Any) -> None:
        if isinstance(layer, WEIGHTED):
            adapt(layer, given[0], seen)

    handle = register_module_forward_pre_hook(look)     # one for all: the network is the only one that runs
    try:
        with Outline():
            return list(calls.tensors_in(module(*inputs)))
    finally:
        handle.remove()


def adapt(layer: nn.Module, value: Tensor, seen: set[int]) -> None:
    """Adapt a layer to the channels of its input. seen: ids of the layers that are adapted already."""
    channels = value.shape[-1] if isinstance(layer, nn.Linear) else value.shape[1]
    if channels != channels_into(layer):
        if id(layer) in seen:
            raise RuntimeError("a layer that is called twice has inputs of two widths")
        resize(layer, channels)
    seen.add(id(layer))


def channels_into(layer: nn.Module) -> int:
    """Number of channels or features that a layer takes."""
    key = {nn.Conv2d: "in_channels", nn.Linear: "in_features"}.get(kind_of(layer), "num_features")
    return int(getattr(layer, key))


def kind_of(layer: nn.Module) -> type[nn.Module]:
    """Return the class of WEIGHTED to which a layer belongs."""
    return next(kind for kind in WEIGHTED if isinstance(layer, kind))


def is_depthwise(layer: nn.Module) -> bool:
    """Return True for a convolution of each channel by itself."""
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1


def resize(layer: nn.Module, channels: int) -> None:
    """Change the input channels of a layer in place. A depthwise convolution and a normalisation stay as narrow."""
    if isinstance(layer, nn.Conv2d):
        outputs, groups = layer.out_channels, layer.groups
        if is_depthwise(layer):
            outputs, groups = layer.out_channels // layer.in_channels * channels, channels
        set_conv(layer, in_channels=channels, out_channels=outputs, groups=groups)
    elif isinstance(layer, nn.Linear):
        set_linear(layer, in_features=channels)
    elif isinstance(layer, NORMS):
        before, layer.num_features = layer.num_features, channels
        for tensors in (layer._parameters, layer._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and tensor.shape == (before,):
                    own = isinstance(tensor, nn.Parameter)
                    tensors[name] = blank(channels) if own else torch.ones(channels)  # type: ignore[assignment]


def set_conv(layer: nn.Conv2d, **settings: Any) -> None:
    """Change settings of a convolution in place, with blank weights in the new shape."""
    vars(layer).update(settings)
    if layer.in_channels % layer.groups or layer.out_channels % layer.groups:
        raise RuntimeError(f"{layer.groups} groups do not divide the channels")
    layer._parameters["weight"] = blank(layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size)
    if layer.bias is not None:
        layer._parameters["bias"] = blank(layer.out_channels)


def set_linear(layer: nn.Linear, **settings: Any) -> None:
    """Change settings of a linear layer in place, with blank weights in the new shape."""
    vars(layer).update(settings)
    layer._parameters["weight"] = blank(layer.out_features, layer.in_features)
    if layer.bias is not None:
        layer._parameters["bias"] = blank(layer.out_features)


def parameters_of(module: nn.Module) -> int:
    """Number of parameters, each counted once."""
    found = {id(one): one for part in module.modules() for one in part._parameters.values() if one is not None}
    return sum(math.prod(parameter.shape) for parameter in found.values())


class Uninitialised(TorchFunctionMode):
    """Inside this mode, torch.nn.init leaves new weights as they are and draws no random numbers."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if getattr(function, "__module__", "") == "torch.nn.init":
            with suppress(LookupError):
                return args[0] if args else (kwargs or {})["tensor"]
        return function(*args, **(kwargs or {}))
