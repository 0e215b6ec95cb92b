"""The forward pass of a network in evaluation mode: in C if the network was trained in C, else by torch.

Measurements and teachers use it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from featherweight.devices import autocast
from featherweight.forward import outputs_for
from featherweight.training.compiled.network import CompiledNetwork
from featherweight.training.compiled.program import compile_network
from featherweight.training.rehearsal import copy_of

FEW = 2         # images on which the network is recorded
AT_ONCE = 128   # images in the buffers of each thread

EvaluationPass = Callable[..., tuple[Tensor, ...]]      # (images, *inputs) -> outputs (N, classes) of each head


def evaluation_pass(model: nn.Module, inputs: Sequence[Tensor], *, precision: str, engine: str) -> EvaluationPass:
    """Return the function (normalised images, *further inputs) -> outputs (N, classes) of each head.

    inputs: of at least one image; only shapes and device count. precision: "float32" or "bf16".
    engine: that trained the network, "torch" or "compiled".
    In C, a copy of the network runs, so later changes of the weights have no effect.
    In C, a head that ends with log_softmax may return logits. They differ by one number for each image.
    """
    device = inputs[0].device
    if engine == "compiled" and device.type == "cpu":
        network = compiled_copy(model, inputs, precision)
        if network is not None:
            return partial(run_compiled, network)

    def by_torch(*values: Tensor) -> tuple[Tensor, ...]:
        with autocast(precision, device):
            return outputs_for(model, *values)

    return by_torch


def run_compiled(network: CompiledNetwork, *values: Tensor) -> tuple[Tensor, ...]:
    """Return the outputs of a compiled network in evaluation mode, float32 (N, classes) of each head."""
    parts = zip(*(torch.split(value.float().contiguous(), network.largest) for value in values), strict=True)
    outputs = [network.forward(part, key=0, training=False) for part in parts]
    return tuple(torch.cat(head) for head in zip(*outputs, strict=True))


def compiled_copy(model: nn.Module, inputs: Sequence[Tensor], precision: str) -> CompiledNetwork | None:
    """Return a compiled copy of a network for evaluation mode, or None if it cannot be compiled."""
    twin = copy_of(model)
    if twin is None:
        return None
    blank = [value.new_zeros(FEW, *value.shape[1:]) for value in inputs]
    try:
        program = compile_network(twin, blank, half=precision == "bf16", training=False)
        threads = torch.get_num_threads()
        return CompiledNetwork(program, AT_ONCE * threads, threads, training=False)
    except Exception:   # besides NotCompiled, NoLibrary and MemoryError: the network's own code may raise anything
        return None
