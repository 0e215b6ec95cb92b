"""The layers of any network: shapes, parameters, costs and receptive fields. Looking changes nothing."""

from __future__ import annotations

from featherweight.anatomy.layers import Layer
from featherweight.anatomy.receptive_field import Check, gradient_support, receptive_field, verify
from featherweight.anatomy.summary import Summary, summarize
from featherweight.anatomy.table import checks_text

__all__ = [
    "Check",
    "Layer",
    "Summary",
    "checks_text",
    "gradient_support",
    "receptive_field",
    "summarize",
    "verify",
]
