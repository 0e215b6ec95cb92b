"""Featherweight: the workbench for small image classifiers.

Each public name is imported on first use. So importing the package and `featherweight --help` do not import torch.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from featherweight.anatomy import receptive_field as receptive_field
    from featherweight.anatomy import summarize as summarize
    from featherweight.budgets import budget as budget
    from featherweight.data import as_dataset as as_dataset
    from featherweight.data import load_dataset as load_dataset
    from featherweight.doctor import doctor as doctor
    from featherweight.errors import FeatherweightError as FeatherweightError
    from featherweight.inference import predict as predict
    from featherweight.interface import Run as Run
    from featherweight.interface import train as train
    from featherweight.models import build_model as build_model
    from featherweight.recipe import Recipe as Recipe
    from featherweight.replication import train_seeds as train_seeds
    from featherweight.report.drawing import plot as plot

_HOMES = {
    "load_dataset": "featherweight.data",
    "build_model": "featherweight.models",
    "summarize": "featherweight.anatomy",
    "receptive_field": "featherweight.anatomy",
    "budget": "featherweight.budgets",
    "Recipe": "featherweight.recipe",
    "FeatherweightError": "featherweight.errors",
    "train": "featherweight.interface",
    "train_seeds": "featherweight.replication",
    "Run": "featherweight.interface",
    "predict": "featherweight.inference",
    "plot": "featherweight.report.drawing",
    "as_dataset": "featherweight.data",
    "doctor": "featherweight.doctor",
}
__all__ = ["__version__", *_HOMES]  # noqa: PLE0604  the names of _HOMES are strings


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featherweight' has no attribute {name!r}")
    if "torch" not in sys.modules:      # torch reads the environment once, when it loads
        importlib.import_module("featherweight.cores").wait_passively(os.environ)
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
