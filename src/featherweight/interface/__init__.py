"""The Python interface: train takes networks, data and recipes as objects and returns a Run."""

from __future__ import annotations

from featherweight.interface.run import Run
from featherweight.interface.training import train

__all__ = ["Run", "train"]
