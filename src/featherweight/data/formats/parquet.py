"""Parquet files with an image column and a label column, as Hugging Face stores data sets. Needs the extra parquet.

A cell of the image column is a struct with the file's content in `bytes`, or the bytes themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featherweight.data.decode import MOST_BYTES
from featherweight.data.foreign import Given, Wanted
from featherweight.data.formats.raw import Raw
from featherweight.data.pictures import Bytes, damaged, decode_many
from featherweight.data.splits import split_named
from featherweight.errors import DataError, MissingExtra
from featherweight.files import plain_file
from featherweight.outside import MOST_CLASSES, shortened

IMAGES = ("image", "img", "images", "picture")
LABELS = ("label", "labels", "fine_label", "target", "class")
ROWS = 256      # rows in memory at a time


def parquet_files(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder. If it holds no such file, return those in its folder "data"."""
    return sorted(folder.glob("*.parquet")) or sorted((folder / "data").glob("*.parquet"))


def read_parquet(path: Path, wanted: Wanted) -> Raw:
    """Read one Parquet file, or all files of a folder, whose names begin with their split, "train-00000-of-00001"."""
    files = parquet_files(path) if path.is_dir() else [path]
    groups: dict[str, list[Path]] = {}
    for file in files:
        split = next((found for word in re.split(r"[^A-Za-z0-9]+", file.stem) if (found := split_named(word))), "train")
        groups.setdefault(split, []).append(file)
    if "train" not in groups:
        groups = {"train": files}
    return Raw({split: read_rows(group, wanted) for split, group in groups.items()}, f"the Parquet file {path}"
               if len(files) == 1 else f"the Parquet files in {files[0].parent}")


def read_rows(files: Sequence[Path], wanted: Wanted) -> Given:
    """Read images and labels of all files of one split. Images are decoded to the wanted channels and size.

    Raises DataError with all pictures that cannot be read, unless they are skipped.
    """
    images: list[Bytes] = []
    labels: list[Any] = []
    faults: list[str] = []
    names: tuple[str, ...] | None = None
    for file in files:
        with_names, rows = opened(file)
        names = names or with_names
        for contents, numbers in rows:
            titles = [f"{file}, its row {len(labels) + len(faults) + row:,}," for row in range(len(contents))]
            pixels, found = decode_many(contents, titles, wanted.channels or 1, wanted.size or 28, wanted.fit)
            images.append(pixels)
            labels += [number for row, number in enumerate(numbers) if row not in found]
            faults += found.values()
            check_memory(images, file)
    if faults and not wanted.skip_damaged:
        raise damaged(faults, len(labels) + len(faults))
    if any(label is None for label in labels):
        raise DataError(f"{files[0].parent}: row {labels.index(None):,} has no label. Leave such rows out.")
    return Given(np.concatenate(images), np.array(labels), names, skipped=tuple(faults))


def check_memory(images: Sequence[Bytes], file: Path) -> None:
    """Raise DataError if the decoded images take more than MOST_BYTES."""
    if sum(part.nbytes for part in images) > MOST_BYTES:
        raise DataError(f"{file}: the decoded images take more than {MOST_BYTES:,} bytes. Set a smaller data.size, or "
                        "give fewer files.")


def opened(file: Path) -> tuple[tuple[str, ...] | None, Iterator[tuple[list[bytes], list[Any]]]]:
    """Return (class names or None, an iterator of the contents of pictures and the labels) of a Parquet file.

    Raises MissingExtra without pyarrow, DataError for a file that is damaged or lacks one of the columns.
    """
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as fault:
        raise MissingExtra("pyarrow", "parquet") from fault
    try:
        table = ParquetFile(str(plain_file(file)))
        columns = {field.name: str(field.type) for field in table.schema_arrow}
        metadata = table.schema_arrow.metadata or {}
    except Exception as fault:      # pyarrow raises many kinds for damaged bytes
        raise DataError(f"{file} cannot be read as a Parquet file: {shortened(fault)}. Get it again.") from fault
    image = chosen(columns, IMAGES, ("binary", "large_binary", "struct<"))
    label = chosen(columns, LABELS, ("int", "uint", "string", "large_string", "bool", "dictionary"))
    if image is None or label is None:
        what = "image" if image is None else "label"
        raise DataError(f"{file} has no column {what!r}, only {shortened(', '.join(columns), 100)}. Rename the column "
                        "that holds it; an image is bytes, or a struct with 'bytes'.")
    return class_names(metadata, label), rows_of(table, image, label, file)


def chosen(columns: dict[str, str], names: Sequence[str], kinds: tuple[str, ...]) -> str | None:
    """Return the column with the first of `names` whose type begins with one of `kinds`, else None."""
    return next((name for name in names if columns.get(name, "").startswith(kinds)), None)


def rows_of(table: Any, image: str, label: str, file: Path) -> Iterator[tuple[list[bytes], list[Any]]]:
    """Yield (contents of pictures, labels) for at most ROWS rows at a time."""
    try:
        for batch in table.iter_batches(ROWS, columns=[image, label]):
            cells = batch.column(image).to_pylist()
            yield [content_of(cell, file) for cell in cells], batch.column(label).to_pylist()
    except DataError:
        raise
    except Exception as fault:      # pyarrow raises many kinds for damaged bytes
        raise DataError(f"{file} cannot be read as a Parquet file: {shortened(fault)}. Get it again.") from fault


def content_of(cell: Any, file: Path) -> bytes:
    """Return the bytes of the picture in a cell. A path in a cell is not followed."""
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        raise DataError(f"{file} has an image without bytes: only the path of a file, or nothing. Store the pictures "
                        "themselves, e.g. with embed_table_storage of datasets.")
    return content


def class_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...] | None:
    """Return the class names that Hugging Face wrote into the metadata of a Parquet file, or None."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    valid = isinstance(names, list) and len(names) <= MOST_CLASSES and all(isinstance(name, str) for name in names)
    return tuple(names) if valid else None
