"""The copy of a network that is looked at in its place, and the inputs it is run on."""

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

from featherweight.anatomy.cost import Shape
from featherweight.blame import in_one_line
from featherweight.errors import ModelError

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def is_leaf(module: nn.Module) -> bool:
    """Whether the module is a row of its own: a parametrized layer is one, an empty container is none."""
    if isinstance(module, CONTAINERS):
        return False
    return all(name == "parametrizations" for name, _ in module.named_children())


def copied(module: nn.Module, input_shapes: Sequence[Shape]) -> nn.Module:
    """A copy in evaluation mode, without the user's hooks; lazy parameters are still empty.

    Raises ModelError if the module cannot be copied or if a shape is empty.
    """
    for shape in input_shapes:
        if not shape or any(n < 1 for n in shape):
            raise ModelError(f"input shape {tuple(shape)} has an empty axis. Give it as C,H,W, like 1,28,28.")
    module = getattr(module, "_orig_mod", module)       # of a compiled module, the one that was written
    buffers = [b for part in module.modules() for b in part._buffers.values() if isinstance(b, UninitializedBuffer)]
    copies: dict[int, Any] = {id(b): UninitializedBuffer(device=b.device, dtype=b.dtype) for b in buffers}  # type: ignore[call-arg]
    try:
        twin = copy.deepcopy(module, copies).eval()     # torch does not copy such buffers itself
    except Exception as fault:
        raise ModelError(f"{type(module).__name__} cannot be copied: {in_one_line(fault)}") from fault
    for part in twin.modules():
        if not has_lazy(part):      # the hook of a lazy module is what fills its parameters in
            part._forward_hooks.clear()
            part._forward_pre_hooks.clear()
    return twin


def has_lazy(part: nn.Module) -> bool:
    """Whether a parameter or buffer of the module itself still waits for its shape."""
    values = (*part._parameters.values(), *part._buffers.values())
    return any(value is not None and is_lazy(value) for value in values)


def blank_inputs(module: nn.Module, input_shapes: Sequence[Shape], batch: int) -> list[Tensor]:
    """(batch, *shape) of zeros for each input, in the module's dtype and on its device."""
    like = next((p for p in module.parameters() if not is_lazy(p) and p.is_floating_point()), torch.empty(0))
    return [torch.zeros(batch, *shape, dtype=like.dtype, device=like.device) for shape in input_shapes]


@contextmanager
def untouched_random_state(module: nn.Module) -> Iterator[None]:
    """Restore the global random generators at the end, so that random numbers drawn inside change nothing."""
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
    """One or two images are little work; on a busy machine, threads that wait for each other take 15 times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
