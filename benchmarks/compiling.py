"""Seconds to compile the training passes of a network, in child processes with a new cache folder. Used by layers.py.

A child is this script with the name of a network and a precision.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import torch

import report
from featherweight.codegen.library import load
from featherweight.models import build_model, input_shapes
from featherweight.training.compiled.program import recorded_plan
from featherweight.training.compiled.source import PARTS, c_source


def compile_anew(model: str, precision: str, repeats: int) -> dict[str, Any]:
    """Return the seconds to record the network, to compile its passes, and to load them from the cache.

    Each repeat is two processes. The second one finds the library in the cache.
    """
    pairs = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            pairs.append([run_child(model, precision, folder) for _ in range(2)])
    if not pairs:
        return {}
    return {
        "recording": report.spread([first["recording"] for first, _ in pairs], 3),
        "compiled": report.spread([first["library"] for first, _ in pairs], 3),
        "from_cache": report.spread([second["library"] for _, second in pairs], 3),
    }


def run_child(model: str, precision: str, cache: str) -> dict[str, float]:
    environment = os.environ | {"FEATHERWEIGHT_CACHE": cache}
    child = subprocess.run([sys.executable, __file__, model, precision], env=environment, stdout=subprocess.PIPE,
                           text=True, check=True)
    return json.loads(child.stdout.splitlines()[-1])


def main(model: str, precision: str) -> None:
    """Print the seconds of recording a network, and of writing, compiling and loading its C."""
    network = build_model(model)
    inputs = [torch.zeros(2, *shape) for shape in input_shapes(network)]
    started = time.perf_counter()
    plan = recorded_plan(network, inputs)
    recorded = time.perf_counter()
    load("network", c_source(plan, half=precision == "bf16"), parts=PARTS)
    print(json.dumps({"recording": recorded - started, "library": time.perf_counter() - recorded}))


if __name__ == "__main__":
    main(*sys.argv[1:])
