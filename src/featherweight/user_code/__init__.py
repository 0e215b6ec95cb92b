"""Networks in files and notebooks of the user's: loading a class with what it needs, and keeping its source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featherweight.errors import ModelError, UnknownName
from featherweight.user_code.modules import Library
from featherweight.user_code.source import MANIFEST as MANIFEST
from featherweight.user_code.source import Source as Source
from featherweight.user_code.source import collect
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


def load_class(path: str | Path, attribute: str, *, root: Path | None = None) -> UserClass:
    """Load a class from a .py or .ipynb file, and of the file no more than the class needs.

    root: the folder up to which the folders above the file are searched for imports. Raises ModelError for a file that
    is not there or cannot be loaded, UnknownName for a class that is not in it.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"model file {str(path)!r} does not exist. Give the path of a Python file, then :Class.")
    library = Library(file, root)
    module = library.open(file)
    module.execute([attribute])
    builder = vars(module).get(attribute)
    reason = reason_of_stand_in(builder)
    if reason:
        raise ModelError(f"model file {str(path)!r} cannot be imported: {reason}")
    if not callable(builder):
        raise UnknownName(f"class in {str(path)!r}:", attribute, module.classes)
    return UserClass(builder, file, attribute, library)
