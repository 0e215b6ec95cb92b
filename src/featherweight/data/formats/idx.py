"""IDX files of a user: the family of MNIST, with QMNIST and EMNIST.

A set is recognised by its file names: BEFORE + "train" or "test" or "t10k" + "-images-idx3-ubyte" and so on. The files
may be gzipped, and "." may stand before "idx".
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featherweight.data.decode import IMAGES, LABELS, MOST_BYTES, decode_idx, gunzip
from featherweight.data.foreign import Given
from featherweight.data.formats.emnist import is_emnist, names_and_first
from featherweight.data.formats.raw import Raw
from featherweight.data.places import read_bytes
from featherweight.data.signatures import GZIP
from featherweight.data.splits import split_named
from featherweight.errors import DataError

NAME = re.compile(r"(?P<before>.*?)(?P<split>train|test|t10k)-(?P<what>images|labels)[-.]idx\d-(?:ubyte|int)"
                  r"(?:\.gz)?", re.I)
TABLE = b"\0\0\x0c\x02"     # the first bytes of QMNIST's labels: int32 with 2 axes

Sets = dict[str, dict[str, Path]]       # before -> "train images" -> file


def idx_sets(folder: Path) -> Sets:
    """Return the sets of IDX files in a folder. Of a file that is there gzipped and unpacked, the unpacked is taken."""
    sets: Sets = {}
    for file in sorted(folder.iterdir(), key=lambda path: path.suffix != ".gz"):
        found = NAME.fullmatch(file.name)
        if found and file.is_file():
            part = f"{split_named(found['split'])} {found['what'].lower()}"
            sets.setdefault(found["before"], {})[part] = file
    return sets


def read_idx(path: Path) -> Raw:
    """Read the set of IDX files in a folder, or the set that one given file belongs to.

    Raises DataError if the folder holds several sets, or if a file of the set is missing.
    """
    folder = path if path.is_dir() else path.parent
    sets = idx_sets(folder)
    if not path.is_dir():
        found = NAME.fullmatch(path.name)
        if found is None:
            raise DataError(f"{path} is an IDX file, and its name does not say which. Name the files as those of MNIST,"
                            " such as train-images-idx3-ubyte and train-labels-idx1-ubyte.")
        sets = {found["before"]: sets[found["before"]]}
    if len(sets) > 1:
        files = [str(next(iter(parts.values()))) for parts in sets.values()]
        raise DataError(f"{folder} holds {len(sets)} data sets of IDX files. Give a file of one, such as {files[0]} or "
                        f"{files[1]}.")
    ((before, parts),) = sets.items()
    for split in {part.split()[0] for part in parts} | {"train"}:
        for what in ("images", "labels"):
            if f"{split} {what}" not in parts:
                raise DataError(f"{folder} lacks {before}{split}-{what}-idx{3 if what == 'images' else 1}-ubyte. Put "
                                "the images and the labels of a split into one folder.")
    names, first = names_and_first(folder, before) if is_emnist(before) else (None, 0)
    splits = {split: read_split(parts[f"{split} images"], parts[f"{split} labels"], is_emnist(before), names, first)
              for split in ("train", "test") if f"{split} images" in parts}
    return Raw(splits, f"the IDX files {before + '* ' if before else ''}in {folder}")


def read_split(images: Path, labels: Path, transposed: bool, names: Sequence[str] | None, first: int) -> Given:
    """Read the images and labels of one split. first: the label of the first class."""
    pixels = decode_idx(read_bytes(images), IMAGES, file=images, name="")
    numbers = class_numbers(read_bytes(labels), labels)
    if first and numbers.min() < first:
        raise DataError(f"{labels} has the label {numbers.min()}, and its mapping begins at {first}. Give the mapping "
                        "file of this split.")
    pixels = np.ascontiguousarray(pixels.transpose(0, 2, 1)) if transposed else pixels
    return Given(pixels, numbers - first, tuple(names) if names else None)


def class_numbers(content: bytes, file: Path) -> NDArray[np.int64]:
    """Return the labels of a file, int64 (N,): uint8 (N,), or the first column of the int32 table of QMNIST."""
    start = gunzip(content, 12, file=file, name="") if content.startswith(GZIP) else content[:12]
    if not start.startswith(TABLE) or len(start) < 12:
        return decode_idx(content, LABELS, file=file, name="").astype(np.int64)
    shape = struct.unpack(">2I", start[4:])
    size = 4 * math.prod(shape)
    if not 0 < size <= MOST_BYTES:
        raise DataError(f"{file} says that it holds {shape[0]:,} x {shape[1]:,} numbers. Give a file of QMNIST's "
                        "labels.")
    if content.startswith(GZIP):
        content = gunzip(content, 12 + size + 1, file=file, name="")
    if len(content) != 12 + size:
        raise DataError(f"{file} has not the {size:,} bytes after its header that the header says. Get it again.")
    return np.frombuffer(content, ">i4", offset=12).reshape(shape)[:, 0].astype(np.int64)
