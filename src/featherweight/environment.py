"""The machine and the versions that a result depends on beside its recipe: the content of environment.json."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


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
