"""Printing again each time a file is saved."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from featherweight.cli.output import fail, show
from featherweight.errors import FeatherweightError

INTERVAL = 0.2      # seconds between two looks at the file


def on_every_save(model: str, print_once: Callable[[], object]) -> None:
    """Print now and each time the file of "path/to/file.py:Class" is saved, until Ctrl-C.

    A fault in the file gives one line, and watching goes on.
    Raises FeatherweightError if the model has no file that exists.
    """
    file = file_of(model)
    while True:
        saved = stamp(file)
        try:
            print_once()
        except FeatherweightError as fault:
            fail(*str(fault).split("\n"))
        while stamp(file) in (saved, None):     # None: an editor is replacing the file
            time.sleep(INTERVAL)
        show("")


def file_of(model: str) -> Path:
    """Return the file of "path/to/file.py:Class" or of a recipe. Raises FeatherweightError for any other model."""
    path = Path(model) if model.endswith(".toml") else Path(model.rpartition(":")[0])
    if path.suffix not in (".py", ".ipynb", ".toml") or not path.is_file():
        raise FeatherweightError(f"--watch needs a file that exists, and {model!r} has none. "
                                 "Give path/to/file.py:Class.")
    return path


def stamp(file: Path) -> tuple[int, int] | None:
    """Return the time and size of the last save; None while there is no file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
