"""Read a Python file or a notebook as pieces of source text, without executing them."""

from __future__ import annotations

import ast
import json
import linecache
import re
import symtable
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import decode_source
from pathlib import Path

from featherweight.blame import explain
from featherweight.errors import ModelError
from featherweight.files import plain_file

# %magic, !command, ?help, files = !command, help?, pip install name
MAGIC = re.compile(r"[%!?]|[\w\s,]+=\s*[%!]|[\w.]+\?{1,2}$|(?:pip|conda)\s+install\s")
NO_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)     # ValueError: null byte; last two: too deep
TIMED = re.compile(r"%time\s+(?=\w)")       # %time net = Net() binds net
WRITES = re.compile(r"%%(?:writefile|file)\s+(?:\./)?([\w/]+\.py)\s*$")


@dataclass(frozen=True)
class Piece:
    """Source text that is parsed as a whole: a Python file, or one cell of a notebook."""

    place: str      # name in tracebacks: the file's path, plus the number of the cell for a notebook
    text: str


def read_pieces(file: Path) -> list[Piece]:
    """Return the pieces of a .py or .ipynb file. Raises ModelError for a file that cannot be read."""
    try:
        plain_file(file)
        if file.suffix == ".ipynb":
            return notebook_pieces(file, file.read_text(encoding="utf-8-sig"))
        return [Piece(str(file), python_file(decode_source(file.read_bytes())))]
    except (OSError, UnicodeDecodeError, SyntaxError) as fault:     # SyntaxError: unknown encoding in the coding line
        raise ModelError(f"model file {str(file)!r} cannot be read: {explain(fault)}") from fault


def joined(pieces: Sequence[Piece]) -> str:
    """Return the pieces as one text. Each cell of a notebook starts with a comment that has its number."""
    if len(pieces) == 1:
        return pieces[0].text
    return "\n\n".join(f"# {piece.place.rpartition(', ')[2]}\n{piece.text.strip()}" for piece in pieces) + "\n"


def python_file(text: str) -> str:
    """Return a file's text. If the file is a notebook saved as .py, magics and shell lines are removed."""
    plain = text if is_python(text) else plain_python(text)
    return plain if is_python(plain) else text      # error messages then quote the original text


def notebook_pieces(file: Path, text: str) -> list[Piece]:
    """Return the code cells of a notebook in order, without magics and shell lines."""
    return [Piece(f"{file}, cell {n}", plain_python(source)) for n, source in code_cells(file, text)]


def code_cells(file: Path, text: str) -> list[tuple[int, str]]:
    """Return (number, source text) of a notebook's code cells. Raises ModelError if the file is not a notebook."""
    try:
        cells = enumerate(json.loads(text)["cells"], start=1)
        return [(n, "".join(cell["source"])) for n, cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise ModelError(f"model file {str(file)!r} is no notebook of format 4: {explain(fault)}") from fault


def written_files(file: Path) -> dict[str, Piece]:
    """Return the Python files that a notebook writes with %%writefile: name -> text."""
    found = {}
    for n, source in code_cells(file, file.read_text(encoding="utf-8-sig")) if file.suffix == ".ipynb" else ():
        first, _, rest = source.lstrip().partition("\n")
        if match := WRITES.match(first):
            found[match[1]] = Piece(f"{file}, cell {n}", "\n" + rest)
    return found


def plain_python(text: str) -> str:
    """Return a cell's text with its magics, shell lines and help questions replaced by `pass`.

    Cell magics that run the cell as Python (%%time, %%capture) lose their first line. Other cell magics (%%bash,
    %%writefile, %%html) empty the cell. Line numbers do not change. Text that is already valid Python is returned
    unchanged, for example a continuation line that starts with `% width`.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")      # as open() does for files
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and first.split()[0] not in ("%%time", "%%timeit", "%%capture", "%%prun"):
        return "\n" * (len(lines) - 1)
    return text if is_python(text) else "\n".join(without_magics(lines))


def is_python(text: str) -> bool:
    """True for text without syntax errors."""
    try:
        ast.parse(text)
    except NO_PYTHON:
        return False
    return True


def without_magics(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines, with magics and shell lines replaced by an indented `pass`.

    Continued lines, which end in a backslash, are replaced too.
    """
    continued = False
    for line in (TIMED.sub("", line, count=1) if line.lstrip().startswith("%time") else line for line in lines):
        magic = continued or is_magic(line)
        continued = magic and line.rstrip().endswith("\\")
        yield line[: len(line) - len(line.lstrip())] + "pass" if magic else line


def is_magic(line: str) -> bool:
    """True for a line that is valid in IPython only."""
    return bool(MAGIC.match(line.strip()))


def parse(piece: Piece, *, lenient: bool) -> list[ast.stmt]:
    """Parse the piece into statements, and register its text for tracebacks.

    lenient: return an empty list for invalid Python, such as an unfinished cell. Otherwise raise ModelError.
    """
    linecache.cache[piece.place] = (len(piece.text), None, piece.text.splitlines(keepends=True), piece.place)
    try:
        symtable.symtable(piece.text, piece.place, "exec")      # finds more errors: a duplicate argument
        return ast.parse(piece.text, piece.place).body
    except NO_PYTHON as fault:
        if lenient:
            return []
        raise ModelError(f"model file {piece.place!r} cannot be imported: {explain(fault)}") from fault
