"""The C of a network on an ARM processor, emulated by qemu: the same results as torch."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest
import torch
from beside_torch import (
    Passes,
    assert_equal,
    by_torch,
    draw_inputs,
    gradient_errors,
    labels_for,
    loss_of,
    randomised,
)
from test_sanitized import COUNT, FAST, SHAPE, Residual
from torch import Tensor, nn

from featherweight.training.compiled.network import tensors_of
from featherweight.training.compiled.program import recorded_plan
from featherweight.training.compiled.source import c_source
from featherweight.training.compiled.stages import Plan

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
MAIN = """
#include <stdio.h>
#include <stdlib.h>

/* Arrays as read from the standard input: their number, then of each its bytes and its content. */
typedef struct { int64_t count, *bytes; void **of; } Arrays;

static int64_t number(void)
{
    int64_t n = 0;
    if (fread(&n, sizeof n, 1, stdin) != 1) exit(2);
    return n;
}

static Arrays arrays(void)
{
    Arrays a = {.count = number()};
    a.bytes = calloc(a.count + 1, sizeof *a.bytes), a.of = calloc(a.count + 1, sizeof *a.of);
    for (int64_t i = 0; i < a.count; i++) {
        a.bytes[i] = number();
        if (a.bytes[i]) a.of[i] = malloc(a.bytes[i]);
        if (fread(a.of[i], 1, a.bytes[i], stdin) != (size_t)a.bytes[i]) exit(3);
    }
    return a;
}

int main(void)
{
    const int images = (int)number(), threads = (int)number();
    Arrays inputs = arrays(), heads = arrays(), gradients = arrays(), tensors = arrays();
    Net *net = create(images, threads, 1);
    bind_tensors(net, tensors.of);
    forward(net, images, 1, 1, (const float *const *)inputs.of, (float *const *)heads.of);
    backward(net, (const float *const *)gradients.of);
    destroy(net);
    for (int64_t i = 0; i < heads.count; i++) fwrite(heads.of[i], 1, heads.bytes[i], stdout);
    for (int64_t i = 0; i < tensors.count; i++) fwrite(tensors.of[i], 1, tensors.bytes[i], stdout);
    return 0;
}
"""

missing = [name for name in (COMPILER, EMULATOR) if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(missing) and "CI" not in os.environ, reason=f"not installed: {missing}")


@pytest.mark.parametrize(("march", "half"), [("armv8-a", False), ("armv8-a", True), ("armv8.6-a", True)])
def test_arm_computes_the_same(march: str, half: bool, tmp_path: Path) -> None:
    model = randomised(Residual())
    inputs = draw_inputs(model, [SHAPE], COUNT)
    plan = recorded_plan(model, [torch.zeros(2, *SHAPE)])
    (tmp_path / "network.c").write_text(c_source(plan, half=half) + MAIN)
    command = [COMPILER, "-std=gnu11", *FAST, f"-march={march}", "-static", "-o", "network", "network.c", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True)
    expected = by_torch(model, inputs)
    for threads in (1, 2):
        found = on_arm(tmp_path / "network", plan, model, inputs, threads)
        if half:
            errors = gradient_errors(found, expected).values()
            assert median(errors) < 0.05 and max(errors) < 0.5
        else:
            assert_equal(found, expected, by_torch(model, inputs, torch.float32))


def on_arm(program: Path, plan: Plan, model: nn.Module, inputs: Sequence[Tensor], threads: int) -> Passes:
    """Run one forward and backward pass. A first run of the program gives the outputs for the loss."""
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    tensors = [one for stage in plan.stages for one in tensors_of(stage)]
    heads = [torch.zeros(len(inputs[0]), plan.stages[index].shape[0]) for index in plan.heads]
    gradients = [torch.zeros_like(head) for head in heads]
    for _ in range(2):
        found = run(program, [len(inputs[0]), threads], inputs, heads, gradients, tensors)
        leaves = [one.requires_grad_() for one in found[: len(heads)] if one is not None]
        gradients = list(torch.autograd.grad(loss_of(leaves, labels_for(len(inputs[0]))), leaves))
    written = {before.data_ptr(): after for before, after in zip(tensors, found[len(heads) :], strict=True)
               if before is not None and after is not None}
    ours = {name: written[one.grad.data_ptr()] for name, one in model.named_parameters() if one.grad is not None}
    return Passes([one.detach() for one in leaves], ours,
                  {name: written[one.data_ptr()] for name, one in model.named_buffers()})


def run(program: Path, numbers: Sequence[int], *arrays: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return what the program makes of the second and the last group of arrays."""
    given = struct.pack(f"={len(numbers)}q", *numbers)
    for group in arrays:
        given += struct.pack("=q", len(group))
        for content in map(content_of, group):
            given += struct.pack("=q", len(content)) + content
    command = [EMULATOR, "-cpu", "max", str(program)]
    output = subprocess.run(command, input=given, capture_output=True, check=True).stdout
    found: list[Tensor | None] = []
    for one in [*arrays[1], *arrays[-1]]:
        size = len(content_of(one))
        content, output = bytearray(output[:size]), output[size:]
        found.append(None if one is None else torch.frombuffer(content, dtype=one.dtype).view(one.shape))
    assert not output
    return found


def content_of(tensor: Tensor | None) -> bytes:
    return b"" if tensor is None else tensor.detach().contiguous().numpy().tobytes()
