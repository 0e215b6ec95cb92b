"""Names of data: of a data set that is known, of arrays, or the path of a file or folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from featherweight.data.sources import SOURCES, Source
from featherweight.errors import DataError, UnknownName

FOLDER_PREFIX = "folder:"
ARRAYS_PREFIX = "arrays-"     # data given in Python: no name to load it by
ENDINGS = (".npz", ".npy", ".mat", ".csv", ".tsv", ".parquet", ".gz", ".bin", "ubyte", ".zip", ".tar", ".tgz", ".pkl",
           ".pickle", ".h5", ".hdf5")     # of files that are read, or refused with a line about their format


def find_source(name: str, sources: Mapping[str, Source] = SOURCES) -> Source:
    """Return the source called `name`. Raise UnknownName, which suggests the most similar name, if there is no such."""
    if name.startswith(ARRAYS_PREFIX):
        raise DataError(f"data set {name!r} are arrays that were given in Python; it cannot be loaded by its name. "
                        "Give the arrays again with data=, or ask a run that was trained on them.")
    if name not in sources:
        raise UnknownName("data set", name, sources, "Or give a file or folder. See: featherweight data")
    return sources[name]


def is_path(name: str, sources: Mapping[str, Source] = SOURCES) -> bool:
    """Return True if `name` is a path: folder:DIR, or text with a separator or with the ending of a data file.

    The name of a source is no path. Nothing is looked up on the disk, so the result never changes.
    """
    if name in sources:
        return False
    return name.startswith((FOLDER_PREFIX, "~", ".")) or any(mark in name for mark in "/\\") \
        or name.lower().endswith(ENDINGS)


def path_of(name: str, data_dir: str | Path | None = None) -> Path:
    """Return the path that a name of data is: "folder:DIR" or "DIR".

    A relative path that does not exist in the working folder is looked for in `data_dir`.
    """
    path = Path(name.removeprefix(FOLDER_PREFIX)).expanduser()
    below = Path(data_dir).expanduser() / path if data_dir is not None else path
    return below if exists(below) and not exists(path) else path


def exists(path: Path) -> bool:
    """Return True for an existing file or folder, False for names that the system refuses, e.g. very long ones."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def settled_name(name: str, sources: Mapping[str, Source] = SOURCES) -> str:
    """Return the name; that of an existing file or folder in the working folder gets "./" in front."""
    known = name in sources or name.startswith(ARRAYS_PREFIX) or is_path(name, sources)
    return f"./{name}" if not known and name and exists(Path(name)) else name


def is_loadable(name: str) -> bool:
    """Return True if load_dataset accepts `name`: the name of a source, or a path."""
    return name in SOURCES or is_path(name)
