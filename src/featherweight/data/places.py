"""Search of the files of a data set in the folders that a user named. Only file names are looked up."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from featherweight.data.decode import MOST_BYTES
from featherweight.errors import DataError
from featherweight.files import plain_file
from featherweight.wording import option

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
IDX_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
GIVEN = "the given folder"      # title of the folder that is given as an argument


@dataclass(frozen=True)
class Place:
    """Location of a data set on this machine.

    phrase: for the user. files: in the order of IDX_FILES, empty if the data are not four IDX files.
    path: a file or folder in another format (formats/), or None.
    """

    phrase: str
    files: tuple[Path, ...] = ()
    path: Path | None = None


def given_folders(data_dir: str | Path | None) -> list[tuple[str, Path]]:
    """Return (title, folder) for each folder that the user named: the argument, then FEATHERWEIGHT_DATA.

    No other function reads this environment variable.
    Raises DataError for a named folder that does not exist: other data would be used instead.
    """
    named = [(GIVEN, option("data-dir"), data_dir),
             ("FEATHERWEIGHT_DATA", "FEATHERWEIGHT_DATA", os.environ.get("FEATHERWEIGHT_DATA"))]
    found = [(title, who, Path(folder).expanduser()) for title, who, folder in named if folder]
    for _, who, folder in found:
        if not folder.is_dir():
            raise DataError(f"{who}: {str(folder)!r} is no folder. Name a folder that holds data, or leave it out.")
    return [(title, folder) for title, _, folder in found]


def homes(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the folders in which a data set with these names may lie below `folder`, the most specific first.

    The folder itself is the last one, because it may hold the files directly.
    """
    named = [folder / name / inside for name in names for inside in ("", "raw")]
    return [*named, folder / "raw", folder]


def idx_files_in(folder: Path) -> tuple[Path, ...] | None:
    """Return all four files in the order of IDX_FILES, gzipped or not, "-idx" or ".idx", or None if one is missing."""
    found = [next((folder / name for name in spellings(file) if (folder / name).is_file()), None) for file in IDX_FILES]
    return tuple(file for file in found if file) if all(found) else None


def spellings(file: str) -> list[str]:
    """Return the names under which one of IDX_FILES is found: gzipped or not, with "-" or "." before "idx"."""
    plain = file.removesuffix(".gz")
    return [file, plain, file.replace("-idx", ".idx"), plain.replace("-idx", ".idx")]


def read_bytes(path: Path) -> bytes:
    """Return the content of a file. Raise DataError if the file cannot be read or has more than MOST_BYTES."""
    try:
        if plain_file(path).stat().st_size > MOST_BYTES:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are read. Give a "
                            "smaller file.")
        return path.read_bytes()
    except OSError as fault:
        raise DataError(f"{path} cannot be read: {fault.strerror or fault}. Check its rights.") from fault
