"""The network trained by hand: computed, explained, and written as a workbook that computes."""

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
