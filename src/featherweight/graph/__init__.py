"""One description of a network: the record of a forward pass. All tables, drawings and exports are made from it."""

from __future__ import annotations

from featherweight.graph.passes import record_of
from featherweight.graph.record import Call, LayerCall, Record, Value

__all__ = ["Call", "LayerCall", "Record", "Value", "record_of"]
