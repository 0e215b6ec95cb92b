"""The part "narrow" of kernels.py: training steps of torch with and without NarrowKernels, in float32 and bf16.

A step is forward, loss, backward and optimizer, on one fixed batch, channels last. After that the two operations are
measured alone, forward and backward (operations.py). The variants take turns in blocks of steps. A ratio compares the
medians of two blocks that were measured directly after each other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from statistics import median
from typing import Any

import torch
from operations import build_variants, find_cases

import report
from featherweight.devices import autocast
from featherweight.models import build_model, input_shapes
from featherweight.tasks import loss_of
from featherweight.training.kernels import NarrowKernels
from featherweight.training.optimization import build_optimizer

KERNELS = {"torch": nullcontext, "narrow": NarrowKernels}
CPU = torch.device("cpu")


def measure(content: dict[str, Any], model: str, precision: str, options: argparse.Namespace) -> None:
    """Measure one network, and add the results to `content`."""
    content.setdefault("operations", [])
    compare_steps(content, model, precision, options)
    compare_operations(content, model, precision, options)


def compare_steps(content: dict[str, Any], model: str, precision: str, options: argparse.Namespace) -> None:
    """Measure whole steps of one network, and add the results to `content`."""
    steps = {name: build_step(model, precision, name, options.batch_size) for name in KERNELS}
    found, ratio = compare(steps, options)
    content["results"].setdefault(model, {})[precision] = found
    content["ratios"].setdefault(model, {})[precision] = {"torch / narrow": ratio}
    report.say(f"{model} {precision}: torch / narrow {report.show(ratio, 2)}")


def compare_operations(content: dict[str, Any], model: str, precision: str, options: argparse.Namespace) -> None:
    """Measure dropout and batch norm for each shape in one network, and add the results to `content`."""
    for case in find_cases(model, options.batch_size):
        found, ratio = compare(build_variants(case, precision), options)
        which = {"model": model, "precision": precision, "operation": case.operation, "shape": list(case.shape)}
        content["operations"].append(which | found | {"torch / narrow": ratio})
        report.say(f"{model} {precision} {case}: torch / narrow {report.show(ratio, 2)}")


def compare(
    steps: dict[str, Callable[[], None]], options: argparse.Namespace
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return (results of each variant, spread of the ratio torch / narrow)."""
    found = summarise(in_turn(steps, options))
    ratios = report.ratios(*(found[name]["block_medians_ms"] for name in ("narrow", "torch")))
    return found, report.spread(ratios, 3)


def in_turn(steps: dict[str, Callable[[], None]], options: argparse.Namespace) -> dict[str, list[list[float]]]:
    """Return the milliseconds of every step, by variant and block."""
    for step in steps.values():
        for _ in range(options.warm_up):
            step()
    blocks: dict[str, list[list[float]]] = {name: [] for name in steps}
    for _ in range(options.blocks):
        for name, step in steps.items():
            blocks[name].append([milliseconds(step) for _ in range(options.steps)])
    return blocks


def build_step(model: str, precision: str, kernels: str, batch_size: int) -> Callable[[], None]:
    """Return a function that does one training step. Weights, images and labels are the same for every variant."""
    torch.manual_seed(0)
    network = build_model(model).to(memory_format=torch.channels_last).train()
    images = torch.randn(batch_size, *input_shapes(network)[0]).contiguous(memory_format=torch.channels_last)
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
    started = time.perf_counter()
    step()
    return (time.perf_counter() - started) * 1000


def summarise(blocks: dict[str, list[list[float]]]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "step_ms": report.spread([step for block in found for step in block], 3),
            "block_medians_ms": [round(median(block), 3) for block in found],
        }
        for name, found in blocks.items()
    }


def print_results(content: dict[str, Any]) -> None:
    rows = [
        [model, precision, *(report.show(both[name]["step_ms"], 1) for name in KERNELS),
         report.show(content["ratios"][model][precision]["torch / narrow"], 2)]
        for model, precisions in content["results"].items() for precision, both in precisions.items()
    ]
    columns = ["model", "precision", "torch, ms a step", "NarrowKernels, ms a step", "torch / narrow"]
    machine = content["machine"]
    where = f"{machine['processor']}, {machine['threads']} threads"
    report.print_table(f"A training step · {where}", columns, rows)
    print_operations(content, where)


def print_operations(content: dict[str, Any], where: str) -> None:
    rows = [
        [found["model"], found["precision"], found["operation"], "x".join(map(str, found["shape"])),
         *(report.show(found[name]["step_ms"], 3) for name in KERNELS), report.show(found["torch / narrow"], 2)]
        for found in content["operations"]
    ]
    columns = ["model", "precision", "operation", "shape", "torch, ms", "ours, ms", "torch / ours"]
    report.print_table(f"One operation, forward and backward · {where}", columns, rows)
