"""Data that were read from a path, in one form for all formats."""

from __future__ import annotations

from dataclasses import dataclass

from featherweight.data.canonical import Split


@dataclass(frozen=True)
class Read:
    """Data that were read from a path. Images uint8 (N, C, H, W), labels int64 (N,).

    validation: the split that the data bring themselves, or None. words: origin of the data, as a phrase for the user.
    span: pixel values that were mapped to 0 and 255.
    published: True for the published files of a named data set, for which statistics and writers are known.
    skipped: a line for each picture that cannot be read and was skipped.
    """

    classes: tuple[str, ...]
    train: Split
    test: Split
    validation: Split | None
    words: str
    span: tuple[float, float] = (0.0, 255.0)
    published: bool = False
    skipped: tuple[str, ...] = ()
