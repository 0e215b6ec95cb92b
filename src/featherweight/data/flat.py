"""Labels of pictures that lie in one folder: from a table beside them, or from their file names."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from featherweight.errors import DataError
from featherweight.files import plain_file
from featherweight.outside import MOST_CLASSES
from featherweight.picture_files import SUFFIXES

Rule = Literal["table", "first", "last"]        # labels in a table, or before the first or after the last separator
TABLES = (".csv", ".tsv")
LABELS = ("label", "labels", "class", "classes", "category", "target", "species", "breed", "y")
MOST_ROWS = 10_000_000
LONGEST_FILE = 250      # bytes of a file's name; file systems allow 255
SEPARATOR = re.compile(r"[ _.\-]+|(?<=[^\W\d])(?=\d)")     # also between a letter and a digit: cat12


def flat_labels(folder: Path, rule: Rule | None = None) -> tuple[list[Path], list[str], Rule] | None:
    """Return (pictures, their class names, rule), or None for a folder that holds neither pictures nor a table.

    - A table is a .csv or .tsv in the folder, or beside the folder with the folder's name. It has a column of file
      names and a column of labels.
    - Names: cat_01.png, cat.1.jpg, 7-0012.png, or 0012_7.png. The rule that gives classes with several pictures each
      is taken, the first part of the name before the last.

    rule: the rule of the training pictures, for another split.
    """
    table = table_of(folder) if rule in (None, "table") else None
    if table is not None:
        files, labels = labels_in_table(table, folder)
        return files, labels, "table"
    files = pictures_in(folder)
    if not files:
        if rule is not None:
            raise DataError(f"{folder} holds no pictures and no table of labels. Add them, or remove the folder.")
        return None
    for each in ("first", "last") if rule in (None, "table") else (rule,):
        labels = [part_of(file, each) for file in files]
        if rule == each or are_classes(labels):
            return files, labels, "last" if each == "last" else "first"
    raise DataError(f"{folder} holds pictures whose names do not say their classes, such as {files[0].name}. Give each "
                    "class a folder, name them CLASS_NUMBER.png, or add labels.csv with columns file and label.")


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures that lie directly in a folder, sorted by name."""
    return [path for path in sorted(folder.iterdir())
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()]


def part_of(file: Path, rule: str) -> str:
    """Return the first or the last part of a file name, e.g. "cat" or "01" of cat_01.png."""
    parts = [part for part in SEPARATOR.split(file.stem) if part] or [file.stem]
    return parts[0] if rule == "first" else parts[-1]


def are_classes(labels: Sequence[str]) -> bool:
    """Return True if the labels can be classes: 2 to MOST_CLASSES, each with at least 2 pictures."""
    counts = Counter(labels)
    return 2 <= len(counts) <= MOST_CLASSES and min(counts.values()) >= 2


def table_of(folder: Path) -> Path | None:
    """Return the table with the labels of the pictures in a folder, or None.

    Searched: tables in the folder, and beside it a table with its name. Raises DataError for several in the folder.
    """
    inside = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in TABLES and path.is_file()]
    if len(inside) > 1:
        raise DataError(f"{folder} holds the tables {inside[0].name} and {inside[1].name}. Leave the one with the "
                        "labels.")
    beside = [folder.parent / f"{folder.name}{ending}" for ending in TABLES]
    return next((path for path in [*inside, *beside] if path.is_file()), None)


def labels_in_table(table: Path, folder: Path) -> tuple[list[Path], list[str]]:
    """Return the pictures of a table and their labels, sorted by file.

    Raises DataError if a picture of the table is missing, a picture of the folder is not in it, or columns are unclear.
    """
    rows = rows_of(table)
    first = next(rows, [])
    places = folders_of_pictures(folder)
    title: list[str] = []
    if not any(found(value, places) for value in first):
        title, first = [name.strip().lower() for name in first], next(rows, [])
    column = next((place for place, value in enumerate(first) if found(value, places)), None)
    if column is None:
        raise DataError(f"{table}: no column holds the names of pictures in {folder}. Give the columns file and label.")
    label = label_column(title, len(first), column, table)
    labelled: dict[Path, str] = {}
    for number, row in enumerate([first, *rows], 1):
        file = found(row[column], places) if len(row) > max(column, label) else None
        if file is None:
            raise DataError(f"{table}: its picture {number:,}, {', '.join(row)[:60]!r}, is not in {folder}. Add the "
                            "file, or remove the row.")
        labelled[file] = row[label].strip()
    unlabelled = [file for place in places for file in pictures_in(place) if file not in labelled]
    if unlabelled:
        raise DataError(f"{unlabelled[0]} has no label in {table}. Add a row, or move the picture away.")
    files = sorted(labelled)
    return files, [labelled[file] for file in files]


def folders_of_pictures(folder: Path) -> list[Path]:
    """Return the folder itself and the folders in it: the places of pictures that a table names."""
    return [folder, *(path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith("."))]


def found(name: str, places: Sequence[Path]) -> Path | None:
    """Return the picture with a name from a table, with or without its ending, or None. It lies in one of `places`."""
    name = name.strip()
    parts = Path(name).parts
    if not 0 < len(name.encode()) < LONGEST_FILE or "\0" in name or ".." in parts or Path(name).is_absolute():
        return None
    inside = Path(name)
    tried = [inside] if inside.suffix.lower() in SUFFIXES else [Path(f"{inside}{ending}") for ending in SUFFIXES]
    return next((place / each for place in places for each in tried if (place / each).is_file()), None)


def label_column(title: Sequence[str], columns: int, file_column: int, table: Path) -> int:
    """Return the column with the labels: the one with a name such as "label", or the only other one."""
    named = next((place for place, name in enumerate(title) if name in LABELS and place != file_column), None)
    if named is None and columns == 2:
        return 1 - file_column
    if named is None or named >= columns:
        raise DataError(f"{table}: which of its {columns} columns holds the labels is not clear. Name it label.")
    return named


def rows_of(table: Path) -> Iterator[list[str]]:
    """Yield the rows of a .csv or .tsv file that are not empty. Raise DataError for other files."""
    try:
        with plain_file(table).open(encoding="utf-8-sig", newline="") as opened:
            start = opened.readline(10_000)
            opened.seek(0)
            reader = csv.reader(opened, delimiter=max(",;\t", key=start.count))
            for number, row in enumerate(reader):
                if number > MOST_ROWS:
                    raise DataError(f"{table} has more than {MOST_ROWS:,} rows. Give a smaller table.")
                if any(value.strip() for value in row):
                    yield row
    except (csv.Error, UnicodeDecodeError) as fault:
        raise DataError(f"{table} is no table of text: {str(fault)[:100]}. Save it as CSV in UTF-8.") from fault
