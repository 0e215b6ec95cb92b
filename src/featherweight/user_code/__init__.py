"""Networks in files and notebooks of the user's: loading a class with what it needs, and keeping its source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featherweight.errors import ModelError, UnknownName
from featherweight.user_code import trust
from featherweight.user_code.modules import Library, repository_root
from featherweight.user_code.quiet import quietly as quietly
from featherweight.user_code.source import MANIFEST as MANIFEST
from featherweight.user_code.source import SOURCE_FOLDER as SOURCE_FOLDER
from featherweight.user_code.source import Source as Source
from featherweight.user_code.source import collect
from featherweight.user_code.source import text_of as text_of
from featherweight.user_code.stand_in import reason_of_stand_in


@dataclass(frozen=True)
class UserClass:
    """A class or function of the user's that builds a network."""

    builder: Callable[..., Any]
    file: Path
    attribute: str
    library: Library

    def source(self) -> Source:
        """Return its source, with every file that was imported for it until now."""
        return collect(self.library, self.file, self.attribute)


def load_class(path: str | Path, attribute: str) -> UserClass:
    """Load a class from a .py or .ipynb file, and of the file no more than the class needs.

    Raises ModelError for a file that is not there or cannot be loaded, UnknownName for a class that is not in it,
    Untrusted for a file of a run that nobody here has trusted.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"model file {str(path)!r} does not exist. Give the path of a Python file, then :Class.")
    library = open_library(file)
    module = library.open(file)
    module.execute([attribute])
    builder = vars(module).get(attribute)
    reason = reason_of_stand_in(builder)
    if reason:
        raise ModelError(f"model file {str(path)!r} cannot be imported: {reason}")
    if not callable(builder):
        raise UnknownName(f"class in {str(path)!r}:", attribute, module.classes)
    return UserClass(builder, file, attribute, library)


def open_library(file: Path) -> Library:
    """Return what loads a file and its imports; of a run's copy, only files that the run names, if they are trusted."""
    root = repository_root(file)
    if not (root / MANIFEST).is_file():
        return Library(file, root)
    source = Source.read(root)
    trust.check(source.sha256, root)
    return Library(file, root, {(root / name).resolve() for name in source.files})
