"""onnxruntime on a model in memory."""

from __future__ import annotations

from typing import Any

from featherweight.inference.runtime import load_onnxruntime


def open_model(content: bytes) -> Any:
    """An onnxruntime session: one thread, no talk."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
