"""Export of a finished run as ONNX, int8 ONNX, C or a bundle, each compared with torch on all test images."""

from __future__ import annotations

from featherweight.shipping.bundle import make_bundle
from featherweight.shipping.shipment import FORMATS, export

__all__ = ["FORMATS", "export", "make_bundle"]
