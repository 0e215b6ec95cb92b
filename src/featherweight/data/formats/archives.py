"""Arrays in .npz and .npy files of NumPy and in .mat files of MATLAB, such as mnist.npz of Keras, SVHN and USPS.

The shape of each array is checked before the array is read. Objects, which would need a pickle, are not read.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.decode import MOST_BYTES
from featherweight.data.foreign import Given
from featherweight.data.formats.named import WHOLE, meaning, pairs_of, read_pairs, unflattened
from featherweight.data.formats.raw import Raw
from featherweight.errors import DataError
from featherweight.files import plain_file
from featherweight.outside import shortened

Array = NDArray[Any]
MOST_ARRAYS = 200       # arrays of one file; a data set has a few
USPS_TRAIN, USPS_ALL = 7291, 9298       # images of the published training split, and of both splits
DIGITS = tuple("0123456789")


def read_npz(path: Path) -> Raw:
    """Read a .npz file, or all .npz files of one array each in the folder of `path`, such as those of KMNIST."""
    if path.is_dir():
        files = sorted(path.glob("*.npz"))
        return read_npz(files[0]) if len(files) == 1 else read_files(path, ".npz", first_array)
    with opened_zip(path) as archive:
        names = members(archive, path)
        if len(names) > 1:
            pairs = pairs_of(names, str(path))
            return Raw(read_pairs(pairs, partial(read_member, archive, names, path), str(path)), f"the file {path}")
    return read_files(path, ".npz", first_array)


def read_npy(path: Path) -> Raw:
    """Read all .npy files in the folder of `path`, such as x_train.npy with y_train.npy."""
    return read_files(path, ".npy", read_array_file)


def read_files(path: Path, ending: str, load: Callable[[Path], Array]) -> Raw:
    """Read a folder of files that hold one array each; a file's name says what its array is.

    path: the folder, or one of the files. With a file, only files whose name has the same beginning are taken.
    """
    folder = path if path.is_dir() else path.parent
    files = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() == ending}
    if not path.is_dir() and meaning(path.stem)[0] == WHOLE:
        files = {stem: file for stem, file in files.items() if meaning(stem)[0] == WHOLE}
    pairs = pairs_of(files, str(folder))
    return Raw(read_pairs(pairs, lambda name: load(files[name]), str(folder)), f"the {ending} files in {folder}")


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a .npz file, which is a zip archive. Raise DataError for a damaged one."""
    try:
        with zipfile.ZipFile(plain_file(path)) as archive:
            yield archive
    except DataError:
        raise
    except Exception as fault:      # zipfile and zlib raise many kinds for damaged bytes
        raise DataError(f"{path} cannot be read as a .npz file: {shortened(fault) or type(fault).__name__}. Save it "
                        "again with numpy.savez.") from fault


def members(archive: zipfile.ZipFile, path: Path) -> dict[str, str]:
    """Return name of an array -> name of its member. Raise DataError for no array or too many."""
    found = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
    if not 0 < len(found) <= MOST_ARRAYS:
        raise DataError(f"{path} holds {len(found):,} arrays, expected 1 to {MOST_ARRAYS}. Save the images and labels "
                        "with numpy.savez.")
    return found


def read_member(archive: zipfile.ZipFile, names: dict[str, str], path: Path, name: str) -> Array:
    """Read one array of a .npz file."""
    with archive.open(names[name]) as member:
        return read_stream(member, f"{path}, its array {name!r},")


def first_array(path: Path) -> Array:
    """Read the only array of a .npz file."""
    with opened_zip(path) as archive:
        names = members(archive, path)
        return read_member(archive, names, path, next(iter(names)))


def read_array_file(path: Path) -> Array:
    """Read a .npy file."""
    try:
        with plain_file(path).open("rb") as file:
            return read_stream(file, str(path))
    except DataError:
        raise
    except Exception as fault:      # numpy passes on any exception of Python's parser for a damaged header
        raise DataError(f"{path} cannot be read as a .npy file: {shortened(fault) or type(fault).__name__}. Save it "
                        "again with numpy.save.") from fault


