"""The Python interface: networks, data and recipes as objects in, runs that show themselves out."""

from __future__ import annotations

from featherweight.interface.run import Run
from featherweight.interface.training import train

__all__ = ["Run", "train"]
