"""A finished run on its way out of torch: ONNX, int8, C, a bundle; and the proof that each answers as torch does."""

from __future__ import annotations

from featherweight.shipping.bundle import make_bundle
from featherweight.shipping.shipment import FORMATS, export

__all__ = ["FORMATS", "export", "make_bundle"]
