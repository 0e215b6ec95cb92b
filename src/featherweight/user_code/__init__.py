"""Networks in the user's files and notebooks: load a class with the code it needs, and collect its source."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featherweight.errors import ModelError, UnknownName
from featherweight.user_code import trust
from featherweight.user_code.modules import Library, repository_root
from featherweight.user_code.modules import UserModule as UserModule
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
TYPED = "notebook.py"       # file name in a run for source typed into a notebook


@dataclass(frozen=True)
class UserClass:
    """A class or function from the user's code that builds a network."""

    builder: Callable[..., Any]
    file: Path
    attribute: str
    library: Library

    def source(self) -> Source:
        """Return the source of the class, with all user files that it has imported so far."""
        return collect(self.library, self.file, self.attribute)


def load_class(path: str | Path, attribute: str) -> UserClass:
    """Load a class from a .py or .ipynb file. Only statements that the class needs are executed.

    Raises ModelError if the file is missing or cannot be loaded, and UnknownName if the class is not in the file.
    Raises Untrusted for a file in a run folder that the user has not trusted.
    """
    module = open_module(path)
    return find_class(module.library, Path(path), attribute)


def open_module(path: str | Path) -> UserModule:
    """Open a .py or .ipynb file as a module, without executing a statement. Raises as load_class does."""
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"model file {str(path)!r} does not exist. Give the path of a Python file, then :Class.")
    return open_library(file).open(file)


def load_typed_class(cells: Sequence[str], attribute: str) -> UserClass:
    """Load a class that was typed into a notebook or a console. cells: the typed texts, by execution count.

    Imports search the working folder. An error message names the cell.
    The collected source contains only the statements that the class needs.
    Raises ModelError and UnknownName as load_class does.
    """
    file = Path.cwd() / TYPED
    library = Library(file, Path.cwd())
    pieces = [Piece(f"notebook cell {n}", plain_python(text)) for n, text in enumerate(cells)]
    library.open(file, pieces, needed_text(pieces, attribute))
    return find_class(library, file, attribute)


def find_class(library: Library, file: Path, attribute: str) -> UserClass:
    """Execute the statements that the class needs and return the class."""
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
    """Return the source text of the statements that `attribute` needs."""
    found = [(one, piece) for piece in pieces for one in statements_of(parse(piece, lenient=True), piece.place)]
    indices = needed([one for one, _ in found], [attribute])
    texts = [ast.get_source_segment(piece.text, one.node) if one.has_text else None for one, piece in found]
    return "\n\n".join(texts[k] or ast.unparse(found[k][0].node) for k in indices) + "\n"


def open_library(file: Path) -> Library:
    """Return the library that loads `file` and its imports.

    For a file in a run folder, only files in the run's manifest can be loaded. Raises Untrusted unless trusted.
    """
    held = holder_of(file)
    if held is None:
        return Library(file, repository_root(file))
    source = Source.read(held)
    trust.check(source.sha256, held)
    return Library(file, held, {(held / name).resolve() for name in source.files})
