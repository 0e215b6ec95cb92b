"""Layers of any network: shapes, parameters, costs and receptive fields. The network is never changed."""

from __future__ import annotations

from featherweight.anatomy.activations import (
    ClassMap,
    Seen,
    activation_maps,
    class_map,
    first_kernels,
    middle_fields,
)
from featherweight.anatomy.flow import data_flow
from featherweight.anatomy.gradient import autograd_graph
from featherweight.anatomy.graph import Graph
from featherweight.anatomy.layers import Layer
from featherweight.anatomy.receptive_field import Check, gradient_support, receptive_field, verify
from featherweight.anatomy.summary import Summary, summarize
from featherweight.anatomy.table import checks_text

__all__ = [
    "Check",
    "ClassMap",
    "Graph",
    "Layer",
    "Seen",
    "Summary",
    "activation_maps",
    "autograd_graph",
    "checks_text",
    "class_map",
    "data_flow",
    "first_kernels",
    "gradient_support",
    "middle_fields",
    "receptive_field",
    "summarize",
    "verify",
]
