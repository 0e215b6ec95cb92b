"""Import and start onnxruntime with its telemetry turned off. bundle.py and the exports in shipping use this file."""

from __future__ import annotations

import os
from typing import Any


def keep_quiet() -> None:
    """Turn off the telemetry of onnxruntime, unless the user set ORT_DISABLE_TELEMETRY.

    Call this function before onnxruntime is imported. The official builds of onnxruntime send usage reports.
    For the reports they keep a database in the user's cache folder and a file in the temporary folder.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def load_onnxruntime() -> Any:
    """Import onnxruntime with its telemetry off and return the module. Raises ImportError if it is not installed."""
    keep_quiet()
    import onnxruntime

    return onnxruntime


def open_model(content: bytes, threads: int = 1) -> Any:
    """Return an onnxruntime session for the bytes of an ONNX file. The session logs errors only."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
