"""What every benchmark writes beside its numbers: the machine, the versions, the spread."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from featherweight.environment import processor_name
from featherweight.runs import write_atomically

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("featherweight", "torch", "numpy", "pillow", "lightning")


def machine() -> dict[str, Any]:
    """The hardware and the versions."""
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
    }


def installed(name: str) -> str | None:
    """The version of a package, or None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, lowest and highest of some repeats, and the repeats themselves."""
    return {"median": median(values), "lowest": min(values), "highest": max(values), "values": list(values)}


def write(path: Path, content: dict[str, Any]) -> None:
    """The whole result as JSON, in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps({"machine": machine(), **content}, indent=2) + "\n").encode())
