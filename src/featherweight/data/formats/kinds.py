"""The format of a file or a folder, told from content and names, and the line for formats that are not read."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

from featherweight.data.foreign import Wanted
from featherweight.data.formats.archives import read_mat, read_npy, read_npz
from featherweight.data.formats.binary import is_cifar, read_cifar
from featherweight.data.formats.idx import idx_sets, read_idx
from featherweight.data.formats.parquet import parquet_files, read_parquet
from featherweight.data.formats.raw import Raw
from featherweight.data.formats.tables import read_tables
from featherweight.data.signatures import START, described, is_text
from featherweight.errors import DataError
from featherweight.files import plain_file
from featherweight.outside import shortened
from featherweight.picture_files import SUFFIXES

Reader = Callable[[Path, Wanted], Raw]

UNPICKLE = (
    """python -c "import numpy as np, pickle; from pathlib import Path; """
    """b = [pickle.load(open(f, 'rb'), encoding='bytes') for f in [*sorted(Path('.').glob('data_batch_*')), """
    """'test_batch']]; x = [d[b'data'].reshape(-1, 3, 32, 32) for d in b]; y = [d[b'labels'] for d in b]; """
    """np.savez('cifar10.npz', x_train=np.concatenate(x[:-1]), y_train=sum(y[:-1], []), x_test=x[-1], """
    """y_test=y[-1])\""""
)
UNPICKLE_100 = (
    """python -c "import numpy as np, pickle; d = {s: pickle.load(open(s, 'rb'), encoding='bytes') for s in """
    """('train', 'test')}; np.savez('cifar100.npz', **{a + s: v for s in d for a, v in (('x_', """
    """d[s][b'data'].reshape(-1, 3, 32, 32)), ('y_', d[s][b'fine_labels']))})\""""
)
MAY_RUN = "reading a pickle may run code in it, so none is read"
CONVERTED = {       # kind of a file -> next move
    "a pickle": f"{MAY_RUN[0].upper()}{MAY_RUN[1:]}. If you trust it, load it in Python and save its arrays: "
                "numpy.savez('new.npz', x_train=..., y_train=..., x_test=..., y_test=...)",
    "a zip archive": "Unpack it and give the folder: unzip FILE",
    "a tar archive": "Unpack it and give the folder: tar -xf FILE",
    "a gzip file": "Unpack it and give what is in it: gunzip FILE, or tar -xf FILE for .tar.gz",
    "a bzip2 file": "Unpack it and give what is in it: bunzip2 FILE",
    "an xz file": "Unpack it and give what is in it: unxz FILE",
    "a 7-Zip archive": "Unpack it and give the folder: 7z x FILE",
    "a RAR archive": "Unpack it and give the folder.",
    "an HDF5 file": "Convert it with h5py: numpy.savez('new.npz', images=file['images'][:], labels=file['labels'][:])",
    "a MATLAB 7.3 file, which is HDF5": "Save it again in MATLAB: save('new.mat', 'x_train', 'y_train', '-v7')",
    "an Arrow file": "Convert it: datasets.load_from_disk(DIR).to_parquet('new.parquet')",
    "a picture": "Give the folder: a folder for each class, or pictures with the label in their names.",
    "an HTML page": "It is probably the answer of a server instead of the file. Download the file again.",
    "a pointer of Git LFS, not the file itself": "Get the file: git lfs pull",
    "an SQLite database": "Export its images and labels to a .npz file.",
}
KNOWN = "Known are folders of pictures, IDX, .npz, .npy, .mat, .csv, .parquet and CIFAR's .bin; see docs/data.md."
QUIET = {"a NumPy array": read_npy, "a MATLAB file": read_mat}


def reader_of(path: Path) -> Reader | None:
    """Return the function that reads a file or a folder, or None for a folder of pictures.

    Raises DataError, which names the format and the way to convert it, for a format that is not read.
    """
    return reader_of_folder(path) if path.is_dir() else reader_of_file(path)


