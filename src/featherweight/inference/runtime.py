"""onnxruntime, kept from sending reports."""

from __future__ import annotations

import os
from typing import Any


def keep_quiet() -> None:
    """Turn off the telemetry of onnxruntime, unless the user gave ORT_DISABLE_TELEMETRY; call it before any import.

    Its official builds report to their makers, and keep a database in the user's cache and a file in the folder for
    temporary files.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def load_onnxruntime() -> Any:
    """Import onnxruntime with its telemetry off, and return it. ImportError where it is not installed."""
    keep_quiet()
    import onnxruntime

    return onnxruntime


def open_model(content: bytes, threads: int = 1) -> Any:
    """Return an onnxruntime session of a model in memory; it writes no log."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
