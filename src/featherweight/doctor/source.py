"""Read scripts and notebooks: their Python text, the place of each line, and their ignore comments."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from featherweight.doctor.finding import Place
from featherweight.documents import parse_json
from featherweight.errors import SourceError

ENDINGS = (".py", ".ipynb")
LARGEST = 1_500_000         # bytes; a larger script takes over a second to parse, and is generated
LARGEST_NOTEBOOK = 100_000_000
SKIPPED = ("__pycache__", "node_modules", "site-packages", ".ipynb_checkpoints")
IGNORE = re.compile(r"#\s*doctor:\s*ignore\[([^\]]*)\]\s*(.*)")
OTHER_LANGUAGE = re.compile(r"\s*%%(?!time\b|timeit\b|capture\b|prun\b)")
MAGIC = re.compile(r"^(\s*)[%!?]|^(\s*)\w+\?{1,2}\s*$")
COMMAND = re.compile(r"(cd|ls|pip|pip3|conda|mkdir|rm|rmdir|cp|mv|cat|pwd|git|wget|unzip|python)\b(?!\s*[=(.\[])")
ASSIGNED_MAGIC = re.compile(r"^(\s*)([\w, ]+?)\s*=\s*[%!]")


@dataclass(frozen=True)
class Source:
    """The Python text of one script or notebook, parsed.

    cells: for each line of `text`, its cell and its line in that cell; empty for a script.
    dropped: one line for each cell of a notebook that Python cannot parse.
    """

    path: Path
    text: str
    lines: tuple[str, ...]
    tree: ast.Module
    cells: tuple[tuple[int, int], ...]
    dropped: tuple[str, ...] = ()

    @cached_property
    def comments(self) -> dict[int, str]:
        """Line of `text` -> comment with its '#'."""
        return comments_of(self.text)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the tree, in the order of ast.walk."""
        return tuple(ast.walk(self.tree))

    @property
    def is_notebook(self) -> bool:
        """True for a notebook."""
        return self.path.suffix == ".ipynb"

    def place(self, line: int, column: int = 0) -> Place:
        """Return the place of a line of `text` (from 1) and a column (from 0)."""
        if not self.cells:
            return Place(str(self.path), None, line, column + 1)
        cell, within = self.cells[min(line, len(self.cells)) - 1]
        return Place(str(self.path), cell, within, column + 1)

    def ignored(self, code: str, lines: Iterable[int]) -> str | None:
        """Return the reason of an ignore comment for `code` on one of the lines, or None without such a comment."""
        for line in lines:
            found = IGNORE.search(self.comments.get(line, ""))
            if found and code in [name.strip() for name in found[1].split(",")]:
                return found[2].strip()
        return None


def read(path: Path) -> Source:
    """Read one script or notebook. Raise SourceError for a file that cannot be parsed."""
    try:
        size = path.stat().st_size
        if size > (LARGEST_NOTEBOOK if path.suffix == ".ipynb" else LARGEST):
            raise SourceError(f"{str(path)!r} has {size:,} bytes, too many to examine. Give a smaller file.")
        content = path.read_bytes()
    except OSError as fault:
        raise SourceError(f"{str(path)!r} cannot be read ({fault.strerror}). Check the path and its rights.") from None
    if path.suffix == ".ipynb":
        return from_cells(path, notebook_cells(path, content))
    return from_text(path, decoded(path, content))


def is_folder(name: str | Path) -> bool:
    """Return True for a folder; False for other text, such as a long network in words."""
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):
        return False


def plain_text(path: Path) -> str | None:
    """Return the text of a file such as a README, or None for a file that is missing, too large or no text."""
    try:
        return path.read_text() if path.is_file() and path.stat().st_size <= LARGEST else None
    except (OSError, ValueError):
        return None