def reader_of_folder(folder: Path) -> Reader | None:
    """Return the reader of a folder by the names in it, or None for pictures. Pictures are looked for last."""
    for raw in (folder, folder / "raw", *sorted(folder.glob("*/raw"))):
        if raw.is_dir() and idx_sets(raw):
            return lambda _, wanted: read_idx(raw)
    refuse_pickled_cifar(folder)
    if is_cifar(folder):
        return plain(read_cifar)
    if parquet_files(folder):
        return read_parquet
    inside = [path for path in folder.iterdir() if not path.name.startswith((".", "__"))]
    endings = set() if any(path.is_dir() for path in inside) else {path.suffix.lower() for path in inside}
    found = [] if endings & set(SUFFIXES) else [read for ending, read in BY_ENDING.items() if ending in endings]
    return plain(found[0]) if found else None


def reader_of_file(path: Path) -> Reader:
    """Return the reader of a file by its first bytes."""
    try:
        with plain_file(path).open("rb") as file:
            start = file.read(2**16)
    except OSError as fault:
        raise DataError(f"{path} cannot be read: {fault.strerror or fault}. Check its rights.") from fault
    found = described(start[:START])
    if found == "a gzip file":
        inside = described(unzipped(start, path))
        if not inside.startswith("an IDX file"):
            raise DataError(f"{path} is a gzip file, and its content is {inside}. "
                            + CONVERTED["a gzip file"].replace("FILE", str(path)))
        found = inside
    if found.startswith("an IDX file"):
        return plain(read_idx)
    if found in QUIET:
        return plain(QUIET[found])
    if found == "a Parquet file":
        return read_parquet
    if found == "a zip archive" and path.suffix.lower() == ".npz":
        return plain(read_npz)
    if found in CONVERTED:
        raise DataError(f"{path} is {found}. {CONVERTED[found].replace('FILE', str(path))}")
    if path.suffix.lower() == ".bin":
        return plain(read_cifar)
    if path.suffix.lower() in (".csv", ".tsv", ".txt") and is_text(start[:START]):
        return plain(read_tables)
    raise DataError(f"{path} is {found}. {KNOWN}")


def read_first_mat(folder: Path) -> Raw:
    """Read the .mat file of a folder: the only one, or the training file."""
    files = sorted(folder.glob("*.mat"), key=lambda file: ("train" not in file.name, file.name))
    if len(files) > 1 and "train" not in files[0].name:
        raise DataError(f"{folder} holds {len(files)} .mat files. Give one, such as {files[0]}.")
    return read_mat(files[0])


BY_ENDING = {".npz": read_npz, ".npy": read_npy, ".mat": read_first_mat, ".csv": read_tables, ".tsv": read_tables}


def plain(read: Callable[[Path], Raw]) -> Reader:
    """Return a reader of a format whose images need no decoding, and so no wanted size."""
    return lambda path, wanted: read(path)


def refuse_pickled_cifar(folder: Path) -> None:
    """Raise DataError for the pickled form of CIFAR-10 or CIFAR-100: the reason, and the command that converts it."""
    for files, command, binary in ((("data_batch_1", "test_batch"), UNPICKLE, "cifar-10-binary.tar.gz"),
                                   (("train", "test", "meta"), UNPICKLE_100, "cifar-100-binary.tar.gz")):
        if all((folder / file).is_file() for file in files):
            raise DataError(f"{folder} holds CIFAR as pickles; {MAY_RUN}. Get {binary} from "
                            f"https://www.cs.toronto.edu/~kriz/, or, if you trust them, run in that folder: {command}")


def unzipped(start: bytes, path: Path) -> bytes:
    """Return the first bytes in a gzip file from its own first bytes."""
    try:
        return zlib.decompressobj(31).decompress(start, START)
    except zlib.error as fault:
        raise DataError(f"{path} is a damaged gzip file: {shortened(fault)}. Get it again.") from fault
