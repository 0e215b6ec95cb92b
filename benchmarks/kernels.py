"""A whole training step with and without featherweight.training.kernels.NarrowKernels, taking turns in one process."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from report import RESULTS, spread, write
from rich.console import Console
from rich.table import Table

from featherweight.models import build_model
from featherweight.tasks import loss_of
from featherweight.training.kernels import NarrowKernels
from featherweight.training.optimization import build_optimizer
from featherweight.training.step import autocast, keep_freed_memory

KERNELS = {"torch": nullcontext, "narrow": NarrowKernels}
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["session7-model2", "session6"])
    parser.add_argument("--blocks", type=int, default=6, help="turns of each variant")
    parser.add_argument("--steps", type=int, default=10, help="steps in a turn, after two untimed ones")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--out", type=Path, default=RESULTS / "kernels.json")
    given = parser.parse_args()
    keep_freed_memory()
    found: dict[str, dict[str, Any]] = {}
    shown = Table("model", "precision", "torch, ms a step", "narrow, ms a step", "torch / narrow")
    for model in given.models:
        for precision in ("float32", "bf16"):
            both = {name: spread(times) for name, times in measure(model, precision, given).items()}
            ratio = both["torch"]["median"] / both["narrow"]["median"]
            found.setdefault(model, {})[precision] = {**both, "torch_by_narrow": ratio}
            shown.add_row(model, precision, *(f"{both[name]['median']:.2f}" for name in KERNELS), f"{ratio:.2f}")
            write(given.out, {"blocks": given.blocks, "steps": given.steps, "milliseconds_a_step": found})
    Console().print(shown)


def measure(model: str, precision: str, given: argparse.Namespace) -> dict[str, list[float]]:
    """Milliseconds of every step, by variant."""
    steps = {name: build_step(model, precision, name, given.batch_size) for name in KERNELS}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(given.blocks):
        for name, step in steps.items():
            step()
            step()
            times[name] += [milliseconds(step) for _ in range(given.steps)]
    return times


def build_step(model: str, precision: str, kernels: str, batch_size: int) -> Callable[[], None]:
    """The same weights, images and labels for every variant."""
    torch.manual_seed(0)
    network = build_model(model).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    images = torch.randn(batch_size, 1, 28, 28).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch_size,))
    optimizer = build_optimizer(network.parameters(), "sgd", lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with KERNELS[kernels](), autocast(precision, CPU):
            outputs = network(images)
        loss_of(outputs, (labels,)).backward()
        optimizer.step()

    return step


def milliseconds(step: Callable[[], None]) -> float:
    """Wall time of one step."""
    started = time.perf_counter()
    step()
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
