"""Comparison of IDX files with the published ones, by their bytes or by their content after unpacking."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from featherweight.data.decode import MOST_BYTES, decode_split, gunzip
from featherweight.data.places import IDX_FILES, TEST_LABELS, read_bytes
from featherweight.data.signatures import GZIP, START, described
from featherweight.errors import DataError
from featherweight.wording import option

OTHER_BYTES = "; not the published bytes, but their counts and shapes are right"


@dataclass(frozen=True)
class Published:
    """Known properties of the four published files of a data set.

    sha256: of the gzipped files. content: of the unpacked files, empty if unknown. Keys: the names of IDX_FILES.
    counts: training images, test images. side: height and width of an image in pixels, or None if unknown.
    """

    name: str
    sha256: Mapping[str, str]
    content: Mapping[str, str]
    classes: int
    counts: tuple[int, int]
    side: int | None


def compare(files: Sequence[Path], published: Published) -> str:
    """Compare the gzipped ones of four files with the published ones. Return "" or OTHER_BYTES.

    Files that are not gzipped are checked when they are decoded.
    Raises DataError for a file with other content. If the published content is unknown, counts and shapes decide.
    """
    strange = [name for name, file in zip(IDX_FILES, files, strict=True)
               if file.suffix == ".gz" and digest(read_bytes(file)) != published.sha256[name]]
    if not strange:
        return ""
    if published.content:
        for name, file in zip(IDX_FILES, files, strict=True):
            if name in strange:
                check_content(file, published.content[name], published.name)
        return ""
    check_counts(files, published)
    return OTHER_BYTES


def check_content(file: Path, expected: str, name: str) -> None:
    """Raise DataError, which says what the file is, unless its unpacked content has the expected sha256."""
    content = unpacked(file, name)
    if digest(content) != expected:
        raise DataError(f"{file} is not the published file of {name}: it is {described(content[:START])}, and its "
                        f"content differs. {next_move(file, name)}")


def check_counts(files: Sequence[Path], published: Published) -> None:
    """Raise DataError unless the files decode to images and labels of the published counts and shape."""
    for images, labels, count in ((0, 1, published.counts[0]), (2, 3, published.counts[1])):
        pair = files[images], files[labels]
        pixels, _ = decode_split(*map(read_bytes, pair), files=pair, name=published.name, classes=published.classes,
                                 count=count)
        side = published.side or pixels.shape[1]
        if pixels.shape[1:] != (side, side):
            shape = "x".join(map(str, pixels.shape[1:]))
            raise DataError(f"{pair[0]} is not the published file of {published.name}: its images have {shape} pixels, "
                            f"expected {side}x{side}. {next_move(pair[0], published.name)}")


def of_another(files: Sequence[Path], name: str, others: Sequence[Published]) -> bool:
    """Return True if the labels of the test images are those of another published data set than `name`."""
    labels = files[IDX_FILES.index(TEST_LABELS)]
    try:
        found = {digest(read_bytes(labels)), digest(unpacked(labels, name))}
    except DataError:       # said later, when the file is read
        return False
    return any(found & {other.sha256[TEST_LABELS], other.content.get(TEST_LABELS)}
               for other in others if other.name != name)


def unpacked(file: Path, name: str) -> bytes:
    """Return the content of a file, unpacked if it is gzipped. Raise DataError if it cannot be read."""
    content = read_bytes(file)
    return gunzip(content, MOST_BYTES, file=file, name=name) if content.startswith(GZIP) else content


def digest(content: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def next_move(file: Path, name: str) -> str:
    """Return what a user can do with a file that is not the published one."""
    return (f"Give {option('data', file.parent)} to train on it as data of your own, or move it away and run: "
            f"featherweight data get {name}")
