"""Data sets: load one by name, from a folder or from Python objects, as uint8 tensors split by a seed."""

from __future__ import annotations

from featherweight.data.dataset import Dataset, load_dataset, pixel_statistics
from featherweight.data.finding import fetch, locate
from featherweight.data.grid import labelled_grid
from featherweight.data.names import is_loadable
from featherweight.data.objects import as_dataset, as_test_data, resized
from featherweight.data.places import Place
from featherweight.data.sample import dataset_from_sample, save_sample
from featherweight.data.sources import SOURCES, Source
from featherweight.data.store import Images

__all__ = [
    "SOURCES",
    "Dataset",
    "Images",
    "Place",
    "Source",
    "as_dataset",
    "as_test_data",
    "dataset_from_sample",
    "fetch",
    "is_loadable",
    "labelled_grid",
    "load_dataset",
    "locate",
    "pixel_statistics",
    "resized",
    "save_sample",
]
