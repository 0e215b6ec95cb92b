"""Single operations of featherweight.training.kernels and of torch, to be measured forward and backward by kernels.py.

The shapes are those of the dropout and batch norm layers in a network, channels last.
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
    """An operation on images (N, C, H, W). p: the probability of dropout."""

    operation: str
    shape: tuple[int, ...]
    p: float = 0.0

    def __str__(self) -> str:
        return f"{self.operation} {'x'.join(map(str, self.shape))}"


def find_cases(model: str, batch_size: int) -> list[Case]:
    """Return the dropout and batch norm operations of a network, each shape once, in the order of the forward pass."""
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
    """Return one function per variant ("torch", "narrow") that runs the operation forward and backward once."""
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
    """Return the arguments that follow the images in a call of F.batch_norm, for training.

    The tensors are float32, as under autocast.
    """
    running = torch.zeros(channels), torch.ones(channels)
    return *running, torch.ones(channels, requires_grad=True), torch.zeros(channels, requires_grad=True), True
