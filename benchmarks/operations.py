"""Single operations of featherweight.training.kernels and their torch counterparts, forward and backward.

The shapes are those that a network really gives its dropout and batch norm layers, channels last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.models import build_model, input_shapes
from featherweight.training import kernels

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}
FUNCTIONS = {
    "dropout": {"torch": F.dropout, "narrow": kernels.dropout},
    "batch_norm": {"torch": F.batch_norm, "narrow": kernels.batch_norm},
}


@dataclass(frozen=True)
class Case:
    """An operation on (N, C, H, W); p is dropout's."""

    operation: str
    shape: tuple[int, ...]
    p: float = 0.0

    def __str__(self) -> str:
        return f"{self.operation} {'x'.join(map(str, self.shape))}"


def find_cases(model: str, batch_size: int) -> list[Case]:
    """Every dropout and batch norm of a network, each shape once, in the order of the forward pass."""
    network = build_model(model)
    cases: list[Case] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        operation, p = ("dropout", layer.p) if isinstance(layer, nn.Dropout) else ("batch_norm", 0.0)
        cases.append(Case(operation, tuple(inputs[0].shape), p))

    for layer in network.modules():
        if isinstance(layer, nn.Dropout | nn.BatchNorm2d):
            layer.register_forward_pre_hook(note)
    network(torch.zeros(batch_size, *input_shapes(network)[0]))
    return list(dict.fromkeys(cases))


def build_variants(case: Case, precision: str) -> dict[str, Callable[[], None]]:
    """For each function of this operation: run it forward and backward once."""
    return {name: build_variant(case, precision, function) for name, function in FUNCTIONS[case.operation].items()}


def build_variant(case: Case, precision: str, function: Callable[..., Tensor]) -> Callable[[], None]:
    torch.manual_seed(0)
    images, gradient = (
        torch.randn(case.shape, dtype=PRECISIONS[precision]).contiguous(memory_format=torch.channels_last)
        for _ in range(2)
    )
    images.requires_grad_()
    arguments = (case.p, True) if case.operation == "dropout" else batch_norm_arguments(case.shape[1])

    def run() -> None:
        images.grad = None
        function(images, *arguments).backward(gradient)

    return run


def batch_norm_arguments(channels: int) -> tuple[Tensor | bool, ...]:
    """What F.batch_norm takes beside the images while training; float32, as under autocast."""
    running = torch.zeros(channels), torch.ones(channels)
    return *running, torch.ones(channels, requires_grad=True), torch.zeros(channels, requires_grad=True), True
