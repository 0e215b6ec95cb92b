"""onnxruntime, kept from sending reports."""

from __future__ import annotations

import os
from typing import Any


def load_onnxruntime() -> Any:
    """Import onnxruntime with its telemetry off, and return it. ImportError where it is not installed.

    Its official builds report to their makers, and keep a database in the user's cache and a file in the folder for
    temporary files. ORT_DISABLE_TELEMETRY is read when it starts; a value that the user gave stays.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime
