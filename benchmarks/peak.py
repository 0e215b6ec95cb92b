"""The arithmetic peak of one core, measured by c/peak.c. layers.py compares each layer with the peak."""

from __future__ import annotations

import ctypes
from pathlib import Path

from featherweight.codegen.library import load
from featherweight.training.compiled.source import c_file

SOURCE = Path(__file__).resolve().parent / "c" / "peak.c"
RUNS = 2000     # of about 0.02 ms each; the fastest counts


def measure_peak() -> dict[str, float]:
    """Return the GFLOP/s of one core: "float32" by multiply-adds, "bf16" by dot products. Without these, "bf16" is 0.

    Raises NoLibrary if nothing can be compiled on this machine.
    """
    library = load("peak", f"#define HALF 1\n{c_file('vectors.c')}\n{SOURCE.read_text()}")
    functions = {"float32": library.float_speed, "bf16": library.pair_speed}
    for function in functions.values():
        function.restype = ctypes.c_double
    return {name: round(max(function() for _ in range(RUNS)), 1) for name, function in functions.items()}
