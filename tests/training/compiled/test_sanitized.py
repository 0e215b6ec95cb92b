"""Compiled networks under the sanitizers, without warnings, and for the instruction sets of older processors."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import pytest
import torch
from beside_torch import assert_equal, by_torch, draw_inputs, gradient_errors, pass_through, randomised
from torch import Tensor, nn

from featherweight.codegen.compiler import find_compiler
from featherweight.training.compiled.network import CompiledNetwork
from featherweight.training.compiled.program import Program, recorded_plan
from featherweight.training.compiled.source import c_source

SHAPE = (2, 9, 7)
COUNT = 21              # images of a partial slice, of several slices where a vector has 4 lanes
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g", "-march=native")
FAST = ("-O2", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")

CHILD = """
import ctypes, struct, sys, array
library, count, threads = ctypes.CDLL(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
sizes = [[int(one) for one in text.split(",") if one] for text in sys.argv[4:]]
def floats(sizes): return [array.array("f", [(7 * i % 19 - 9) / 9 for i in range(size)]) for size in sizes]
def addresses(arrays): return (ctypes.c_void_p * len(arrays))(*(a.buffer_info()[0] if len(a) else None for a in arrays))
inputs, heads, tensors = map(floats, sizes)
library.create.restype = ctypes.c_void_p
net = ctypes.c_void_p(library.create(count, threads))
library.bind_tensors(net, addresses(tensors))
for images in (count, count - 1, 2):
    library.forward(net, images, 1, ctypes.c_uint32(5), addresses(inputs), addresses(heads))
    library.backward(net, addresses(heads))
library.destroy(net)
print("done")
"""


class Residual(nn.Module):
    """Stages of every kind: dense, strided, grouped, depthwise, joins, all pools, softmax and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(6), nn.Dropout(0.1))
        self.deep = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.BatchNorm2d(6), nn.ReLU())
        self.grouped = nn.Sequential(nn.Conv2d(6, 6, (1, 3), padding=(0, 1), groups=2, bias=False), nn.MaxPool2d(2))
        self.strided = nn.Sequential(nn.Conv2d(6, 5, 3, 2, bias=False), nn.BatchNorm2d(5, affine=False), nn.ReLU())
        self.last = nn.Linear(11, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.start(x)
        x = x + self.deep(x)
        y = torch.log_softmax(self.strided(nn.functional.pad(x, (1, 0, 0, 2))[:, :, 1:, :-1]), 1)
        z = (self.grouped(x).pow(2).mean((2, 3)) + 1e-3).sqrt()
        return self.last(torch.cat([y.mean((2, 3)), z], 1))


def build(model: nn.Module, folder: Path, flags: Iterable[str], *, half: bool = False) -> Program:
    """Compile a network with flags."""
    plan = recorded_plan(model, [torch.zeros(2, *SHAPE)])
    compiler = find_compiler()
    assert compiler is not None
    (folder / "network.c").write_text(c_source(plan, half=half))
    command = [*compiler.command, "-std=gnu11", "-fPIC", "-shared", *flags, "network.c", "-o", "network.so", "-lm",
               "-lpthread"]
    subprocess.run(command, cwd=folder, check=True)
    library = folder / "network.so"
    return Program(ctypes.CDLL(str(library)) if "-g" not in flags else None, plan)  # type: ignore[arg-type]


def sanitizer() -> str:
    """Path of gcc's library of the address sanitizer, or "" without one."""
    if shutil.which("gcc") is None or sys.platform != "linux":
        return ""
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return found.stdout.strip() if Path(found.stdout.strip()).is_absolute() else ""


@pytest.mark.parametrize("half", [False, True])
def test_no_access_is_out_of_bounds_or_undefined(half: bool, tmp_path: Path) -> None:
    library, compiler = sanitizer(), find_compiler()
    if not library or compiler is None or "clang" in compiler.version or "zig" in " ".join(compiler.command):
        pytest.skip("gcc's sanitizers are not installed")
    program = build(Residual(), tmp_path, SANITIZERS, half=half)
    sizes = [[COUNT * 2 * 9 * 7], [COUNT * 10], sizes_of(program)]
    environment = os.environ | {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0"}
    for threads in ("1", "2"):
        command = [sys.executable, "-S", "-c", CHILD, str(tmp_path / "network.so"), str(COUNT), threads]
        command += [",".join(map(str, one)) for one in sizes]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout == "done\n" and done.returncode == 0, done.stderr[-3000:]


def sizes_of(program: Program) -> list[int]:
    """Numbers of floats of each tensor in the order of the C struct Parameters."""
    sizes: list[int] = []
    for stage in program.plan.stages:
        own = [getattr(stage.made, name, None) for name in ("weight", "bias")]
        norm = [getattr(stage.norm, name, None) for name in ("gain", "shift", "mean", "variance", "batches")]
        tensors = [*own, *norm, *own, *norm[:2]]
        sizes += [0 if one is None else max(2, one.numel()) for one in tensors]     # 2: an int64 counter
    return sizes


@pytest.mark.parametrize("half", [False, True])
def test_compilers_have_no_warning(half: bool, tmp_path: Path) -> None:
    plan = recorded_plan(Residual(), [torch.zeros(2, *SHAPE)])
    (tmp_path / "network.c").write_text(c_source(plan, half=half))
    strict = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-march=native",
              "-fsyntax-only"]
    compilers = [name for name in ("gcc", "clang") if shutil.which(name)]
    for name in compilers:
        subprocess.run([name, *strict, "network.c"], cwd=tmp_path, check=True)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="instruction sets of x86")
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("march", ["x86-64", "x86-64-v3"])
def test_older_processors_compute_the_same(march: str, half: bool, tmp_path: Path) -> None:
    model = randomised(Residual())
    inputs = draw_inputs(model, [SHAPE], COUNT)
    expected = by_torch(model, inputs)
    program = build(model, tmp_path, [*FAST, f"-march={march}"], half=half)
    found = pass_through(CompiledNetwork(program, COUNT, 1), model, inputs)
    if half:
        errors = gradient_errors(found, expected).values()
        assert median(errors) < 0.05 and max(errors) < 0.5
    else:
        assert_equal(found, expected, by_torch(model, inputs, torch.float32))
