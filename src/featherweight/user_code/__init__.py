"""Networks in files and notebooks of the user's: loading a class with what it needs, and keeping its source."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featherweight.errors import ModelError, UnknownName
from featherweight.user_code import trust
from featherweight.user_code.modules import Library, repository_root
from featherweight.user_code.pieces import Piece, parse, plain_python
from featherweight.user_code.pieces import written_files as written_files
from featherweight.user_code.quiet import quietly as quietly
from featherweight.user_code.quiet import unwarned as unwarned
from featherweight.user_code.source import MANIFEST as MANIFEST
from featherweight.user_code.source import SOURCE_FOLDER as SOURCE_FOLDER
from featherweight.user_code.source import Source as Source
from featherweight.user_code.source import collect, holder_of
from featherweight.user_code.source import text_of as text_of
from featherweight.user_code.stand_in import reason_of_stand_in
from featherweight.user_code.statements import needed, statements_of

ENDINGS = (".py", ".ipynb")
TYPED = "notebook.py"       # the name that typed source has in a run


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
    library.open(file)
    return find_class(library, file, attribute)


def load_typed_class(cells: Sequence[str], attribute: str) -> UserClass:
    """Load a class that was typed into a notebook or a console. cells: what was typed, by execution count.

    Imports look in the working folder. A fault names its cell; the source holds no more than the class needs. Raises
    ModelError and UnknownName as load_class does.
    """
    file = Path.cwd() / TYPED
    library = Library(file, Path.cwd())
    pieces = [Piece(f"notebook cell {n}", plain_python(text)) for n, text in enumerate(cells)]
    library.open(file, pieces, needed_text(pieces, attribute))
    return find_class(library, file, attribute)


def find_class(library: Library, file: Path, attribute: str) -> UserClass:
    """Return the class of an opened file, after what it needs is executed."""
    module = library.open(file)
    module.execute([attribute])
    builder = vars(module).get(attribute)
    reason = reason_of_stand_in(builder)
    if reason:
        raise ModelError(f"model file {str(file)!r} cannot be imported: {reason}")
    if not callable(builder):
        raise UnknownName(f"class in {str(file)!r}:", attribute, module.classes)
    return UserClass(builder, file, attribute, library)


def needed_text(pieces: Sequence[Piece], attribute: str) -> str:
    """Return the source text of those statements that a name needs."""
    found = [(one, piece) for piece in pieces for one in statements_of(parse(piece, lenient=True), piece.place)]
    indices = needed([one for one, _ in found], [attribute])
    texts = [ast.get_source_segment(piece.text, one.node) if one.has_text else None for one, piece in found]
    return "\n\n".join(texts[k] or ast.unparse(found[k][0].node) for k in indices) + "\n"


def open_library(file: Path) -> Library:
    """Return what loads a file and its imports; of a run's copy, only files that the run names, if they are trusted."""
    held = holder_of(file)
    if held is None:
        return Library(file, repository_root(file))
    source = Source.read(held)
    trust.check(source.sha256, held)
    return Library(file, held, {(held / name).resolve() for name in source.files})
