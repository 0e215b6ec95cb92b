"""CIFAR-10 and CIFAR-100 in their binary form.

A record is one label byte (CIFAR-100: the coarse and the fine label), then 32x32 red, green and blue bytes.
Source: https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from featherweight.data.foreign import Given
from featherweight.data.formats.raw import Raw
from featherweight.data.places import read_bytes
from featherweight.errors import DataError
from featherweight.files import plain_file
from featherweight.outside import MOST_CLASSES

PIXELS = 3 * 32 * 32
CIFAR_10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def is_cifar(folder: Path) -> bool:
    """Return True if the folder holds CIFAR-10 or CIFAR-100 in the binary form."""
    return (folder / "data_batch_1.bin").is_file() or \
        ((folder / "train.bin").is_file() and (folder / "test.bin").is_file())


def read_cifar(path: Path) -> Raw:
    """Read CIFAR-10 or CIFAR-100 from its folder, or from the folder of one of its files. Labels are the fine ones."""
    folder = path if path.is_dir() else path.parent
    if not is_cifar(folder):
        raise DataError(f"{path} is no data set of a known binary format. Allowed: data_batch_1.bin to "
                        "data_batch_5.bin with test_batch.bin (CIFAR-10), train.bin with test.bin (CIFAR-100).")
    if (folder / "train.bin").is_file():
        names = read_names(folder / "fine_label_names.txt", tuple(map(str, range(100))))
        splits = {split: read_records([folder / f"{split}.bin"], 2, names) for split in ("train", "test")}
        return Raw(splits, f"the binary files of CIFAR-100 in {folder}")
    names = read_names(folder / "batches.meta.txt", CIFAR_10)
    splits = {"train": read_records(sorted(folder.glob("data_batch_*.bin")), 1, names)}
    if (folder / "test_batch.bin").is_file():
        splits["test"] = read_records([folder / "test_batch.bin"], 1, names)
    return Raw(splits, f"the binary files of CIFAR-10 in {folder}")


def read_records(files: list[Path], labels: int, names: tuple[str, ...]) -> Given:
    """Read the records of all files. labels: number of label bytes in a record; the last one is the label."""
    size, parts = labels + PIXELS, []
    for file in files:
        content = np.frombuffer(read_bytes(file), np.uint8)
        if len(content) == 0 or len(content) % size:
            raise DataError(f"{file} has {len(content):,} bytes, which are not whole records of {size:,} bytes. Get it "
                            "again; the archive is unpacked with: tar -xf FILE.tar.gz")
        records = content.reshape(-1, size)
        if records[:, labels - 1].max() >= len(names):
            raise DataError(f"{file} has the label {records[:, labels - 1].max()}, expected 0 to {len(names) - 1}. Get "
                            "it again.")
        parts.append(records)
    records = np.concatenate(parts)
    return Given(records[:, labels:].reshape(-1, 3, 32, 32), records[:, labels - 1].astype(np.int64), names)


def read_names(file: Path, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """Return the class names in a text file, one a line, or the published ones if there is no file."""
    if not file.is_file():
        return otherwise
    try:
        with plain_file(file).open(encoding="utf-8", errors="replace") as opened:
            lines = opened.read(100 * MOST_CLASSES).split("\n")
    except OSError as fault:
        raise DataError(f"{file} cannot be read: {fault.strerror or fault}. Check its rights.") from fault
    return tuple(line.strip() for line in lines if line.strip()) or otherwise
