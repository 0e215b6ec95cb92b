"""Writers of small files in the formats that people have, byte for byte as each format says. Used by test_formats."""

from __future__ import annotations

import csv
import gzip
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import load_digits


@dataclass(frozen=True)
class Digits:
    """Real digits: uint8 images (N, 8, 8) and labels of two splits."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray

    @property
    def splits(self):
        return (("train", self.train, self.train_labels), ("test", self.test, self.test_labels))


def real_digits(train: int = 60, test: int = 30) -> Digits:
    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)
    labels = found.target.astype(np.int64)
    return Digits(images[:train], labels[:train], images[train : train + test], labels[train : train + test])


def large(images: np.ndarray, side: int) -> np.ndarray:
    """The same images in colour, (N, 3, side, side), with different channels."""
    grey = np.stack([np.asarray(Image.fromarray(image).resize((side, side))) for image in images])
    return np.stack([grey, grey // 2, 255 - grey], axis=1)


def idx(values: np.ndarray, kind: int = 0x08, dtype: str = ">u1") -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, kind, values.ndim, *values.shape) + values.astype(dtype).tobytes()


def write_mnist(folder: Path, digits: Digits, *, packed: bool, mark: str, before: str = "", test: str = "t10k") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, images, labels in digits.splits:
        name = before + ("train" if split == "train" else test)
        for what, axes, values in (("images", 3, images), ("labels", 1, labels)):
            content = idx(values)
            file = folder / f"{name}-{what}{mark}idx{axes}-ubyte{'.gz' * packed}"
            file.write_bytes(gzip.compress(content) if packed else content)
    return folder


def write_qmnist(folder: Path, digits: Digits) -> Path:
    """Labels are int32 (N, 8): class, HSF series, writer, digit of the writer, NIST class, NIST index, 0, 0."""
    write_mnist(folder, digits, packed=True, mark="-", before="qmnist-", test="test")
    for split, _, labels in digits.splits:
        (folder / f"qmnist-{split}-labels-idx1-ubyte.gz").unlink()
        table = np.tile(np.arange(90, 98), (len(labels), 1))
        table[:, 0] = labels
        (folder / f"qmnist-{split}-labels-idx2-int.gz").write_bytes(gzip.compress(idx(table, 0x0C, ">i4")))
    return folder


def write_emnist(folder: Path, digits: Digits, split: str, first: int = 0, mapping: bool = True) -> Path:
    """Images are stored transposed; the mapping file says "label code" for each class."""
    turned = Digits(digits.train.transpose(0, 2, 1), digits.train_labels + first,
                    digits.test.transpose(0, 2, 1), digits.test_labels + first)
    write_mnist(folder, turned, packed=True, mark="-", before=f"emnist-{split}-", test="test")
    if mapping:
        lines = "".join(f"{number + first} {ord('a') + number} {ord('A') + number}\n" for number in range(10))
        (folder / f"emnist-{split}-mapping.txt").write_text(lines)
    return folder


def write_csv(file: Path, images: np.ndarray, labels: np.ndarray | None, *, header: bool, separator: str = ",") -> Path:
    """Kaggle's form: label,pixel0,pixel1,... with a row for each image."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = images.reshape(len(images), -1)
    rows = rows if labels is None else np.column_stack([labels, rows])
    title = [*["label"] * (labels is not None), *(f"pixel{place}" for place in range(images[0].size))]
    with file.open("w", newline="") as opened:
        csv.writer(opened, delimiter=separator).writerows([*[title] * header, *rows.tolist()])
    return file


def write_cifar10(folder: Path, digits: Digits) -> Path:
    """Records of a label byte and 3,072 bytes; five training files."""
    folder.mkdir(parents=True)
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    records = [np.column_stack([labels, large(images, 32).reshape(len(images), -1)]).astype(np.uint8)
               for _, images, labels in digits.splits]
    for number, part in enumerate(np.array_split(records[0], 5), 1):
        (folder / f"data_batch_{number}.bin").write_bytes(part.tobytes())
    (folder / "test_batch.bin").write_bytes(records[1].tobytes())
    return folder


def write_cifar100(folder: Path, digits: Digits) -> Path:
    """Records of the coarse label, the fine label and 3,072 bytes."""
    folder.mkdir(parents=True)
    (folder / "fine_label_names.txt").write_text("\n".join(f"thing{number}" for number in range(100)) + "\n")
    for split, images, labels in digits.splits:
        pixels = large(images, 32).reshape(len(images), -1)
        (folder / f"{split}.bin").write_bytes(np.column_stack([labels // 5, labels, pixels]).astype(np.uint8).tobytes())
    return folder


def write_pickled_cifar10(folder: Path, digits: Digits) -> Path:
    folder.mkdir(parents=True)
    pixels = large(digits.train, 32).reshape(len(digits.train), -1)
    for number in range(5):
        part = slice(number * 12, number * 12 + 12)
        content = {b"data": pixels[part], b"labels": digits.train_labels[part].tolist()}
        (folder / f"data_batch_{number + 1}").write_bytes(pickle.dumps(content, 2))
    content = {b"data": large(digits.test, 32).reshape(len(digits.test), -1), b"labels": digits.test_labels.tolist()}
    (folder / "test_batch").write_bytes(pickle.dumps(content, 2))
    return folder


def write_svhn(folder: Path, digits: Digits) -> Path:
    """X uint8 (32, 32, 3, N), y (N, 1), in which 10 is the digit 0."""
    folder.mkdir(parents=True)
    for split, images, labels in digits.splits:
        content = {"X": large(images, 32).transpose(2, 3, 1, 0),
                   "y": np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]}
        savemat(folder / f"{split}_32x32.mat", content)
    return folder


def write_resampled_usps(file: Path, digits: Digits) -> Path:
    """Patterns (256, N) from -1 to 1, labels (10, N) of -1 and 1, as in usps_resampled.mat."""
    content = {}
    for split, images, labels in digits.splits:
        sixteen = large(images, 16)[:, 0].reshape(len(images), -1)
        content[f"{split}_patterns"] = (sixteen / 127.5 - 1).T
        content[f"{split}_labels"] = np.where(np.arange(10)[:, None] == labels, 1.0, -1.0)
    savemat(file, content, do_compression=True)
    return file


def write_pictures(folder: Path, images: np.ndarray, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for image, name in zip(images, names, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name)
    return folder
