"""Data: names and folders in, uint8 tensors in seeded splits out."""

from __future__ import annotations

from featherweight.data.dataset import Dataset, ImageDataset, load_dataset, pixel_statistics
from featherweight.data.grid import labelled_grid
from featherweight.data.objects import as_dataset
from featherweight.data.sources import SOURCES, Place, Source, fetch, locate

__all__ = [
    "SOURCES",
    "Dataset",
    "ImageDataset",
    "Place",
    "Source",
    "as_dataset",
    "fetch",
    "labelled_grid",
    "load_dataset",
    "locate",
    "pixel_statistics",
]
