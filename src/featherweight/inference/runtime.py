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
