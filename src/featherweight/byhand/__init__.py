"""The network trained by hand: compute it, explain one update, and write it as a workbook of live formulas."""

from featherweight.byhand.explain import explain
from featherweight.byhand.network import LOSSES, OUTPUTS, Network, Row, train
from featherweight.byhand.start import (
    INPUTS,
    RATES,
    TARGETS,
    check_rates,
    check_updates,
    rate_text,
    starting_values,
)

__all__ = [
    "INPUTS",
    "LOSSES",
    "OUTPUTS",
    "RATES",
    "TARGETS",
    "Network",
    "Row",
    "check_rates",
    "check_updates",
    "explain",
    "rate_text",
    "starting_values",
    "train",
]
