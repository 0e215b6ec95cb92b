"""A step of an optimizer and of the average of the weights in C, for all parameters in one call.

The state stays in the tensors of the torch optimizer and of the AveragedModel. So checkpoints are the same, and torch
can continue a training that C began.
"""

from __future__ import annotations

import ctypes
import inspect
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from featherweight.codegen.library import load
from featherweight.training.compiled.rules import MUON_RULE, batches
from featherweight.training.compiled.source import c_file
from featherweight.training.compiled.structs import Average, Group, NotFused, Pair, address, array, same_layout

EXPONENTIAL = "get_ema_multi_avg_fn.<locals>.ema_update"    # torch's function of an exponential average


class FusedOptimizer:
    """An optimizer and the average of its network, updated by compiled C. The CPU only.

    average: made by build_average() from `model`, or None. Each step updates it, in place of update_parameters().
    Each step notices a parameter, gradient or average that has moved in memory, and a state that the optimizer loaded.
    Call rebind() after any other replacement of a tensor. Examples are a buffer of the network and a new group.
    Raises NotFused if C cannot do the same as torch, and NoLibrary if nothing can be compiled here.
    """

    def __init__(self, optimizer: Optimizer, model: nn.Module, average: AveragedModel | None = None) -> None:
        self.optimizer, self.model, self.average = optimizer, model, average
        self.decay = 0.0 if average is None else decay_of(average)
        library = load("optimize", c_file("optimize.c"))
        self.optimize, self.muon_scratch = library.optimize, library.muon_scratch
        self.optimize.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
        self.optimize.restype = None
        self.muon_scratch.argtypes, self.muon_scratch.restype = [ctypes.c_int64, ctypes.c_int64], ctypes.c_int64
        self.rebind()

    def step(self, lr: float) -> None:
        """Update all parameters that have a gradient with learning rate `lr`, then the average.

        Raises NotFused before any change if a replaced tensor is not supported.
        """
        if self.optimizer.state is not self.state or self.addresses != self.current_addresses():
            self.rebind()
        for batch, struct in zip(self.batches, self.groups, strict=True):
            batch.set_rates(struct, lr)
        self.optimize(self.groups, len(self.groups), self.averaged, self.scratch.data_ptr())
        vars(self.optimizer)["_opt_called"] = True      # torch's schedules check this before they change lr

    def rebind(self) -> None:
        """Take the addresses of all tensors again."""
        self.parameters = [each for group in self.optimizer.param_groups for each in group["params"]]
        self.pairs = [] if self.average is None else pairs(self.model, self.average)
        self.batches, self.state = list(batches(self.optimizer)), self.optimizer.state
        self.groups = array(Group, (batch.struct(self.state) for batch in self.batches))
        self.averaged = None if self.average is None else self.average_struct(self.average)
        matrices = [each for batch in self.batches if batch.rule == MUON_RULE for each in batch.parameters]
        sizes = [self.muon_scratch(each.numel(), len(each)) for each in matrices]
        self.scratch = torch.empty(max(sizes, default=0), dtype=torch.uint8)    # torch aligns it to 64 bytes
        self.addresses = self.current_addresses()

    def current_addresses(self) -> list[int]:
        """Return the addresses that step() compares."""
        gradients = (each.grad for each in self.parameters)
        return [*map(address, chain(gradients, self.parameters, (average for average, _ in self.pairs)))]

    def average_struct(self, average: AveragedModel) -> Any:
        """Return a pointer to the struct of the average."""
        structs = array(Pair, (
            Pair(ours.data_ptr(), theirs.data_ptr(), ours.numel(), ours.dtype == torch.int64)
            for ours, theirs in self.pairs
        ))
        return ctypes.pointer(Average(average.n_averaged.data_ptr(), self.decay, structs, len(structs)))


def decay_of(average: AveragedModel) -> float:
    """Return the decay of an average that build_average() made. Raise NotFused for any other average."""
    function = average.multi_avg_fn
    if function is None or function.__qualname__ != EXPONENTIAL or not average.use_buffers:
        raise NotFused("the average of the weights is not an exponential average with buffers")
    return float(inspect.getclosurevars(inspect.unwrap(function)).nonlocals["decay"])


def pairs(model: nn.Module, average: AveragedModel) -> list[tuple[Tensor, Tensor]]:
    """Return each parameter and buffer of the average with that of the model.

    Raises NotFused if C cannot average one of them.
    """
    ours, theirs = (chain(one.parameters(), one.buffers()) for one in (average.module, model))
    found = list(zip(ours, theirs, strict=True))
    for one, other in found:
        if one.dtype not in (torch.float32, torch.int64) or not same_layout(one, other):
            kind = f"{other.dtype} {tuple(other.shape)}"
            raise NotFused(f"average of {kind}: needed is dense float32 or int64 on the CPU")
    return found
