"""Copy of a network that is analysed instead of the network itself, and the copy's inputs."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from featherweight.blame import in_one_line
from featherweight.errors import ModelError
from featherweight.graph.calls import Shape, tensors_in

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def is_leaf(module: nn.Module) -> bool:
    """Return True if the module gets one row of the table, without rows for its parts.

    True for a parametrized or scripted module, False for an empty container.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return True
    if isinstance(module, CONTAINERS):
        return False
    return all(name == "parametrizations" for name, _ in module.named_children())


def kind_of(module: nn.Module) -> str:
    """Return the name of the module's class; for a scripted module, of the class before scripting."""
    return str(getattr(module, "original_name", type(module).__name__))


def kinds_of(network: nn.Module) -> dict[str, str]:
    """Return the name of each part of a network and the name of its class: "features.2" -> "ReLU6"."""
    return {name: kind_of(part) for name, part in network.named_modules() if name}


def filled(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that have a shape. The parameters of a lazy layer that was never called have none."""
    return [parameter for parameter in module.parameters() if not is_lazy(parameter)]


def copied(module: nn.Module, input_shapes: Sequence[Shape]) -> nn.Module:
    """Return a copy in evaluation mode, uncompiled, without the user's hooks. Lazy parameters are still empty.

    Raises ModelError if the module is scripted as a whole or cannot be copied, or if a shape is empty.
    """
    for shape in input_shapes:
        if not shape or any(n < 1 for n in shape):
            raise ModelError(f"input shape {tuple(shape)} has an empty axis. Give it as C,H,W, like 1,28,28.")
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            f"{kind_of(module)} is scripted, so its layers cannot be watched. "
            "Give the module as it was before torch.jit."
        )
    try:
        with torch.no_grad():
            twin = _copy(module).eval()
    except Exception as fault:
        raise ModelError(f"{type(module).__name__} cannot be copied: {in_one_line(fault)}") from fault
    for own, parameter in zip(module.parameters(), twin.parameters(), strict=True):
        if own.requires_grad != parameter.requires_grad:        # lost in the copy of a scripted module
            parameter.requires_grad_(own.requires_grad)
    for part in twin.modules():
        if not has_lazy(part) and not isinstance(part, torch.jit.ScriptModule):
            _drop_hooks(part._forward_hooks)
            _drop_hooks(part._forward_pre_hooks)
    return twin


def _copy(module: nn.Module) -> nn.Module:
    """Return a deep copy, with the original module in place of each compiled one."""
    known: dict[int, Any] = {}
    for part in module.modules():
        for buffer in part._buffers.values():
            if isinstance(buffer, UninitializedBuffer):     # torch cannot copy these
                known[id(buffer)] = UninitializedBuffer(device=buffer.device, dtype=buffer.dtype)  # type: ignore[call-arg]
    try:
        return _written(module, dict(known))
    except Exception:       # a computed tensor, a lock, a file: the analysis needs none of them
        return _written(module, known | _stand_ins(module))


def _written(module: nn.Module, known: dict[int, Any]) -> nn.Module:
    for part in reversed(list(module.modules())):
        if hasattr(part, "_orig_mod"):
            known[id(part)] = copy.deepcopy(part._orig_mod, known)
    twin: nn.Module = copy.deepcopy(module, known)
    return twin


def _stand_ins(module: nn.Module) -> dict[int, Any]:
    """Return {id: replacement} for attributes that cannot be copied.

    A computed tensor is replaced by its values. Any other object is used itself.
    """
    found: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            for tensor in tensors_in(value):
                if not tensor.is_leaf:
                    found[id(tensor)] = tensor.detach().clone()
        for name, value in vars(part).items():
            if name not in ("_modules", "_parameters", "_buffers"):
                try:
                    copy.deepcopy(value, dict(found))
                except Exception:
                    found[id(value)] = value
    return found


def _drop_hooks(hooks: dict[int, Any]) -> None:
    """Remove the user's hooks.

    Two kinds stay. torch's own hooks compute a normalised or pruned weight before the layer runs. Hooks with the
    attribute fits_images convert images to the layout or shape that the network needs.
    """
    for key, hook in list(hooks.items()):
        if not (type(hook).__module__.startswith("torch.nn.utils") or getattr(hook, "fits_images", False)):
            del hooks[key]


def on_cpu(twin: nn.Module) -> nn.Module:
    """Return the copy on the CPU. Parameters on the meta device have no values and get arbitrary ones."""
    if any(value.is_meta for value in (*twin.parameters(), *twin.buffers())):
        return twin.to_empty(device="cpu")
    return twin.cpu()


def has_lazy(part: nn.Module) -> bool:
    """Return True if a parameter or buffer of the module itself has no shape yet."""
    values = (*part._parameters.values(), *part._buffers.values())
    return any(value is not None and is_lazy(value) for value in values)


def blank_inputs(module: nn.Module, input_shapes: Sequence[Shape], batch: int) -> list[Tensor]:
    """Return zeros (batch, *shape) for each input, in the module's dtype and on its device."""
    like = next((p for p in module.parameters() if not is_lazy(p) and p.is_floating_point()), torch.empty(0))
    return [torch.zeros(batch, *shape, dtype=like.dtype, device=like.device) for shape in input_shapes]


@contextmanager
def untouched_random_state(module: nn.Module) -> Iterator[None]:
    """Restore the global random generators at the end of the block.

    So random numbers drawn inside do not change later ones.
    """
    devices = sorted({p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"})
    numpy = sys.modules.get("numpy")
    python_state, numpy_state = random.getstate(), numpy.random.get_state() if numpy else None
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)


@contextmanager
def one_thread() -> Iterator[None]:
    """Make torch use one thread inside the block.

    One or two images are little work. On a busy machine, threads that wait for each other take 15 times as long.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
