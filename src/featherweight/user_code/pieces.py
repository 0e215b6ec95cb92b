"""Read a Python file or a notebook as pieces of source text. Nothing is executed here."""

from __future__ import annotations

import ast
import json
import linecache
from dataclasses import dataclass
from pathlib import Path

from featherweight.blame import explain
from featherweight.errors import ModelError


@dataclass(frozen=True)
class Piece:
    """Source text that is parsed as a whole: a Python file, or one cell of a notebook."""

    place: str      # how tracebacks name it: the file's path, with the number of the cell for a notebook
    text: str


def read_pieces(file: Path) -> list[Piece]:
    """Return the pieces of a .py or .ipynb file. Raises ModelError for a file that cannot be read."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise ModelError(f"model file {str(file)!r} cannot be read: {explain(fault)}") from fault
    return notebook_pieces(file, text) if file.suffix == ".ipynb" else [Piece(str(file), text)]


def notebook_pieces(file: Path, text: str) -> list[Piece]:
    """Return the code cells of a notebook in their order, without magics and shell lines."""
    try:
        cells = json.loads(text)["cells"]
        sources = [(n, cell["source"]) for n, cell in enumerate(cells, start=1) if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as fault:
        raise ModelError(f"model file {str(file)!r} is no notebook of format 4: {explain(fault)}") from fault
    return [Piece(f"{file}, cell {n}", plain_python(source)) for n, source in sources]


def plain_python(source: str | list[str]) -> str:
    """Return a cell's text with its magics, shell lines and help questions replaced by `pass`.

    A cell magic that runs the cell as Python (%%time, %%capture) loses its first line; other cell magics (%%bash,
    %%writefile, %%html) empty the cell. Line numbers stay as they are.
    """
    lines = (source if isinstance(source, str) else "".join(source)).split("\n")
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and first.split()[0] not in ("%%time", "%%timeit", "%%capture", "%%prun"):
        return "\n" * (len(lines) - 1)
    return "\n".join(without_magic(line) for line in lines)


def without_magic(line: str) -> str:
    """Return the line, or `pass` at its indentation where it is a magic or a shell line."""
    stripped = line.lstrip()
    indent = line[: len(line) - len(stripped)]
    if stripped.startswith(("%", "!", "?")) or (stripped.endswith("?") and not stripped.startswith("#")):
        return indent + "pass"
    return line


def parse(piece: Piece, *, lenient: bool) -> list[ast.stmt]:
    """Return the piece's statements, and remember its text for tracebacks.

    lenient: return nothing for text that is no Python, such as an unfinished cell; else raise ModelError.
    """
    linecache.cache[piece.place] = (len(piece.text), None, piece.text.splitlines(keepends=True), piece.place)
    try:
        return ast.parse(piece.text, piece.place).body
    except (SyntaxError, ValueError) as fault:      # ValueError: a null byte
        if lenient:
            return []
        raise ModelError(f"model file {piece.place!r} cannot be imported: {explain(fault)}") from fault
