"""Tables of pixels as text: Kaggle's train.csv and test.csv, and mnist_train.csv without a header.

A row is a label and the pixels of one image. The label is the first column, or the column with a name such as "label".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.decode import MOST_BYTES
from featherweight.data.foreign import Given
from featherweight.data.formats.emnist import is_emnist, names_and_first
from featherweight.data.formats.named import LABELS, unflattened
from featherweight.data.formats.raw import Raw
from featherweight.data.splits import split_named
from featherweight.errors import DataError
from featherweight.files import plain_file
from featherweight.outside import shortened

LONGEST_LINE = 1_000_000        # characters of a row
WHOLE = re.compile(r"[+-]?\d+")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?")


@dataclass(frozen=True)
class Head:
    """The form of a table: its separator, lines before the first row, columns, and the label's column or None."""

    separator: str
    skipped: int
    columns: int
    label: int | None


def read_tables(path: Path) -> Raw:
    """Read a table of pixels, or the tables "...train..." and "...test..." of a folder.

    With a file whose name says "train", the table of the other split is read too if it is beside the file.
    A table without labels, such as Kaggle's test.csv, is left out, and the phrase says so.
    """
    files = tables_in(path) if path.is_dir() else {"train": path} | tables_beside(path)
    if "train" not in files:
        raise DataError(f"{path} holds several tables, and none is named train.csv. Give the one to use.")
    heads = {split: head_of(file) for split, file in files.items()}
    if heads["train"].label is None:
        raise DataError(f"{files['train']} has {heads['train'].columns:,} columns, which are pixels without a label. "
                        "Give a table with a column 'label', or with the label in its first column.")
    unused = [split for split, head in heads.items() if head.label is None]
    splits = {split: read_table(file, heads[split]) for split, file in files.items() if split not in unused}
    words = "the table " + " and ".join(str(files[split]) for split in splits)
    note = "".join(f"; {files[split].name} has no labels and is not used" for split in unused)
    return Raw(splits, words + note)


def tables_in(folder: Path) -> dict[str, Path]:
    """Return split -> table of a folder, by the names of the files. A single table is "train"."""
    tables = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in (".csv", ".tsv") and file.is_file()]
    named = {split: file for file in reversed(tables) if (split := split_in(file.stem))}
    return {"train": tables[0]} if len(tables) == 1 else named


def tables_beside(file: Path) -> dict[str, Path]:
    """Return split -> table for the other splits beside a training table: "train" in its name is replaced."""
    if split_in(file.stem) != "train":
        return {}
    others = {split: file.with_name(file.name.replace("train", word))
              for split, word in (("test", "test"), ("validation", "val"))}
    return {split: other for split, other in others.items() if other != file and other.is_file()}


def split_in(stem: str) -> str | None:
    """Return the split that the name of a table says, such as "mnist_train", else None."""
    return next((split for word in re.split(r"[^A-Za-z0-9]+", stem) if (split := split_named(word))), None)


def first_lines(file: Path) -> list[str]:
    """Return the first two lines of a text file. Raise DataError if it cannot be read or a line is very long."""
    try:
        if plain_file(file).stat().st_size > MOST_BYTES:
            raise DataError(f"{file} has {file.stat().st_size:,} bytes; at most {MOST_BYTES:,} are read. Give a part.")
        with file.open(encoding="utf-8-sig", errors="replace") as opened:
            lines = [opened.readline(LONGEST_LINE + 1) for _ in range(2)]
    except OSError as fault:
        raise DataError(f"{file} cannot be read: {fault.strerror or fault}. Check its rights.") from fault
    if any(len(line) > LONGEST_LINE for line in lines):
        raise DataError(f"{file} has a line of over {LONGEST_LINE:,} characters, which is no table of images. Give a "
                        "line for each image.")
    return [line.strip() for line in lines if line.strip()]


def head_of(file: Path) -> Head:
    """Return the form of a table of pixels. Raise DataError for other texts."""
    lines = first_lines(file)
    first = lines[0] if lines else ""
    separator = max(",;\t ", key=first.count)
    names = [name.strip().strip('"').lower() for name in first.split(separator)]
    header = is_header(names, lines[1].split(separator) if len(lines) > 1 else [])
    named = next((place for place, name in enumerate(names) if name in LABELS), None) if header else None
    with_label, without = is_square(len(names) - 1), is_square(len(names))
    if len(names) < 5 or not (with_label or without):
        raise DataError(f"{file} has {len(names):,} columns, which are no label and the pixels of a square image. Give "
                        "a row for each image: the label, then e.g. 784 pixels.")
    if len(lines) <= header:
        raise DataError(f"{file} has no row below its header. Give a row for each image.")
    label = named if named is not None else 0 if with_label else None
    return Head(separator, int(header), len(names), label)


def is_header(names: Sequence[str], values: Sequence[str]) -> bool:
    """Return True if the first line is a header: a name is no number, or 0.1 stands above whole numbers."""
    if all(NUMBER.fullmatch(name) for name in names):
        return all(WHOLE.fullmatch(value.strip()) for value in values) and not all(map(WHOLE.fullmatch, names))
    return True


def is_square(values: int) -> bool:
    """Return True if a square image of 1 or 3 channels can have this number of values."""
    return any(channels * round((values / channels) ** 0.5) ** 2 == values for channels in (1, 3)) and values > 3


def read_table(file: Path, head: Head) -> Given:
    """Read all rows of a table. Pixels are whole numbers, or floats as a second choice."""
    numbers = read_numbers(file, head)
    labels = numbers[:, head.label or 0]
    if not (labels == np.rint(labels)).all():
        raise DataError(f"{file} has labels that are no whole numbers. Number the classes from 0.")
    labels, pixels = labels.astype(np.int64), np.delete(numbers, head.label or 0, axis=1)
    if pixels.dtype.kind == "i" and pixels.min() >= 0 and pixels.max() <= 255:
        pixels = pixels.astype(np.uint8)
    images, names = unflattened(pixels, str(file)), None
    if is_emnist(file.name):        # transposed, as in the IDX files
        names, first = names_and_first(file.parent, re.sub(r"(train|test).*", "", file.name))
        images, labels = images.transpose(0, 2, 1), labels - first
    return Given(images, labels, names)


def read_numbers(file: Path, head: Head) -> NDArray[Any]:
    """Return all values of a table (rows, columns): int16, or float32 if a value is no whole number."""
    separator = None if head.separator == " " else head.separator
    for dtype in (np.int16, np.float32):
        try:
            return np.loadtxt(file, dtype, delimiter=separator, skiprows=head.skipped, comments=None, ndmin=2,
                              encoding="utf-8-sig")
        except (ValueError, OverflowError, UnicodeError) as fault:
            reason = shortened(fault)
        except OSError as fault:
            raise DataError(f"{file} cannot be read: {fault.strerror or fault}. Check its rights.") from fault
    raise DataError(f"{file} is no table of numbers: {reason.rstrip('.')}. Mend or remove that row.")