def decoded(path: Path, content: bytes) -> str:
    """Return the text of a script, in the encoding that its first lines declare."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except (SyntaxError, UnicodeDecodeError, LookupError):
        raise SourceError(f"{str(path)!r} is not text. Save it as UTF-8.") from None


def from_text(path: Path, text: str, cells: Sequence[tuple[int, int]] = (), dropped: Sequence[str] = ()) -> Source:
    """Parse Python text. Raise SourceError with the line of a syntax error."""
    try:
        tree = parsed(text)
    except SyntaxError as fault:
        raise SourceError(f"{path}:{fault.lineno or 1} is no Python 3: {fault.msg}. Correct the line.") from None
    except (ValueError, RecursionError, MemoryError):
        raise SourceError(f"{str(path)!r} cannot be parsed. Check that it is a Python file.") from None
    return Source(path, text, tuple(text.split("\n")), tree, tuple(cells), tuple(dropped))


def parsed(text: str) -> ast.Module:
    """Return the syntax tree of Python text, without warnings about its strings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def notebook_cells(path: Path, content: bytes) -> list[str]:
    """Return the texts of a notebook's cells; the text of a cell that is not code is empty."""
    try:
        parsed = parse_json(content.decode("utf-8-sig"))
        found = parsed["cells"] if "cells" in parsed else parsed["worksheets"][0]["cells"]
        return [
            "".join(cell.get("source", cell.get("input", ""))) if cell.get("cell_type") == "code" else ""
            for cell in found
        ]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, json.JSONDecodeError):
        raise SourceError(f"{str(path)!r} is no notebook. Save it again in Jupyter.") from None


def from_cells(path: Path, cells: Sequence[str]) -> Source:
    """Join the code cells of a notebook into one text. Magic commands become `pass`; a cell of no Python is dropped.

    Raises SourceError if no cell is left.
    """
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    dropped: list[str] = []
    for number, cell in enumerate(cells, 1):
        if not cell.strip() or OTHER_LANGUAGE.match(cell):
            continue
        try:
            python = python_of(cell.replace("\r\n", "\n").split("\n"))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
            dropped.append(f"cell {number} is no Python 3 ({getattr(fault, 'msg', fault)})")
            continue
        lines += python
        places += [(number, within) for within in range(1, len(python) + 1)]
    if dropped and not lines:
        raise SourceError(f"{str(path)!r}: {dropped[0]}. No cell can be examined.")
    return from_text(path, "\n".join(lines), places, dropped)


def python_of(cell: Sequence[str]) -> list[str]:
    """Return the lines of a cell as Python. Raise SyntaxError for a cell of another language."""
    lines = [without_magic(line) for line in cell]
    try:
        parsed("\n".join(lines))
    except SyntaxError:
        lines = ["pass" if COMMAND.match(line) else line for line in lines]
        parsed("\n".join(lines))
    return lines


def without_magic(line: str) -> str:
    """Return a notebook line as Python. `!pip install x` becomes `pass`, `files = !ls` becomes `files = None`."""
    if found := MAGIC.match(line):
        return f"{found[1] or found[2] or ''}pass"
    if found := ASSIGNED_MAGIC.match(line):
        return f"{found[1]}{found[2]} = None"
    return line


def comments_of(text: str) -> dict[int, str]:
    """Return line -> comment. Python text that cannot be split into tokens has none."""
    found = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                found[token.start[0]] = token.string
    except (tokenize.TokenError, IndentationError, SyntaxError):
        pass
    return found


def expand(targets: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the scripts and notebooks of the targets; a folder gives all that lie in it.

    Raises SourceError for a target that does not exist, is of another kind, or is an empty folder.
    """
    for target in targets:
        path = Path(target)
        if path.is_dir():
            found = sorted(file for ending in ENDINGS for file in path.rglob(f"*{ending}") if wanted(file, path))
            if not found:
                raise SourceError(f"folder {str(path)!r} holds no .py or .ipynb file. Give a script or a notebook.")
            yield from found
        elif not path.exists():
            raise SourceError(f"{str(path)!r} does not exist. Give a .py script, an .ipynb notebook or a folder.")
        elif path.suffix not in ENDINGS:
            raise SourceError(f"{str(path)!r} is neither .py nor .ipynb. Give a script, a notebook or a folder.")
        else:
            yield path


def wanted(file: Path, folder: Path) -> bool:
    """True for a file outside hidden folders and folders of installed packages."""
    parts = file.relative_to(folder).parts[:-1]
    return file.is_file() and not any(part.startswith(".") or part in SKIPPED for part in parts)
