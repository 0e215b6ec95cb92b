"""The named data sets: files, checksums, mirrors, licence. Find them on this machine, or download them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featherweight.data.decode import MOST_BYTES
from featherweight.data.download import Progress, download
from featherweight.data.strokes import TEST, TRAIN
from featherweight.data.writers import mnist_writers
from featherweight.errors import DataError, UnknownName
from featherweight.files import user_cache

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
IDX_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
FOLDER_PREFIX = "folder:"
ARRAYS_PREFIX = "arrays-"     # data given in Python: no name to load it by
DIGITS = tuple("0123456789")

Writers = Callable[[], NDArray[np.int64]]     # a function, so that the numbers are read only if needed


@dataclass(frozen=True)
class Source:
    """Description of a data set that is known without reading its files.

    train_count, test_count: number of images in each split.
    sha256: the four IDX file names with the checksums of the published files. None for a data set in a package.
    mean, std: published values for training pixels in [0, 1]. None: computed from the pixels.
    writers: a function that returns a writer's number for each training image. None: the writers are unknown.
    origin: of a data set without files: a phrase for the user.
    """

    name: str
    about: str
    classes: tuple[str, ...]
    train_count: int
    test_count: int
    licence: str
    citation: str
    mirrors: tuple[str, ...] = ()
    sha256: Mapping[str, str] | None = None
    mean: float | None = None
    std: float | None = None
    writers: Writers | None = None
    origin: str = ""


@dataclass(frozen=True)
class Place:
    """Location of a data set: a phrase for the user, and its files in the order of IDX_FILES (empty if not IDX)."""

    phrase: str
    files: tuple[Path, ...] = ()


def _checksums(*sha256: str) -> dict[str, str]:
    return dict(zip(IDX_FILES, sha256, strict=True))


SOURCES: dict[str, Source] = {
    "mnist": Source(
        name="mnist",
        about="handwritten digits, 28x28 grey",
        classes=DIGITS,
        train_count=60_000,
        test_count=10_000,
        licence="CC BY-SA 3.0",
        citation="LeCun, Cortes, Burges: The MNIST database of handwritten digits, 1998",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://raw.githubusercontent.com/fgnt/mnist/master/",
        ),
        sha256=_checksums(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        mean=0.1307,
        std=0.3081,
        writers=mnist_writers,
    ),
    "fashion-mnist": Source(
        name="fashion-mnist",
        about="clothes from a shop's catalogue, 28x28 grey",
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        train_count=60_000,
        test_count=10_000,
        licence="MIT",
        citation="Xiao, Rasul, Vollgraf: Fashion-MNIST, arXiv:1708.07747, 2017",
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        sha256=_checksums(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    "kmnist": Source(
        name="kmnist",
        about="handwritten cursive Japanese, one character for each row of hiragana, 28x28 grey",
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        train_count=60_000,
        test_count=10_000,
        licence="CC BY-SA 4.0",
        citation="Clanuwat et al.: Deep Learning for Classical Japanese Literature, arXiv:1812.01718, 2018",
        mirrors=(
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
        sha256=_checksums(
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
    "digits": Source(
        name="digits",
        about="handwritten digits bundled with scikit-learn, 8x8 with 16 levels, resized; never downloads",
        classes=DIGITS,
        train_count=1_437,
        test_count=360,
        licence="CC BY 4.0",
        citation="Alpaydin, Kaynak: Optical Recognition of Handwritten Digits, UCI, 1998",
        origin="bundled with scikit-learn",
    ),
    "strokes": Source(
        name="strokes",
        about="digits drawn by a program, in the forms of many countries, 28x28 grey; never downloads",
        classes=DIGITS,
        train_count=TRAIN,
        test_count=TEST,
        licence="that of featherweight",
        citation="featherweight/data/forms.py",
        origin="drawn by featherweight",
    ),
}


def find_source(name: str, sources: Mapping[str, Source] = SOURCES) -> Source:
    """Return the source called `name`. Raise UnknownName, which suggests the most similar name, if there is no such."""
    if name.startswith(ARRAYS_PREFIX):
        raise DataError(f"data set {name!r} are arrays that were given in Python; it cannot be loaded by its name. "
                        "Give the arrays again with data=, or ask a run that was trained on them.")
    if name not in sources:
        raise UnknownName("data set", name, sources, "Or give folder:DIR. See: featherweight data")
    return sources[name]


def is_loadable(name: str) -> bool:
    """Return True if load_dataset accepts `name`: the name of a source, or folder:DIR."""
    return name in SOURCES or name.startswith(FOLDER_PREFIX)


def locate(
    name: str,
    data_dir: str | Path | None = None,
    *,
    cache_dir: Path | None = None,
    sources: Mapping[str, Source] = SOURCES,
) -> Place | None:
    """Return the place of the data set on this machine, or None. Only file names are looked up.

    No file is read or downloaded, so the checksums are not verified.
    """
    if name.startswith(FOLDER_PREFIX):
        folder = Path(name.removeprefix(FOLDER_PREFIX)).expanduser()
        return Place(f"the folder {folder}") if folder.is_dir() else None
    source = find_source(name, sources)
    if source.sha256 is None:
        return Place(source.origin)
    for title, folder in [*_given_folders(name, data_dir), ("the cache", default_cache(cache_dir) / name)]:
        place = _place_in(title, folder)
        if place is not None:
            return place
    return None


def fetch(
    name: str,
    data_dir: str | Path | None = None,
    *,
    cache_dir: Path | None = None,
    mirrors: Sequence[str] | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
    sources: Mapping[str, Source] = SOURCES,
) -> Place:
    """Return the place of the data set, after verifying the sha256 of each gzipped file. Download it if necessary.

    Order of search: data_dir, the environment variable FEATHERWEIGHT_DATA, the cache, the mirrors.
    Files are downloaded to the cache only. A damaged file in the cache is downloaded again.
    progress: called as progress(file, bytes done, bytes in total) while bytes arrive.
    timeout: seconds without a byte.
    Raises DataError for a damaged file outside the cache, and if no mirror works.
    """
    source = find_source(name, sources)
    if source.sha256 is None:
        return Place(source.origin)
    given = _given_folders(name, data_dir)
    for title, folder in given:
        place = _place_in(title, folder)
        if place is not None:
            _verify(place, source)
            return place
    folder = default_cache(cache_dir) / name
    cached = _place_in("the cache", folder)
    if cached is None or _damaged(cached, source) is not None:
        download(
            name,
            source.sha256,
            source.mirrors if mirrors is None else mirrors,
            folder,
            progress=progress,
            timeout=timeout,
            looked_in=[f"{title} ({place})" for title, place in given],
        )
        cached = Place(f"the cache ({folder})", tuple(folder / file for file in IDX_FILES))
    return cached


def default_cache(cache_dir: Path | None = None) -> Path:
    """Return the folder for files that can be created again: `cache_dir`, or the result of `user_cache`.

    Raises DataError if the user has no home folder.
    """
    try:
        return cache_dir if cache_dir is not None else user_cache()
    except RuntimeError as fault:       # HOME is not set and the user is not in the password database
        raise DataError("this user has no home folder for a cache. Set HOME or XDG_CACHE_HOME to a folder.") from fault


def read_bytes(path: Path) -> bytes:
    """Return the content of a file. Raise DataError if the file cannot be read or has more than MOST_BYTES."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes, more than a file of a data set. Take it away.")
        return path.read_bytes()
    except OSError as fault:
        raise DataError(f"{path} cannot be read: {fault.strerror or fault}. Check its rights.") from fault


