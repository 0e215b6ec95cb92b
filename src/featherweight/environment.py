"""The machine, the versions and the choices that a number depends on beside its recipe."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def layout_for(device: torch.device) -> torch.memory_format:
    """How images and maps lie in memory: channels last, for narrow networks the faster way on a CPU.

    On CUDA as torch has it: channels last, cuDNN first compiles depthwise kernels, four seconds for each size of a
    batch, and gains 4 % of session6's time.
    """
    return torch.contiguous_format if device.type == "cuda" else torch.channels_last


def cuda_devices() -> list[int]:
    """Return the numbers of all CUDA devices, whose random state a fork_rng is to keep."""
    return list(range(torch.cuda.device_count()))


def describe_environment(device: torch.device, precision: str, seed: int, data: str) -> dict[str, Any]:
    """What a number depends on beside the recipe."""
    packages = ("featherweight", "torch", "numpy", "safetensors", "scikit-learn")
    is_cuda = device.type == "cuda"
    return {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if is_cuda else processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "seed": seed,
        "data": data,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version_of(name) for name in packages},
    }


@cache
def version_of(package: str) -> str:
    """What is installed; read once, as hundreds of seeds ask."""
    return version(package)


@cache
def processor_name() -> str:
    """The processor as its maker calls it, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
