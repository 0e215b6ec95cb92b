"""What every command prints with: results on standard output, all else on standard error."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

from featherweight.blame import NOWHERE, at, is_users
from featherweight.outside import say, visible

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image
    from rich.console import Console, RenderableType

_for_documents: ContextVar[TextIO | None] = ContextVar("for_documents", default=None)


def fail(*lines: str) -> None:
    """One fault, on standard error: a line, and further ones for the single faults of a recipe."""
    say("featherweight: " + lines[0], *lines[1:], error=True)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print a warning about the user's code once, as one line: net.py:31 and the text. Others stay as they are."""
    shown = set()
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], file: str, line: int, *rest: Any) -> None:
            if not is_users(file) and file != NOWHERE:
                return usual(visible(message, lines=True), category, file, line, *rest)
            text = str(message) if file == NOWHERE else f"{at((file, line))}: {message}"
            if text not in shown:
                shown.add(text)
                say(text, error=True)
            return None

        warnings.showwarning = show  # type: ignore[assignment]
        yield


def console(*, stderr: bool = False) -> Console:
    """A console without rich's guessing of what in a text might deserve colour."""
    from featherweight import terminal

    return terminal.console(stderr=stderr)


def status(message: str) -> AbstractContextManager[object]:
    """Show what is being done, on standard error, as long as the block lasts."""
    from rich.text import Text

    return console(stderr=True).status(Text(visible(message)))


def note(message: str) -> None:
    """A message to the person, beside the results."""
    from rich.text import Text

    console(stderr=True).print(Text(visible(message), style="dim"), soft_wrap=True)


def show(content: RenderableType) -> None:
    """A result for people."""
    console().print(content)


def show_json(content: Any) -> None:
    """A result for programs: one document and nothing else."""
    text = json.dumps(content, indent=2, allow_nan=False).replace("\x7f", "\\u007f")     # the one that json leaves
    print(text, file=_for_documents.get())


@contextmanager
def only_documents() -> Iterator[None]:
    """Send every print inside the block to standard error; show_json alone writes to standard output.

    A network of a user's own may print when it is imported or asked.
    """
    before = _for_documents.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _for_documents.reset(before)


def check_output(file: Path, endings: tuple[str, ...], option: str, *, force: bool) -> None:
    """A fault, before any work, for a file that would not be written: it exists, has no folder, or another ending."""
    from featherweight.errors import FeatherweightError

    if file.suffix.lower() not in endings:
        example = " or ".join(f"NAME{ending}" for ending in endings)
        raise FeatherweightError(f"{str(file)!r} does not end in {' or '.join(endings)}. Give {option} {example}.")
    if not file.parent.is_dir():
        raise FeatherweightError(f"folder {str(file.parent)!r} does not exist. Make it, or give another {option}.")
    if file.is_dir():
        raise FeatherweightError(f"{str(file)!r} is a folder. Give another {option}.")
    if file.exists() and not force:
        raise FeatherweightError(f"{str(file)!r} exists. Give another {option}, or --force to replace it.")


def save_png(picture: Image, file: Path) -> None:
    """Write a picture in one move."""
    from featherweight.files import replacing

    with replacing(file) as opened:
        picture.save(opened, "PNG")


def table(*headings: str, rows: list[list[str]], right: tuple[int, ...] = ()) -> RenderableType:
    """A plain table; the columns named by index in right are flushed right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for index, heading in enumerate(headings):
        made.add_column(heading, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(visible(cell)) for cell in row))
    return made