def _given_folders(name: str, data_dir: str | Path | None) -> list[tuple[str, Path]]:
    """Return (title, folder) for each folder that the user named: the argument, then FEATHERWEIGHT_DATA.

    No other function reads this environment variable.
    """
    named = [("the given folder", data_dir), ("FEATHERWEIGHT_DATA", os.environ.get("FEATHERWEIGHT_DATA"))]
    return [(title, Path(folder).expanduser() / name) for title, folder in named if folder]


def _place_in(title: str, folder: Path) -> Place | None:
    """Return the place if the folder holds all four files, gzipped or not, else None."""
    files = []
    for name in IDX_FILES:
        either = (folder / name, folder / name.removesuffix(".gz"))
        found = next((path for path in either if path.is_file()), None)
        if found is None:
            return None
        files.append(found)
    return Place(f"{title} ({folder})", tuple(files))


def _verify(place: Place, source: Source) -> None:
    damaged = _damaged(place, source)
    if damaged is None:
        return
    path, found = damaged
    expected = (source.sha256 or {})[path.name]
    raise DataError(
        f"{path} is not the published file: its sha256 is {found[:12]}..., expected {expected[:12]}... "
        f"Delete it and run: featherweight data get {source.name}"
    )


def _damaged(place: Place, source: Source) -> tuple[Path, str] | None:
    """Return the first gzipped file with a wrong sha256, and that sha256, else None.

    Files that are not gzipped are checked when they are decoded.
    """
    for path in place.files:
        expected = (source.sha256 or {}).get(path.name)
        found = hashlib.sha256(read_bytes(path)).hexdigest() if expected else None
        if found is not None and found != expected:
            return path, found
    return None
