"""Data of tables and Parquet files, kept as arrays in a cache file, because parsing and decoding take long."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.foreign import Wanted
from featherweight.data.read import Read
from featherweight.documents import parse_json
from featherweight.files import replacing

SLOW = (".csv", ".tsv", ".parquet")
READ_TOO = (*SLOW, ".txt")      # also the mapping file of EMNIST
VERSION = 1                     # increase it when a reader gives other arrays for the same file
SPLITS = ("train", "test", "validation")


def cached_read(path: Path, wanted: Wanted, cache: Path, make: Callable[[], Read]) -> Read:
    """Return what `make` reads from a path. Of tables and Parquet files, it is kept in a cache file.

    The cache key contains names, sizes and modification times, so a changed file is read again.
    """
    files = files_beside(path)
    if not any(file.suffix.lower() in SLOW for file in files):
        return make()
    place = cache / "tables" / f"{key_of(path, files, wanted)}.npz"
    found = stored(place)
    if found is None:
        found = make()
        with suppress(OSError):     # with a full or read-only disk, the files are read again at the next start
            store(place, found)
    return found


def files_beside(path: Path) -> list[Path]:
    """Return the files that a reader of this path may open: those of its folder, by their endings."""
    folder = path if path.is_dir() else path.parent
    return [file for file in sorted([*folder.iterdir(), *(folder / "data").glob("*.parquet")])
            if file.suffix.lower() in READ_TOO and file.is_file()]


def key_of(path: Path, files: list[Path], wanted: Wanted) -> str:
    """Return the name of the cache file, a hash."""
    digest = hashlib.sha256(os.fsencode(f"{VERSION} {path.resolve()} {wanted}"))
    for file in files:
        status = file.stat()
        digest.update(os.fsencode(f"\0{file.name}\0{status.st_size}\0{status.st_mtime_ns}"))
    return digest.hexdigest()[:32]


def store(place: Path, read: Read) -> None:
    """Write the arrays and the texts of data to a file. The write is atomic."""
    place.parent.mkdir(parents=True, exist_ok=True)
    facts = {"classes": read.classes, "words": read.words, "span": read.span, "skipped": read.skipped}
    arrays: dict[str, NDArray[Any]] = {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}
    for split in SPLITS:
        if (found := getattr(read, split)) is not None:
            arrays |= {f"{split}_images": found[0], f"{split}_labels": found[1]}
    with replacing(place) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def stored(place: Path) -> Read | None:
    """Return the data that `store` wrote, or None if the file is missing or damaged."""
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            facts = parse_json(arrays["facts"].tobytes().decode())
            train, test, held_out = (
                (arrays[f"{split}_images"], arrays[f"{split}_labels"]) if f"{split}_images" in arrays else None
                for split in SPLITS
            )
        assert train is not None
        assert test is not None
        return Read(tuple(facts["classes"]), train, test, held_out, facts["words"], tuple(facts["span"]),
                    skipped=tuple(facts["skipped"]))
    except Exception:       # numpy and zipfile raise many kinds for damaged bytes
        return None