def read_stream(file: IO[bytes], where: str) -> Array:
    """Read one array in the format of NumPy, after a check of the shape and the type in its header."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, in_columns, dtype = read_header(file)
    if dtype.hasobject:
        raise DataError(f"{where} holds Python objects, which only a pickle can restore, and a pickle may run code. "
                        "Save numbers of one shape: numpy.asarray(images, dtype='uint8').")
    check_bytes(math.prod(shape) * dtype.itemsize, where)
    content = file.read(math.prod(shape) * dtype.itemsize)
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape[::-1]).T if in_columns else flat.reshape(shape)


def check_bytes(size: int, where: str) -> None:
    """Raise DataError for an array that needs too much memory."""
    if size > MOST_BYTES:
        raise DataError(f"{where} holds an array of {size:,} bytes; at most {MOST_BYTES:,} are read. Save fewer "
                        "images, or images of uint8.")


def read_mat(path: Path) -> Raw:
    """Read a .mat file: SVHN, USPS, digits by class (mnist_all.mat), or any with named images and labels.

    For SVHN the file of the other split, test_32x32.mat, is read too if it is beside the file.
    """
    variables = shapes_of(path)
    if {"X", "y"} <= set(variables) and len(variables["X"]) == 4:
        splits = {split: read_svhn(file) for split, file in svhn_files(path).items()}
        return Raw(splits, "the files of SVHN " + " and ".join(str(file) for file in svhn_files(path).values()))
    load = partial(variable, path)
    if {"train_patterns", "train_labels", "test_patterns", "test_labels"} <= set(variables):
        return Raw({split: read_resampled(load, split, path) for split in ("train", "test")}, f"USPS in {path}")
    if {f"{split}{digit}" for split in ("train", "test") for digit in DIGITS} <= set(variables):
        return Raw({split: read_by_class(load, split, path) for split in ("train", "test")}, f"the file {path}")
    splits = read_pairs(pairs_of(variables, str(path)), load, str(path))
    if "fea" in variables and "gnd" in variables:
        splits = read_usps(splits["train"])
    return Raw(splits, f"the file {path}")


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the variables of a .mat file, after a check of their sizes and kinds."""
    from scipy.io import whosmat

    listed = read_safely(path, lambda: whosmat(str(plain_file(path))))
    for name, shape, kind in listed:
        if kind in ("struct", "cell", "object", "function", "opaque"):
            raise DataError(f"{path} holds {name!r}, a {kind} of MATLAB, not an array. Save arrays: save('new.mat', "
                            "'x_train', 'y_train'). For EMNIST take the IDX files.")
        check_bytes(math.prod(shape), f"{path}, its variable {name!r},")
    return {name: tuple(shape) for name, shape, _ in listed}


def variable(path: Path, name: str) -> Array:
    """Read one variable of a .mat file."""
    from scipy.io import loadmat

    return np.asarray(read_safely(path, lambda: loadmat(str(path), variable_names=[name])[name]))


def read_safely(path: Path, read: Callable[[], Any]) -> Any:
    """Return the result of `read`. Raise DataError if scipy cannot read the file."""
    try:
        if plain_file(path).stat().st_size > MOST_BYTES:
            check_bytes(path.stat().st_size, str(path))
        return read()
    except DataError:
        raise
    except NotImplementedError as fault:
        raise DataError(f"{path} is a MATLAB 7.3 file, which is HDF5. Save it again in MATLAB: save('new.mat', "
                        "'x_train', 'y_train', '-v7').") from fault
    except Exception as fault:      # scipy raises many kinds for damaged bytes
        raise DataError(f"{path} cannot be read as a .mat file: {shortened(fault) or type(fault).__name__}. Save it "
                        "again with -v7.") from fault


def svhn_files(path: Path) -> dict[str, Path]:
    """Return split -> file of SVHN: the given file, and the file of the other split if it is beside it."""
    stem = path.name.replace("test_", "train_")
    train, test = path.with_name(stem), path.with_name(stem.replace("train_", "test_"))
    if train == test or not train.is_file() or not test.is_file():
        return {"train": path}
    return {"train": train, "test": test}


def read_svhn(path: Path) -> Given:
    """Read a file of SVHN: X uint8 (32, 32, 3, N), and y (N, 1) in which 10 is the digit 0."""
    shapes_of(path)
    labels = variable(path, "y").astype(np.int64).ravel()
    return Given(variable(path, "X").transpose(3, 0, 1, 2), np.where(labels == 10, 0, labels), DIGITS)


def read_resampled(load: Callable[[str], Array], split: str, path: Path) -> Given:
    """Read usps_resampled.mat: patterns (256, N) from -1 to 1, and labels (10, N) of -1 and 1."""
    labels = load(f"{split}_labels").argmax(axis=0).astype(np.int64)
    return Given(unflattened(load(f"{split}_patterns").T, str(path)), labels, DIGITS)


def read_by_class(load: Callable[[str], Array], split: str, path: Path) -> Given:
    """Read mnist_all.mat: an array train0 to train9, or test0 to test9, (N, 784) for each digit."""
    each = [load(f"{split}{digit}") for digit in DIGITS]
    labels = np.repeat(np.arange(10, dtype=np.int64), [len(images) for images in each])
    return Given(unflattened(np.concatenate(each), str(path)), labels, DIGITS)


def read_usps(whole: Given) -> dict[str, Given]:
    """Divide USPS.mat, with labels 1 to 10 for the digits 0 to 9, at the published end of its training images."""
    labels = np.asarray(whole.labels)
    if labels.min() == 1 and labels.max() == 10:
        labels = labels - 1
    numbered = Given(whole.images, labels, DIGITS)
    if len(labels) != USPS_ALL:
        return {"train": numbered}
    return {"train": numbered.pick(range(USPS_TRAIN)), "test": numbered.pick(range(USPS_TRAIN, USPS_ALL))}

