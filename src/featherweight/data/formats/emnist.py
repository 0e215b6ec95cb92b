"""Class names of the splits of EMNIST, and its mapping files."""

from __future__ import annotations

import string
from pathlib import Path

from featherweight.errors import DataError
from featherweight.files import plain_file
from featherweight.outside import MOST_CLASSES

MERGED = tuple(letter for letter in string.ascii_lowercase if letter not in "cijklmopsuvwxyz")
DIGITS, CAPITALS = tuple(string.digits), tuple(string.ascii_uppercase)
CLASSES = {
    "balanced": (*DIGITS, *CAPITALS, *MERGED),
    "bymerge": (*DIGITS, *CAPITALS, *MERGED),
    "byclass": (*DIGITS, *CAPITALS, *string.ascii_lowercase),
    "letters": CAPITALS,
    "digits": DIGITS,
    "mnist": DIGITS,
}
FIRST = {"letters": 1}      # number of the first class, where it is not 0


def is_emnist(name: str) -> bool:
    """Return True for the name of a file of EMNIST, whose images are stored transposed."""
    return name.lower().startswith("emnist-")


def names_and_first(folder: Path, before: str) -> tuple[tuple[str, ...], int]:
    """Return (class names, number of the first class) of a split of EMNIST.

    before: the part of the file names that the split has in common, such as "emnist-letters-".
    The mapping file beside the data decides: a line "label code [code]" for each class, with codes of characters.
    Without a mapping file the published names are used.
    """
    mapping = folder / f"{before}mapping.txt"
    if mapping.is_file():
        return read_mapping(mapping)
    split = before.lower().removeprefix("emnist-").strip("-")
    if split not in CLASSES:
        raise DataError(f"{mapping} is missing, and {split!r} is no split of EMNIST: {', '.join(CLASSES)}. Put the "
                        "mapping file beside the data.")
    return CLASSES[split], FIRST.get(split, 0)


def read_mapping(file: Path) -> tuple[tuple[str, ...], int]:
    """Return the class names of a mapping file, in the order of their labels, and the first label.

    Raises DataError if a line is not "label code [code]", or if labels are missing between the first and the last.
    """
    try:
        with plain_file(file).open(encoding="ascii", errors="replace") as opened:
            rows = [line.split() for line in opened.read(100 * MOST_CLASSES).splitlines() if line.strip()]
        codes = {int(row[0]): chr(int(row[1])) for row in rows}
    except (ValueError, IndexError, OverflowError) as fault:
        raise DataError(f"{file} is no mapping of EMNIST: a line is not 'label code', such as '10 65'. Give the "
                        "published file, or take it away.") from fault
    except OSError as fault:
        raise DataError(f"{file} cannot be read: {fault.strerror or fault}. Check its rights.") from fault
    labels = sorted(codes)
    if not labels or labels != list(range(labels[0], labels[0] + len(labels))) or len(labels) > MOST_CLASSES:
        raise DataError(f"{file} is no mapping of EMNIST: its labels are not consecutive numbers. Give the published "
                        "file, or take it away.")
    return tuple(codes[label] for label in labels), labels[0]
