"""The result of every reader of this folder: arrays of each split in the form of their file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from featherweight.data.foreign import Given


@dataclass(frozen=True)
class Raw:
    """The splits of one data set, "train" and perhaps "test" and "validation", and a phrase about their files."""

    splits: Mapping[str, Given]
    words: str
