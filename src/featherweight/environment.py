"""Description of the machine and the versions on which a result depends, and functions about devices."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def layout_for(device: torch.device) -> torch.memory_format:
    """Return the memory format for images and feature maps on `device`.

    CPU: channels last, which is faster for narrow networks.
    CUDA: contiguous, torch's default. With channels last cuDNN compiles depthwise kernels for each batch size, which
    takes four seconds, and saves only 4 % of session6's time.
    """
    return torch.contiguous_format if device.type == "cuda" else torch.channels_last


def cuda_devices() -> list[int]:
    """Return the numbers of all CUDA devices, for torch.random.fork_rng, which saves their random state."""
    return list(range(torch.cuda.device_count()))


def describe_environment(device: torch.device, precision: str, seed: int, data: str) -> dict[str, Any]:
    """Return the content of environment.json: everything outside the recipe on which a result depends."""
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
    """Return the installed version of a package. Cached, because hundreds of seeds need it."""
    return version(package)


@cache
def processor_name() -> str:
    """Return the model name of the processor from /proc/cpuinfo, or else the name that Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
