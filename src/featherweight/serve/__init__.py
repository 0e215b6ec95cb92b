"""A page to draw on and an API for one shipped network: FastAPI and onnxruntime, without torch."""

from __future__ import annotations

from featherweight.serve.limits import Limits
from featherweight.serve.server import listen, serve

__all__ = ["Limits", "listen", "serve"]
